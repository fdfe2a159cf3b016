"""The section `pages`: what pages cost the server, how a long session behaves in a browser, how soon news arrives.

On a scratch database with a made-up installation (paste_web/picturing/), which is dropped afterwards.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from random import Random
from typing import Any

from django.core.management import CommandError
from django.utils import timezone

from paste_web.benchmarks.choices import LiveChoices
from paste_web.benchmarks.page_news import measure_news
from paste_web.benchmarks.page_session import measure_session
from paste_web.benchmarks.page_times import time_pages
from paste_web.picturing.browser import Browser, NoBrowser, chromium
from paste_web.picturing.filled import Filled, fill, people
from paste_web.picturing.pages import EVERYWHERE, FILLED
from paste_web.picturing.plots import long_plot
from paste_web.picturing.scratch import NoScratch, scratch_database, served
from paste_web.picturing.stored import store
from paste_web.picturing.telling import Terms, tell
from speculation import ledger
from speculation.models import Session

BUDGETS: Mapping[str, float] = {
    "first_paint": 2000.0,
    "document_bytes": 2_000_000,
    "interaction_p95": 100.0,
    "news_p95": 300.0,
}
"""Of product.md section 6: milliseconds and bytes."""
METHOD = {
    "pages": "GET over one kept connection, signed in, one after the other, to the last byte; after 2 that are not counted",
    "statements": "what one GET asks of the database, counted in this process",
    "first_paint": "first contentful paint of a new browser context, nothing cached, headless Chromium 1440 x 900",
    "interaction": "from the key to the first frame after its change; one key after the other",
    "detail_after_zoom": "from the key to the frame with the detail that the server sent for the new range",
    "news": "from the return of the commit in the writer's process to the message in the watcher's; same machine and clock",
    "told_after_a_cut": "the same, of what was committed while a watcher had no connection: it tries again after .5 s",
    "drawn_in_a_browser": "the same, to the frame that shows the row, in one real page among the watchers",
}


def pages_document(choices: LiveChoices, tell_progress: Callable[[str], object]) -> dict[str, Any]:
    """Raises CommandError where there is no browser or no database to be had."""
    try:
        with chromium() as browser, scratch_database(), served() as server:
            return _measure(browser, server.address, choices, tell_progress)
    except NoBrowser as problem:
        raise CommandError(str(problem), returncode=2) from None
    except NoScratch as problem:
        raise CommandError(str(problem)) from None


def _measure(
    browser: Browser, address: str, choices: LiveChoices, tell_progress: Callable[[str], object]
) -> dict[str, Any]:
    operator, viewer = people()
    tell_progress("pages: made-up sessions")
    house = fill(timezone.now(), operator=operator, viewer=viewer, seed=choices.seed)
    tell_progress(f"pages: each {choices.loads} times")
    pages = time_pages(address, house, (*EVERYWHERE, *FILLED), choices.loads)
    tell_progress(f"pages: a session of {choices.long_calls} calls")
    long = _long_session(house, choices)
    session = measure_session(browser, address, house, long, max(2, choices.loads // 4), choices.keys)
    tell_progress(f"pages: {choices.viewers} watch {choices.watched} sessions for {choices.watch_seconds} s")
    news = measure_news(
        browser,
        address,
        house,
        timezone.now(),
        sessions=choices.watched,
        viewers=choices.viewers,
        seconds=choices.watch_seconds,
    )
    held = {
        "first_paint": session["first_paint"]["p95"] <= BUDGETS["first_paint"],
        "document_bytes": session["document_bytes"] <= BUDGETS["document_bytes"],
        "select_next_call": session["select_next_call"]["p95"] <= BUDGETS["interaction_p95"],
        "zoom_and_move": session["zoom_and_move"]["p95"] <= BUDGETS["interaction_p95"],
        "news": news["told"].get("p95", float("inf")) <= BUDGETS["news_p95"],
        "final_states": news["lost_final_states"] == 0,
    }
    return {
        "method": METHOD,
        "budgets": dict(BUDGETS),
        "held": held,
        "pages": pages,
        "long_session": {"calls": choices.long_calls, **session},
        "news": news,
    }


def _long_session(house: Filled, choices: LiveChoices) -> Session:
    rng = Random(choices.seed)
    origin = timezone.now() - timedelta(hours=12)
    lines = tell(long_plot(rng, choices.long_calls), Terms(origin_ms=int(origin.timestamp() * 1000)), rng)
    agent = house.sessions["on"].agent
    session = store(agent, house.tools, lines, origin, task=f"Read {choices.long_calls} orders and say which are late.")
    ledger.book(session.pk)
    return session
