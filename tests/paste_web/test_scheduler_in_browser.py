"""The scheduler's page in a real browser: it follows what happens, stands still under a reader's hands, and fits a phone."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from speculation import breakers_opening
from speculation.engine.breaking import Kind, Limits, Subject, Trip
from speculation.models import BreakerOpening, ToolRecord, WorkerPool
from tests.browser import Visitors
from tests.paste_web.stored_sessions import an_agent
from tests.speculation.breaking import set_default_limits

pytestmark = pytest.mark.slow


@pytest.fixture
def chief(transactional_db: None) -> User:
    set_default_limits()
    WorkerPool.objects.update_or_create(name="tools", defaults={"slots": 6, "reserved": 2, "is_paused": False})
    an_agent("support")
    return User.objects.create_superuser("op1")


def open_one() -> BreakerOpening:
    tool = ToolRecord.objects.get_or_create(name="get_order_with_a_long_name", defaults={"effect": "none"})[0]
    limits = Limits(30, 60, 300)
    reason = "wasted 31 worker seconds in a minute, the limit is 30"
    opening = breakers_opening.open_breaker(Trip(Kind.WASTE, Subject(tool=tool.pk), 31.0, limits, reason))
    assert opening is not None
    return opening


def widest_overflow(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def test_an_operator_sees_a_breaker_open_and_resets_it(visitors: Visitors, chief: User) -> None:
    page = visitors.page(chief)
    page.goto("/scheduler/")
    expect(page.locator("#scheduler-live")).to_contain_text("None is open")
    open_one()
    expect(page.locator("#scheduler-live")).to_contain_text("wasted 31 worker seconds in a minute, the limit is 30")
    page.get_by_role("link", name="Reset waste of builtin/get_order_with_a_long_name").click()
    page.get_by_label("Reason").first.fill("the index is mended")
    page.get_by_role("button", name="Reset now").click()
    expect(page.get_by_role("status")).to_contain_text("Speculation may run again there.")
    expect(page.locator("#scheduler-live")).to_contain_text("None is open")


def test_an_agent_is_paused_and_resumed_by_hand(visitors: Visitors, chief: User) -> None:
    page = visitors.page(chief)
    page.goto("/scheduler/")
    page.get_by_label("Pause", exact=True).select_option(label="agent support")
    page.get_by_label("Reason").fill("it asks for nonsense")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Paused: agent support.")
    page.get_by_role("button", name="Resume agent support").click()
    expect(page.get_by_role("status")).to_contain_text("Resumed.")


@pytest.mark.parametrize("name", ["light", "dark", "phone"])
def test_the_page_loads_clean_and_fits(visitors: Visitors, chief: User, name: str) -> None:
    open_one()
    page = visitors.page(chief)
    page.emulate_media(color_scheme="dark" if name == "dark" else "light")
    page.set_viewport_size({"width": 390 if name == "phone" else 1280, "height": 900})
    for path in ("/scheduler/", f"/scheduler/?reset={BreakerOpening.objects.get().pk}"):
        answer = page.goto(path)
        page.wait_for_load_state("networkidle")
        assert answer is not None and answer.status == 200
        assert widest_overflow(page) <= 0
        wraps = page.locator(".table-wrap").all()
        assert all(wrap.evaluate("one => one.scrollWidth - one.clientWidth") <= 0 for wrap in wraps)
