"""Is the channel layer still there? A socket that hears no bells must not look alive."""

import asyncio
import time
from typing import Any

EVERY_SECONDS = 0.9
LONGEST_SEND_SECONDS = 0.8
LONGEST_SILENCE_SECONDS = 2.2
"""From a beat to its echo. With the beat before and the look after it well within the five seconds that pages promise."""
LAST_CHANCE_SECONDS = 0.2
"""For an echo that has come but was not read yet: everything in this process waits for one another."""


class LayerLost(Exception):
    """What a socket told its own channel did not come back."""


class Heartbeat:
    """One socket's own: what it sends to its channel must reach it, as any bell would."""

    def __init__(self, layer: Any, channel: str, kind: str) -> None:
        self._layer, self._channel, self._kind = layer, channel, kind
        self._sent_at = time.monotonic()
        self._unanswered_since: float | None = None
        """When the oldest beat was sent that nothing has come back of. A socket that was busy elsewhere owes nothing."""

    def heard(self) -> None:
        self._unanswered_since = None

    async def beat(self) -> None:
        """Call it about once a second. Raises LayerLost."""
        if self._is_silent() and not await self._hears_after_all():
            raise LayerLost("nothing came back from the channel layer")
        now = time.monotonic()
        if now - self._sent_at < EVERY_SECONDS:
            return
        self._sent_at = now
        self._unanswered_since = self._unanswered_since or now
        try:
            async with asyncio.timeout(LONGEST_SEND_SECONDS):
                await self._layer.send(self._channel, {"type": self._kind})
        except Exception as problem:  # whatever layer it is, and however it fails
            raise LayerLost(type(problem).__name__) from problem

    def _is_silent(self) -> bool:
        since = self._unanswered_since
        return since is not None and time.monotonic() - since > LONGEST_SILENCE_SECONDS

    async def _hears_after_all(self) -> bool:
        await asyncio.sleep(LAST_CHANCE_SECONDS)
        return not self._is_silent()
