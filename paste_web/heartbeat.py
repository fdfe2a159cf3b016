"""Is the channel layer still there? A socket that hears no bells must not look alive."""

import asyncio
import time
from typing import Any

EVERY_SECONDS = 0.9
LONGEST_SEND_SECONDS = 0.8
LONGEST_SILENCE_SECONDS = 3.0


class LayerLost(Exception):
    """What a socket told its own channel did not come back."""


class Heartbeat:
    """One socket's own: what it sends to its channel must reach it, as any bell would."""

    def __init__(self, layer: Any, channel: str, kind: str) -> None:
        self._layer, self._channel, self._kind = layer, channel, kind
        self._sent_at = self._heard_at = time.monotonic()

    def heard(self) -> None:
        self._heard_at = time.monotonic()

    async def beat(self) -> None:
        """Call it about once a second. Raises LayerLost."""
        now = time.monotonic()
        if now - self._heard_at > LONGEST_SILENCE_SECONDS:
            raise LayerLost("nothing came back from the channel layer")
        if now - self._sent_at < EVERY_SECONDS:
            return
        self._sent_at = now
        try:
            await asyncio.wait_for(self._layer.send(self._channel, {"type": self._kind}), LONGEST_SEND_SECONDS)
        except Exception as problem:  # whatever layer it is, and however it fails
            raise LayerLost(type(problem).__name__) from problem
