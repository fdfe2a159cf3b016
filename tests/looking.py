"""One window that goes from page to page, for the tests that look at all of them: one browser, one server, one installation."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page

from paste_web.picturing.browser import cookie_of
from paste_web.picturing.pages import House, Look
from tests.accessibility import violations
from tests.browser import Witness

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SHRINK_SECONDS = 3.0
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


class Onlooker:
    """Looks at pages of one installation, signed in as its operator."""

    def __init__(self, page: Page, witness: Witness, house: House, cookie: dict[str, Any]) -> None:
        self._page, self._witness, self._house, self._cookie = page, witness, house, cookie

    def complaints(self, looks: Iterable[Look]) -> dict[str, list[str]]:
        """By page, where there are any: what axe, the browser's console and its list of requests have against it."""
        seen = {look.name: self._look_at(look) for look in looks}
        return {name: found for name, found in seen.items() if found}

    def _look_at(self, look: Look) -> list[str]:
        self._arrive(look)
        found = []
        for scheme in ("light", "dark"):
            status = self._open(look, scheme)
            found += [] if status == look.status else [f"{scheme}: status {status}"]
            found += [f"{scheme}: {line}" for line in violations(self._page)]
        wider = self._overflow()
        found += [f"{wider} px wider than a telephone"] if wider > 0 else []
        return [*found, *self._witness.complaints, *(f"asks {url}" for url in self._witness.strangers)]

    def _overflow(self) -> int:
        """Pixels by which the page is wider than a telephone, once charts have had their time to shrink."""
        self._page.set_viewport_size(PHONE)
        deadline = time.monotonic() + SHRINK_SECONDS
        while (wider := int(self._page.evaluate(OVERFLOW))) > 0 and time.monotonic() < deadline:
            self._page.wait_for_timeout(50)
        return wider

    def _arrive(self, look: Look) -> None:
        """Signed in or not, and what was heard before is forgotten."""
        self._page.context.clear_cookies()
        if not look.is_anonymous:
            self._page.context.add_cookies([self._cookie])
        self._page.goto("about:blank")
        self._witness.complaints.clear()
        self._witness.strangers.clear()
        self._page.set_viewport_size(WIDE)

    def _open(self, look: Look, scheme: str) -> int:
        """The status of the answer."""
        self._page.emulate_media(color_scheme=scheme)
        answer = self._page.goto(look.address(self._house), wait_until="load")
        self._page.wait_for_selector(look.drawn)
        assert answer is not None
        return answer.status


@contextmanager
def onlooker(browser: Browser, address: str, house: House) -> Iterator[Onlooker]:
    witness = Witness(address.removeprefix("http://"))
    context = browser.new_context(base_url=address, viewport=WIDE, reduced_motion="reduce")  # colours at their end
    page = context.new_page()
    witness.watch(page)
    yield Onlooker(page, witness, house, cookie_of(house.operator, address))
    context.close()
