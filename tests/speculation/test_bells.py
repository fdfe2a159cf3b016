"""Watchers hear that a log has grown: soon, few times, and whatever becomes of the broker nobody waits for it."""

import asyncio
import os
import threading
from uuid import UUID

import pytest
from channels.layers import get_channel_layer
from django.conf import settings

from speculation import bells
from speculation.bells import GATHER_FOR_LIST_SECONDS, Bell, Rings
from tests.speculation.house import wait_for

ONE, OTHER = UUID(int=1), UUID(int=2)


def silent(rings: Rings) -> None:
    """Sends nothing: the test takes what is due itself."""


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def still(clock: Clock) -> Bell:
    """A bell whose thread does nothing."""
    bell = Bell(silent, clock)
    bell._thread = threading.current_thread()
    return bell


def test_rings_of_one_moment_become_one_for_each_session_with_the_newest_seq() -> None:
    bell = still(Clock())
    for session, seq in ((ONE, 3), (OTHER, 7), (ONE, 5), (ONE, 4)):
        bell.ring(session, seq)
    assert bell.take() == [
        (f"session.{ONE.hex}", {"type": "session.bell", "seq": 5}),
        (f"session.{OTHER.hex}", {"type": "session.bell", "seq": 7}),
    ]
    assert bell.take() == []


def test_the_list_hears_of_all_that_changed_in_a_while_at_once() -> None:
    clock = Clock()
    bell = still(clock)
    bell.ring(OTHER, 1)
    bell.take()
    bell.ring(ONE, 1)
    clock.now += GATHER_FOR_LIST_SECONDS
    *_, (group, message) = bell.take()
    assert (group, message) == ("sessions", {"type": "sessions.bell", "sessions": [str(ONE), str(OTHER)]})
    assert bell.take() == []


def test_what_was_rung_is_told_without_another_ring() -> None:
    told: list[tuple[str, object]] = []
    Bell(told.extend).ring(ONE, 9)
    wait_for(lambda: [group for group, _ in told] == [f"session.{ONE.hex}", "sessions"])


def test_a_broker_that_fails_costs_its_rings_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bells, "PAUSE_AFTER_FAILURE_SECONDS", 0.0)
    told: list[str] = []

    def send(rings: Rings) -> None:
        if not caplog.records:
            raise ConnectionError("the broker is away, and its address has a password")
        told.extend(group for group, _ in rings)

    bell = Bell(send)
    bell.ring(ONE, 1)
    wait_for(lambda: bool(caplog.records))
    bell.ring(OTHER, 1)
    wait_for(lambda: f"session.{OTHER.hex}" in told)
    assert [record.getMessage() for record in caplog.records] == ["could not ring the bell: ConnectionError"]
    assert f"session.{ONE.hex}" not in told


def test_a_process_that_was_forked_rings_by_a_thread_of_its_own() -> None:
    read, write = os.pipe()
    bell = Bell(lambda rings: os.write(write, b"told"))
    bell.ring(ONE, 1)
    assert os.read(read, 4) == b"told"
    before = bell._thread
    bell.forget()
    bell.ring(ONE, 2)
    assert os.read(read, 4) == b"told"
    assert bell._thread is not before


@pytest.mark.usefixtures("broker_url")
def test_the_channel_layer_hears_what_is_published() -> None:
    async def heard() -> object:
        layer = get_channel_layer()
        name = await layer.new_channel()
        await layer.group_add("session.bells", name)
        await asyncio.to_thread(
            bells.publish, [("nobody", {"type": "x"}), ("session.bells", {"type": "session.bell", "seq": 4})]
        )
        async with asyncio.timeout(5):
            return await layer.receive(name)

    assert asyncio.run(heard()) == {"type": "session.bell", "seq": 4}


def test_a_channel_layer_without_a_broker_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CHANNEL_LAYERS", {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}})
    bells.publish([("sessions", {"type": "x"})])
