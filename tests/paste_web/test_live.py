"""What a session's websocket says, on a real channel layer and a real database."""

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser

from paste_web import heartbeat, live
from paste_web.asgi import application
from paste_web.live import SessionConsumer, SessionsConsumer, after_of
from speculation.bells import GATHER_FOR_LIST_SECONDS
from tests.paste_web.stored_sessions import a_user, append, ring, store
from tests.paste_web.test_redaction import SECRET, store_secretive
from tests.speculation.written_log import WrittenLog, example

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker_url")]

HALF = 14


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch):
    monkeypatch.setattr(live, "TICK_SECONDS", 0.1)
    monkeypatch.setattr(live, "LEAST_PAUSE_SECONDS", 0.02)


def socket_of(session, user, query="") -> WebsocketCommunicator:
    communicator = WebsocketCommunicator(SessionConsumer.as_asgi(), f"/ws/sessions/{session.pk}/?{query}")
    communicator.scope["user"] = user
    communicator.scope["url_route"] = {"kwargs": {"session_id": session.pk}}
    return communicator


def watching(session, user, scenario: Callable[[WebsocketCommunicator], Awaitable[Any]], query="") -> Any:
    """Run `scenario` with an open socket; returns what it returns."""

    async def run():
        communicator = socket_of(session, user, query)
        connected, _ = await communicator.connect()
        assert connected
        try:
            return await scenario(communicator)
        finally:
            await communicator.disconnect()

    return async_to_sync(run)()


async def next_of(communicator, kind):
    """The next message of this kind; everything before it is acknowledged."""
    while True:
        message = await communicator.receive_json_from(timeout=5)
        await communicator.send_json_to({"type": "drawn"})
        if message["type"] == kind:
            return message


def test_a_snapshot_comes_first_and_holds_everything():
    log = example()
    message = watching(store(log), a_user("op1", "view_payloads"), lambda socket: next_of(socket, "snapshot"))
    assert (message["after"], message["seq"], message["live"]) == (0, len(log), False)
    assert set(message["parts"]) == {"head", "facts", "strip", "calls", "turns", "predictions", "answer"}
    assert "get_order(W2378156)" in message["parts"]["calls"]
    assert message["events"].count("<tr") == len(log)


def test_the_end_is_explicit_and_comes_after_everything():
    async def until_closed(socket):
        await next_of(socket, "snapshot")
        closed = await next_of(socket, "closed")
        return closed, await socket.receive_output(timeout=5)

    closed, last = watching(store(example()), a_user(), until_closed)
    assert closed == {"type": "closed", "seq": len(example()), "status": "succeeded"}
    assert last["type"] == "websocket.close"


def test_a_bell_brings_a_delta_with_only_what_is_new():
    log = example()
    session = store(WrittenLog(log[:HALF]))

    async def grow(socket):
        await next_of(socket, "snapshot")
        await sync_to_async(append)(session, WrittenLog(log[HALF:]))
        ring(session)
        return await next_of(socket, "delta")

    message = watching(session, a_user(), grow)
    assert (message["after"], message["seq"]) == (HALF, len(log))
    assert message["events"].count("<tr") == len(log) - HALF
    assert "5.2 s" in message["parts"]["facts"]


def test_a_browser_that_says_it_has_drawn_is_not_told_more_for_it(monkeypatch):
    """Where nothing happens a watcher is told the time once a tick, however fast it draws."""
    monkeypatch.setattr(live, "TICK_SECONDS", 0.5)

    async def draw_quickly(socket):
        await next_of(socket, "snapshot")
        began = time.monotonic()
        await next_of(socket, "tick")
        await next_of(socket, "tick")
        return time.monotonic() - began

    assert watching(store(WrittenLog(example()[:HALF])), a_user(), draw_quickly) > 0.9


def test_a_lost_bell_costs_a_tick_and_nothing_else():
    log = example()
    session = store(WrittenLog(log[:HALF]))

    async def grow_silently(socket):
        await next_of(socket, "tick")
        await sync_to_async(append)(session, WrittenLog(log[HALF:]))
        return await next_of(socket, "delta")

    assert watching(session, a_user(), grow_silently)["seq"] == len(log)


