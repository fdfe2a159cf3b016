"""When a session's websocket sends a chart, and when the log's rows alone."""

import time

import pytest
from asgiref.sync import sync_to_async

from paste_web import live
from paste_web.live import SessionConsumer
from tests.paste_web.stored_sessions import a_user, append, ring, store
from tests.paste_web.test_live import HALF, next_of, watching
from tests.speculation.written_log import WrittenLog, example

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker_url")]


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch):
    monkeypatch.setattr(live, "TICK_SECONDS", 5.0)
    monkeypatch.setattr(live, "LEAST_PAUSE_SECONDS", 0.02)


def test_what_comes_before_the_next_chart_is_due_is_told_without_it_and_drawn_when_it_is_due(monkeypatch):
    monkeypatch.setattr(live, "DRAWING_PAUSE_SECONDS", 0.6)
    log = example()
    session = store(WrittenLog(log[:HALF]))

    async def grow_twice(socket):
        await next_of(socket, "snapshot")
        heard = []
        for start in (HALF, HALF + 1):
            await sync_to_async(append)(session, WrittenLog(log[start : start + 1]))
            ring(session)
            heard.append(await next_of(socket, "delta"))
        return [*heard, await next_of(socket, "delta")]

    at_once, told, drawn = watching(session, a_user(), grow_twice)
    assert "figure" in at_once, "after a quiet time nothing waits"
    assert "figure" not in told and told["seq"] == HALF + 2
    assert "figure" in drawn and (drawn["after"], drawn["seq"]) == (HALF + 2, HALF + 2)


def test_where_news_queue_behind_those_of_others_charts_come_less_often(monkeypatch):
    monkeypatch.setattr(live, "DRAWING_PAUSE_SECONDS", 0.02)
    at_once = SessionConsumer._timed_news
    monkeypatch.setattr(SessionConsumer, "_timed_news", lambda self, asked_at: at_once(self, asked_at - 0.3))
    log = example()
    session = store(WrittenLog(log[:HALF]))

    async def seconds_between_charts(socket):
        await next_of(socket, "snapshot")
        drawn_at = []
        for start in (HALF, HALF + 1):
            await sync_to_async(append)(session, WrittenLog(log[start : start + 1]))
            ring(session)
            while "figure" not in await next_of(socket, "delta"):
                pass
            drawn_at.append(time.monotonic())
        return drawn_at[1] - drawn_at[0]

    assert watching(session, a_user(), seconds_between_charts) > 0.8


@pytest.mark.parametrize(("waited", "pause"), [(0.0, 0.35), (0.01, 0.35), (0.02, 0.5), (0.04, 1.0), (9.0, 1.0)])
def test_the_pause_between_charts_grows_with_the_wait_within_bounds(waited, pause):
    assert live.pause_between_charts(waited) == pytest.approx(pause)
