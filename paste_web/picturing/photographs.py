"""Pictures of pages: light, dark, and 390 px wide, as PNG files."""

from collections.abc import Callable, Iterable
from pathlib import Path

from django.utils import timezone

from paste_web.picturing.browser import Browser, cookie_of
from paste_web.picturing.clock import bring_up
from paste_web.picturing.pages import House, Look

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
KINDS = {"light": ("light", WIDE), "dark": ("dark", WIDE), "390px": ("light", NARROW)}
"""By the end of a file's name: colour scheme and window."""
SETTLE_MILLISECONDS = 700
"""Until a chart has been drawn: its first drawing waits for fonts and size."""


class Photographer:
    """One browser window for each kind of picture, signed in as the installation's operator."""

    def __init__(self, browser: Browser, address: str, folder: Path) -> None:
        self._browser, self._address, self._folder = browser, address, folder

    def take(self, house: House, looks: Iterable[Look], state: str, tell: Callable[[str], object]) -> int:
        """Every look in every kind, into `<name>-<state>-<kind>.png`. Returns how many files there are."""
        looks, then = list(looks), timezone.now()
        for kind, (scheme, viewport) in KINDS.items():
            context = self._browser.new_context(base_url=self._address, viewport=viewport, color_scheme=scheme)
            cookie, page = cookie_of(house.operator, self._address), context.new_page()
            for look in looks:
                context.clear_cookies()
                if not look.is_anonymous:
                    context.add_cookies([cookie])
                bring_up(house.sessions.values(), now := timezone.now(), then)
                then = now
                page.goto(look.address(house), wait_until="load")
                page.wait_for_selector(look.drawn)
                page.wait_for_timeout(SETTLE_MILLISECONDS)
                page.screenshot(path=self._folder / f"{look.name}-{state}-{kind}.png", full_page=True)
            context.close()
            if looks:
                tell(f"{state}, {kind}: {len(looks)} pictures")
        return len(looks) * len(KINDS)
