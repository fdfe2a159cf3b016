"""When a session's websocket sends a chart, and when the log's rows alone."""

import time

import pytest
from asgiref.sync import sync_to_async

from paste_web import live
from paste_web.news_rounds import Rounds
from paste_web.session_view import SessionView
from tests.paste_web.stored_sessions import a_user, append, ring, store
from tests.paste_web.test_live import HALF, next_of, watching
from tests.speculation.written_log import WrittenLog, example

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker_url")]


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch):
    monkeypatch.setattr(live, "TICK_SECONDS", 5.0)
    monkeypatch.setattr(live, "LEAST_PAUSE_SECONDS", 0.02)


def test_what_comes_before_the_next_chart_is_due_is_told_without_it_and_drawn_when_it_is_due(monkeypatch):
    monkeypatch.setattr(live, "DRAWING_PAUSE_SECONDS", 1.5)
    log = example()
    session = store(WrittenLog(log[:HALF]))

    async def grow_twice(socket):
        await next_of(socket, "snapshot")
        heard = []
        for start in (HALF, HALF + 1):
            await sync_to_async(append)(session, WrittenLog(log[start : start + 1]))
            ring(session)
            for _ in range(2):
                heard.append((await next_of(socket, "delta"), time.monotonic()))
        return heard

    (rows, _), (chart, drawn_at), (more, told_at), (drawn, last_at) = watching(session, a_user(), grow_twice)
    assert ["figure" in message for message in (rows, chart, more, drawn)] == [False, True, False, True]
    assert (more["after"], more["seq"]) == (HALF + 1, HALF + 2)
    assert (drawn["after"], drawn["seq"]) == (HALF + 2, HALF + 2)
    assert told_at - drawn_at < 1.0 < last_at - drawn_at, "after a quiet time nothing waits; then the chart does, and no row"


def test_where_news_queue_behind_those_of_others_charts_come_less_often(monkeypatch):
    monkeypatch.setattr(live, "DRAWING_PAUSE_SECONDS", 0.02)
    at_once = Rounds.rows

    async def late(*asked):
        return (await at_once(*asked))._replace(waited_seconds=0.3)

    monkeypatch.setattr(Rounds, "rows", late)
    assert seconds_between_charts() > 0.8


def test_charts_that_take_long_come_less_often(monkeypatch):
    monkeypatch.setattr(live, "DRAWING_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(live, "PAUSE_TIMES_COST", 1.0)
    draw = SessionView.drawing

    def slowly(view):
        until = time.thread_time() + 0.5
        while time.thread_time() < until:
            pass
        return draw(view)

    monkeypatch.setattr(SessionView, "drawing", slowly)
    assert seconds_between_charts() > 0.95, "as much again, and the drawing itself"


def seconds_between_charts() -> float:
    log = example()
    session = store(WrittenLog(log[:HALF]))

    async def draw_twice(socket):
        await next_of(socket, "snapshot")
        drawn_at = []
        for start in (HALF, HALF + 1):
            await sync_to_async(append)(session, WrittenLog(log[start : start + 1]))
            ring(session)
            while "figure" not in await next_of(socket, "delta"):
                pass
            drawn_at.append(time.monotonic())
        return drawn_at[1] - drawn_at[0]

    return watching(session, a_user(), draw_twice)


@pytest.mark.parametrize(("waited", "pause"), [(0.0, 0.35), (0.01, 0.35), (0.02, 0.5), (0.04, 1.0), (9.0, 1.0)])
def test_the_pause_between_charts_grows_with_the_wait_within_bounds(waited, pause):
    assert live.pause_between_charts(waited) == pytest.approx(pause)
