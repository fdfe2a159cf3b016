"""Every page in a real browser: nothing complains, nobody else is asked, WCAG 2.2 A and AA in both themes, fits a telephone."""

import pytest
from django.utils import timezone
from playwright.sync_api import Browser

from paste_web.picturing.filled import fill, people
from paste_web.picturing.pages import EVERYWHERE, FILLED, Look
from paste_web.picturing.scarce import forget, least
from tests.looking import onlooker
from tests.speculation.breaking import set_default_limits

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("looks", [EVERYWHERE, FILLED], ids=["every page", "further views"])
def test_the_pages_of_a_busy_installation(
    transactional_db: None, chromium: Browser, web_address: str, looks: tuple[Look, ...]
) -> None:
    set_default_limits()
    operator, viewer = people()
    house = fill(timezone.now(), operator=operator, viewer=viewer, sessions=12)
    with onlooker(chromium, web_address, house) as looker:
        assert looker.complaints(looks) == {}


def test_the_pages_where_nothing_has_happened_yet(transactional_db: None, chromium: Browser, web_address: str) -> None:
    scarce = least(people()[0])
    with onlooker(chromium, web_address, scarce) as looker:
        assert looker.complaints(look for look in EVERYWHERE if look.needs_one) == {}
        forget(scarce)
        assert looker.complaints(look for look in EVERYWHERE if not look.needs_one) == {}
