"""Keeps the leases of all sessions that this process runs, with one thread for all of them."""

import logging
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import DatabaseError, InterfaceError, InternalError, OperationalError, connection
from django.db.models.functions import Now

from speculation import sessions
from speculation.models import Session, SessionStatus

logger = logging.getLogger(__name__)

AWAY = (DatabaseError, InterfaceError)
"""Neither is a kind of the other: what a lost connection raises depends on when it is noticed."""
UNREACHABLE = (OperationalError, InterfaceError, InternalError)
"""The database is away, or (InternalError) has ended a transaction in which this process hung. Its other errors are our own
mistakes: trying again elsewhere would only repeat them."""


def owner() -> str:
    """This process, as sessions name their owner and jobs their worker. Asked anew each time: workers fork."""
    return f"{socket.gethostname()}:{os.getpid()}"


class LeaseKeeper:
    """Renews what is held until it is let go. The thread starts with the first session, and stays.

    A process that hung may find that it has taken over its own session: two threads hold it then, for a while.
    """

    def __init__(self) -> None:
        self._held: Counter[UUID] = Counter()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def keeping(self, session_id: UUID) -> Iterator[None]:
        """Keep the session's lease. It is given up where the database failed: others may reach it already."""
        with self._lock:
            self._held[session_id] += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew_for_ever, name="session-leases", daemon=True)
                self._thread.start()
        has_failed = False
        try:
            yield
        except AWAY:
            has_failed = True
            raise
        finally:
            if self._let_go(session_id) and has_failed:
                give_up(session_id)

    def _let_go(self, session_id: UUID) -> bool:
        """True if nobody in this process holds the session any more."""
        with self._lock:
            self._held[session_id] -= 1
            if self._held[session_id] > 0:
                return False
            del self._held[session_id]
            return True

    def _renew_for_ever(self) -> None:
        pause = threading.Event()
        while not pause.wait(sessions.LEASE_SECONDS / 3):
            with self._lock:
                held = list(self._held)
            try:
                if held:
                    sessions.renew(held, owner())
            except AWAY as problem:  # without renewal another worker takes over, which is what leases are for
                logger.warning("could not renew session leases: %s", type(problem).__name__)
            finally:
                connection.close()


def give_up(session_id: UUID) -> None:
    """End the lease now instead of in some seconds, so that the next sweep hands the session over."""
    connection.close()
    try:
        Session.objects.filter(pk=session_id, owner=owner(), status=SessionStatus.RUNNING).update(lease_until=Now())
    except AWAY as problem:  # then it runs out by itself
        logger.warning("could not give up the lease of session %s: %s", session_id, type(problem).__name__)


keeper = LeaseKeeper()