def test_a_browser_that_had_part_of_the_log_gets_the_rest():
    log = example()
    message = watching(store(log), a_user(), lambda socket: next_of(socket, "snapshot"), query="after=20")
    assert message["after"] == 20
    assert message["events"].count("<tr") == len(log) - 20


def test_a_browser_that_sees_a_gap_gets_a_snapshot():
    async def ask(socket):
        await next_of(socket, "snapshot")
        await socket.send_json_to({"type": "resync"})
        return await next_of(socket, "snapshot")

    assert watching(store(WrittenLog(example()[:HALF])), a_user(), ask)["after"] == 0


def test_a_browser_that_does_not_draw_is_sent_nothing_more_until_it_does_then_a_snapshot(monkeypatch):
    monkeypatch.setattr(live, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(live, "LEAST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(live, "PAUSE_TIMES_COST", 0.0)

    async def fall_behind(socket):
        undrawn = [await socket.receive_json_from(timeout=5) for _ in range(live.MOST_UNDRAWN + 1)]
        silent = await socket.receive_nothing(timeout=0.5)
        await socket.send_json_to({"type": "drawn"})
        return undrawn, silent, await socket.receive_json_from(timeout=5)

    undrawn, silent, message = watching(store(WrittenLog(example()[:HALF])), a_user(), fall_behind)
    assert [m["type"] for m in undrawn] == ["snapshot"] + ["tick"] * live.MOST_UNDRAWN
    assert silent
    assert message["type"] == "snapshot"


def test_a_browser_that_looks_at_a_range_gets_it_and_keeps_it():
    log = example()
    session = store(WrittenLog(log[:HALF]))

    async def look_and_grow(socket):
        await next_of(socket, "snapshot")
        await socket.send_json_to({"type": "look", "sight": {"from": "2", "to": "4", "before": "6"}})
        looked = await next_of(socket, "look")
        await sync_to_async(append)(session, WrittenLog(log[HALF:]))
        ring(session)
        return looked, await next_of(socket, "delta")

    looked, delta = watching(session, a_user(), look_and_grow)
    assert looked["figure"]["view"] == delta["figure"]["view"] == [1, 5]
    assert looked["parts"]["events"].count("<tr data-seq") == 6
    assert "<tr" not in delta["events"], "whoever reads an earlier part of the log keeps it"


@pytest.mark.parametrize("noise", ["", "{", "[]", '{"type": 3}', '"drawn"', '{"type": "look"}', '{"type": "look", "sight": [1]}'])
def test_noise_from_a_browser_changes_nothing(noise):
    async def shout(socket):
        await next_of(socket, "snapshot")
        await socket.send_to(text_data=noise or " ")
        return await next_of(socket, "tick")

    assert watching(store(WrittenLog(example()[:HALF])), a_user(), shout)["seq"] == HALF


def test_arguments_stay_on_the_server_without_the_permission():
    message = watching(store(example()), a_user("eve"), lambda socket: next_of(socket, "snapshot"))
    assert "W2378156" not in repr({**message, "parts": {**message["parts"], "head": ""}})


def test_no_message_holds_what_the_watcher_may_not_read():
    async def listen(socket):
        await socket.send_json_to({"type": "look", "sight": {"from": "0", "to": "2", "before": "12", "call": "1.0"}})
        heard = []
        while not heard or heard[-1]["type"] != "closed":
            heard.append(await socket.receive_json_from(timeout=5))
        return heard

    heard = watching(store_secretive(), a_user("eve"), listen)
    assert {message["type"] for message in heard} >= {"snapshot", "closed"}
    assert SECRET not in json.dumps(heard)


def test_nobody_watches_without_a_login_or_a_session():
    session, user = store(example()), a_user()

    async def knock():
        stranger = await socket_of(session, AnonymousUser()).connect()
        nothing = socket_of(session, user)
        nothing.scope["url_route"]["kwargs"]["session_id"] = "0198f3c2-0000-7000-8000-000000000000"
        return stranger, await nothing.connect()

    (stranger, _), (nothing, _) = async_to_sync(knock)()
    assert (stranger, nothing) == (False, False)


def test_another_sites_page_cannot_open_a_socket():
    async def knock(origin):
        headers = [(b"origin", origin), (b"host", b"localhost")]
        communicator = WebsocketCommunicator(application, "/ws/sessions/", headers=headers)
        connected, _ = await communicator.connect()
        return connected

    assert async_to_sync(knock)(b"http://elsewhere.example") is False


def test_the_list_hears_which_sessions_changed():
    session = store(WrittenLog(example()[:HALF]))
    time.sleep(GATHER_FOR_LIST_SECONDS + 0.1)  # what an earlier test rang is told before we listen

    async def listen():
        communicator = WebsocketCommunicator(SessionsConsumer.as_asgi(), "/ws/sessions/")
        communicator.scope["user"] = await sync_to_async(a_user)()
        await communicator.connect()
        await communicator.receive_json_from(timeout=5)
        ring(session)
        message = {"type": "tick"}
        while message["type"] == "tick":
            message = await communicator.receive_json_from(timeout=5)
        await communicator.disconnect()
        return message

    assert async_to_sync(listen)() == {"type": "changed", "sessions": [str(session.pk)]}


def test_fifty_bells_at_once_bring_the_rows_once_and_one_chart():
    log = example()
    session = store(WrittenLog(log[:HALF]))

    async def ring_a_lot(socket):
        await next_of(socket, "snapshot")
        await sync_to_async(append)(session, WrittenLog(log[HALF : HALF + 2]))
        for _ in range(50):
            ring(session)
        rows = await next_of(socket, "delta")
        return [rows, *[await socket.receive_json_from(timeout=5) for _ in range(3)]]

    rows, chart, *later = watching(session, a_user(), ring_a_lot)
    assert rows["events"].count("<tr") == 2 and "figure" not in rows
    assert chart["type"] == "delta" and "figure" in chart and not chart["events"].strip()
    assert [message["type"] for message in later] == ["tick", "tick"]


async def last_word_of(socket, session, bells, seconds=2.0):
    """The last that a socket says in so many seconds, while bells are rung for it or not."""
    said, until = "", time.monotonic() + seconds
    while time.monotonic() < until and said != "websocket.close":
        if bells:
            ring(session)
        if await socket.receive_nothing(timeout=0.1):
            continue
        said = (await socket.receive_output())["type"]
        await socket.send_json_to({"type": "drawn"})
    return said


@pytest.fixture
def no_echoes(monkeypatch):
    """A layer that is so busy with bells that echoes come too late, or do not come."""

    async def nothing(consumer, message):
        pass

    monkeypatch.setattr(SessionConsumer, "session_echo", nothing)
    monkeypatch.setattr(SessionsConsumer, "sessions_echo", nothing)
    monkeypatch.setattr(live, "LIST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(heartbeat, "EVERY_SECONDS", 0.1)
    monkeypatch.setattr(heartbeat, "LONGEST_SILENCE_SECONDS", 0.6)
    monkeypatch.setattr(heartbeat, "LAST_CHANCE_SECONDS", 0.05)


@pytest.mark.parametrize(("bells", "last_word"), [(True, "websocket.send"), (False, "websocket.close")])
@pytest.mark.parametrize("of_the_list", [False, True])
def test_bells_that_come_show_that_the_layer_lives_though_echoes_do_not(no_echoes, of_the_list, bells, last_word):
    session = store(WrittenLog(example()[:HALF]))
    user = a_user()

    async def listen():
        socket = socket_of(session, user)
        if of_the_list:
            socket = WebsocketCommunicator(SessionsConsumer.as_asgi(), "/ws/sessions/")
            socket.scope["user"] = user
        await socket.connect()
        try:
            return await last_word_of(socket, session, bells)
        finally:
            await socket.disconnect()

    assert async_to_sync(listen)() == last_word


@pytest.mark.parametrize(("query", "after"), [(b"after=12", 12), (b"", 0), (b"after=-1", 0), (b"after=x", 0), (b"\xff", 0)])
def test_after_is_a_number_or_nothing(query, after):
    assert after_of(query) == after
