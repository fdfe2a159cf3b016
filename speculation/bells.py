"""Tells watchers that a log has grown, from synchronous code, without waiting. The log is the truth: a bell may be lost.

One thread a process takes what was rung within a moment to the broker, all of it in one round trip, in the format of the
channel layer. Sent through the layer each would wait for the one before, behind a lock: from a worker whose sessions write
250 entries a second they came seconds late and cost more than writing the log did.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from channels.layers import get_channel_layer
from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

GATHER_SECONDS = 0.01
GATHER_FOR_LIST_SECONDS = 0.25
"""The list of sessions tells its watchers once a second: it need not hear of every event."""
PAUSE_AFTER_FAILURE_SECONDS = 1.0
LONGEST_SEND_SECONDS = 2.0

Rings = Sequence[tuple[str, Mapping[str, Any]]]
"""Groups of the channel layer, each with its message."""


def publish(rings: Rings) -> None:
    """To the channel layer's broker, if it has one. Raises redis.RedisError."""
    config = settings.CHANNEL_LAYERS["default"].get("CONFIG", {})
    if not config.get("hosts"):
        return
    layer = get_channel_layer()
    with _broker(config["hosts"][0]).pipeline(transaction=False) as pipeline:
        for group, message in rings:
            pipeline.publish(f"{config['prefix']}__group__{group}", layer.serialize(message))
        pipeline.execute()


@lru_cache(maxsize=1)
def _broker(url: str) -> Redis:
    """Fails at once where it fails: the next rings are no worse for what these lost."""
    limits = {"socket_timeout": LONGEST_SEND_SECONDS, "socket_connect_timeout": LONGEST_SEND_SECONDS}
    return Redis.from_url(url, retry=Retry(NoBackoff(), 0), **limits)


class Bell:
    """Rings of one moment become one. Its thread starts with the first."""

    def __init__(self, send: Callable[[Rings], None] = publish, clock: Callable[[], float] = time.monotonic) -> None:
        self._send, self._clock = send, clock
        self.forget()

    def forget(self) -> None:
        """After a fork the parent's thread runs in no process of ours, and its broker's connection is not ours to use."""
        self._lock, self._rung = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self._due: dict[UUID, int] = {}
        self._due_in_list: set[UUID] = set()
        self._list_due_at = 0.0
        _broker.cache_clear()

    def ring(self, session_id: UUID, seq: int) -> None:
        """Tell the watchers of this session, and those of the list."""
        with self._lock:
            self._due[session_id] = max(seq, self._due.get(session_id, 0))
            if not self._due_in_list:
                self._list_due_at = self._clock() + GATHER_FOR_LIST_SECONDS
            self._due_in_list.add(session_id)
            if self._thread is None:
                self._thread = threading.Thread(target=self._ring_on, name="bell", daemon=True)
                self._thread.start()
        if not self._rung.is_set():
            self._rung.set()

    def _ring_on(self) -> None:
        while True:
            self._rung.wait(self._until_list())
            time.sleep(GATHER_SECONDS)
            self._rung.clear()
            if rings := self.take():
                self._send_or_lose(rings)

    def _until_list(self) -> float | None:
        with self._lock:
            return max(0.0, self._list_due_at - self._clock()) if self._due_in_list else None

    def take(self) -> Rings:
        """What is to be told now, which then is told."""
        with self._lock:
            due, self._due = self._due, {}
            listed: set[UUID] = set()
            if self._due_in_list and self._clock() >= self._list_due_at:
                listed, self._due_in_list = self._due_in_list, set()
        rings = [(f"session.{session.hex}", {"type": "session.bell", "seq": seq}) for session, seq in due.items()]
        if listed:
            rings.append(("sessions", {"type": "sessions.bell", "sessions": sorted(map(str, listed))}))
        return rings

    def _send_or_lose(self, rings: Rings) -> None:
        try:
            self._send(rings)
        except Exception as problem:  # noqa: BLE001  (a lost bell must never fail a session, nor end this thread)
            logger.warning("could not ring the bell: %s", type(problem).__name__)
            time.sleep(PAUSE_AFTER_FAILURE_SECONDS)


bell = Bell()
