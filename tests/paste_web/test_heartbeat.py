"""A socket notices that the channel layer is gone, and is not sent away for having been busy itself."""

import asyncio
from typing import Any

import pytest

from paste_web import heartbeat
from paste_web.heartbeat import Heartbeat, LayerLost


class Layer:
    """Gives back what it was sent as soon as somebody else's turn comes, or never."""

    def __init__(self) -> None:
        self.beats = 0
        self.is_deaf = False
        self.heart: Heartbeat | None = None

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        self.beats += 1
        if not self.is_deaf and self.heart is not None:
            asyncio.get_running_loop().call_soon(self.heart.heard)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(heartbeat, "time", clock)
    return clock


def beating(layer: Layer) -> Heartbeat:
    layer.heart = Heartbeat(layer, "one", "session.echo")
    return layer.heart


def test_what_comes_back_keeps_a_socket_alive(clock: Clock) -> None:
    async def live() -> int:
        layer = Layer()
        heart = beating(layer)
        for _ in range(20):
            clock.now += 1.0
            await heart.beat()
            await asyncio.sleep(0)
        return layer.beats

    assert asyncio.run(live()) == 20


@pytest.mark.parametrize("is_echo_read", [True, False], ids=["busy after the echo", "busy before it could be read"])
def test_a_socket_that_was_busy_for_long_is_not_taken_for_a_lost_layer(clock: Clock, is_echo_read: bool) -> None:
    async def live() -> int:
        layer = Layer()
        heart = beating(layer)
        clock.now += 1.0
        await heart.beat()
        if is_echo_read:
            await asyncio.sleep(0)
        clock.now += 30.0
        await heart.beat()
        return layer.beats

    assert asyncio.run(live()) == 2


def test_silence_after_a_beat_is_a_lost_layer_within_five_seconds(clock: Clock) -> None:
    async def live() -> float:
        layer = Layer()
        heart = beating(layer)
        clock.now += 1.0
        await heart.beat()
        await asyncio.sleep(0)
        layer.is_deaf, lost_at = True, clock.now
        with pytest.raises(LayerLost, match="nothing came back"):
            for _ in range(10):
                clock.now += 1.0
                await heart.beat()
        return clock.now - lost_at

    assert asyncio.run(live()) < 5.0


def test_a_layer_that_cannot_be_told_is_lost_at_once(clock: Clock) -> None:
    class Gone(Layer):
        async def send(self, channel: str, message: dict[str, Any]) -> None:
            raise ConnectionError

    async def live() -> None:
        heart = beating(Gone())
        clock.now += 1.0
        await heart.beat()

    with pytest.raises(LayerLost, match="ConnectionError"):
        asyncio.run(live())
