"""Waiting for a job to end or to be given up, notified by PostgreSQL instead of polled.

One LISTEN connection a process, outside the pool, hands notices to any number of waiting threads. A notice may be lost
(a reconnect, a crash), so whoever waits reads the row again after `look_again_seconds` at the latest. Nobody holds a
database connection while waiting.
"""

import logging
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection

from speculation.events import NOTICE_CHANNEL

logger = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 1.0
RECONNECT_SECONDS = 0.5
CONNECT_SECONDS = 10


class Listener:
    """Hands notices of NOTICE_CHANNEL to the events that wait for their key. Starts itself, once a process."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiting: dict[str, set[threading.Event]] = defaultdict(set)
        self._lock = threading.Lock()
        self._listening = threading.Event()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._has_lost = False

    @contextmanager
    def waiting_for(self, *keys: object) -> Iterator[threading.Event]:
        """An event that is set by a notice for any of the keys. Subscribe first, then read the row, then wait."""
        self._start()
        bell = threading.Event()
        names = [str(key) for key in keys]
        with self._lock:
            for name in names:
                self._waiting[name].add(bell)
        try:
            yield bell
        finally:
            with self._lock:
                for name in names:
                    self._waiting[name].discard(bell)
                    if not self._waiting[name]:
                        del self._waiting[name]

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._listen, name="notices", daemon=True)
                self._thread.start()
        self._listening.wait(RECONNECT_SECONDS)

    def stop(self) -> None:
        """End the thread and its connection."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True, connect_timeout=CONNECT_SECONDS) as listening:
                    listening.execute(f"LISTEN {NOTICE_CHANNEL}")
                    if self._has_lost:
                        forget_dead_connections()
                    self._listening.set()
                    self._wake_all()  # what was said while we were away is lost: everybody looks for himself
                    self._hand_out(listening)
            except (psycopg.Error, OSError) as problem:
                logger.warning("lost the notice connection (%s), connecting again", type(problem).__name__)
                self._has_lost = True
                self._stopping.wait(RECONNECT_SECONDS)

    def _hand_out(self, listening: psycopg.Connection[Any]) -> None:
        while not self._stopping.is_set():
            for notice in listening.notifies(timeout=LOOK_AGAIN_SECONDS):
                self._wake(notice.payload)

    def _wake(self, key: str) -> None:
        with self._lock:
            for bell in self._waiting.get(key, ()):
                bell.set()

    def _wake_all(self) -> None:
        with self._lock:
            for bells in self._waiting.values():
                for bell in bells:
                    bell.set()


_listeners: dict[tuple[int, str], Listener] = {}
_making = threading.Lock()


def listener() -> Listener:
    """This process's listener (a forked one gets its own) for the database in use, a test database included."""
    url = settings.PASTE_LISTEN_URL
    with _making:
        return _listeners.setdefault((os.getpid(), url), Listener(url))


def stop_listening() -> None:
    """End this process's listeners, before their database goes away."""
    for key in [key for key in _listeners if key[0] == os.getpid()]:
        _listeners.pop(key).stop()


def forget_dead_connections() -> None:
    """Replace what has died in this process's pool.

    Whatever ended this connection (a restart, a failover) has mostly ended those that lie idle in the pool too, and each
    would fail whoever takes it next. Asking here costs nothing when all is well, as a check at every use would.
    """
    pool = getattr(connection, "pool", None)
    if pool is not None and not pool.closed:
        pool.check()


def assert_outside_transaction() -> None:
    """Never wait inside transaction.atomic(): it would hold locks and a connection for as long as a tool runs."""
    if connection.in_atomic_block:
        raise AssertionError("waiting inside a transaction")
