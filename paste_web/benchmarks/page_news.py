"""From an event's commit to whoever watches its session: many sessions that run, many watchers, and one real browser."""

import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from paste_web.benchmarks.page_session import with_p95
from paste_web.benchmarks.page_viewers import Viewer, watching
from paste_web.benchmarks.page_writer import Committed, lines_for, writers
from paste_web.picturing.browser import Browser, Page, cookie_of
from paste_web.picturing.filled import Filled
from paste_web.picturing.stored import store
from speculation.models import Session

RATE = 10.0
"""Events a second of each session."""
WRITTEN = 12
"""Entries that each log has before anybody watches."""
SETTLE_SECONDS = 3.0
LAST_NEWS_SECONDS = 10.0
NOTE_ROWS = """() => {
  window.noted = [];
  const rows = document.getElementById("event-rows");
  const note = () => window.noted.push([(performance.timeOrigin + performance.now()) / 1000, Number(rows.lastElementChild?.dataset.seq ?? 0)]);
  new MutationObserver(() => requestAnimationFrame(() => setTimeout(note))).observe(rows, { childList: true });
}"""


def measure_news(
    browser: Browser, address: str, house: Filled, now: datetime, *, sessions: int, viewers: int, seconds: int
) -> dict[str, Any]:
    """All connections are cut once, half way. Milliseconds; `told_after_a_cut`: of what was committed while a watcher had no
    connection, which waits for it to come back; `lost_final_states`: watchers that never heard the end.
    """
    agent = house.sessions["on"].agent
    running = [_begin(agent, house, k, now) for k in range(sessions)]
    ids = [session.pk for session in running]
    with writers(ids) as pens, watching(address, house, ids, viewers) as watchers:
        page = _look(browser, address, house, ids[0])
        time.sleep(SETTLE_SECONDS)
        began_at = time.time()
        futures = pens.start(WRITTEN, RATE, seconds)
        page.wait_for_timeout(seconds * 500)
        watchers.cut()
        committed = _wait_for(futures, page)
        took = max(at for _, _, at in committed) - began_at
        last = {session: seq for session, seq, _ in committed}
        _wait_until_told(watchers.viewers, last, page)
        noted = page.evaluate("window.noted")
        page.context.close()
    told, missed = _told(watchers.viewers, committed)
    drawn = delays([(at, seq) for at, seq in noted], _of(committed, ids[0]))
    return {
        "sessions": sessions,
        "viewers": viewers,
        "seconds": seconds,
        "events": len(committed),
        "events_a_second": round(len(committed) / took, 1),
        "told": with_p95(told),
        "told_after_a_cut": with_p95(missed),
        "drawn_in_a_browser": with_p95(drawn),
        "bytes_a_viewer_and_second": round(sum(one.bytes for one in watchers.viewers) / viewers / took),
        "disconnects": sum(len(viewer.away) for viewer in watchers.viewers),
        "lost_final_states": sum(viewer.seq < last[viewer.session] for viewer in watchers.viewers),
    }


def _begin(agent: Any, house: Filled, k: int, now: datetime) -> Session:
    """A session that runs, with the start of its log."""
    origin = now - timedelta(seconds=5)
    return store(agent, house.tools, lines_for(k, WRITTEN), origin, task=f"Session {k} of those that are watched.")


def _look(browser: Browser, address: str, house: Filled, session: UUID) -> Page:
    """One real page among the watchers."""
    context = browser.new_context(base_url=address, viewport={"width": 1440, "height": 900})
    context.add_cookies([cookie_of(house.operator, address)])
    page = context.new_page()
    page.goto(f"/sessions/{session}/?tab=events", wait_until="load")
    page.evaluate(NOTE_ROWS)
    return page


def _wait_for(futures: "Sequence[Future[Committed]]", page: Page) -> Committed:
    """The browser's own loop goes on meanwhile."""
    while not all(future.done() for future in futures):
        page.wait_for_timeout(100)
    return [one for future in futures for one in future.result()]


def _wait_until_told(viewers: Iterable[Viewer], last: Mapping[UUID, int], page: Page) -> None:
    deadline = time.monotonic() + LAST_NEWS_SECONDS
    while any(viewer.seq < last[viewer.session] for viewer in viewers) and time.monotonic() < deadline:
        page.wait_for_timeout(100)


def _of(committed: Committed, session: UUID) -> list[tuple[int, float]]:
    return [(seq, at) for whose, seq, at in committed if whose == session]


def _told(viewers: Iterable[Viewer], committed: Committed) -> tuple[list[float], list[float]]:
    """Delays of what was committed while the watcher was there, and while it was not."""
    there: list[float] = []
    away: list[float] = []
    for viewer in viewers:
        heard, missed = apart(_of(committed, viewer.session), viewer.away)
        there += delays(viewer.told, heard)
        away += delays(viewer.told, missed)
    return there, away


def apart(
    committed: Iterable[tuple[int, float]], away: Sequence[tuple[float, float]]
) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    """What was committed outside these spans, and within one. Pure."""
    heard: list[tuple[int, float]] = []
    missed: list[tuple[int, float]] = []
    for seq, at in committed:
        (missed if any(begin <= at < end for begin, end in away) else heard).append((seq, at))
    return heard, missed


def delays(told: Sequence[tuple[float, int]], committed: Iterable[tuple[int, float]]) -> list[float]:
    """Seconds from each commit to the first message that reached as far; without those that none reached. Pure."""
    reached = [seq for _, seq in told]
    first = [(bisect_left(reached, seq), at) for seq, at in committed]
    return [max(0.0, told[k][0] - at) for k, at in first if k < len(told)]
