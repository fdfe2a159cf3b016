"""Keeps the leases of all sessions that this process runs, with one thread for all of them."""

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import DatabaseError, connection

from speculation import sessions

logger = logging.getLogger(__name__)


def owner() -> str:
    """This process, as sessions name their owner and jobs their worker. Asked anew each time: workers fork."""
    return f"{socket.gethostname()}:{os.getpid()}"


class LeaseKeeper:
    """Renews what is held until it is let go. The thread starts with the first session, and stays."""

    def __init__(self) -> None:
        self._held: set[UUID] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def keeping(self, session_id: UUID) -> Iterator[None]:
        with self._lock:
            self._held.add(session_id)
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew_for_ever, name="session-leases", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._held.discard(session_id)

    def _renew_for_ever(self) -> None:
        pause = threading.Event()
        while not pause.wait(sessions.LEASE_SECONDS / 3):
            with self._lock:
                held = list(self._held)
            try:
                if held:
                    sessions.renew(held, owner())
            except DatabaseError as problem:  # without renewal another worker takes over, which is what leases are for
                logger.warning("could not renew session leases: %s", type(problem).__name__)
            finally:
                connection.close()


keeper = LeaseKeeper()
