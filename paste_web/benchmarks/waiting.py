"""Waiting for sessions, and reading off them what the sections compare."""

import time
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from django.db import connection

from paste_web.processes import ProcessEnded, Processes
from speculation.models import Session, SessionStatus

LOOK_EVERY_SECONDS = 0.1


def wait_until(is_done: Callable[[], bool], processes: Processes, timeout_seconds: float, what: str) -> None:
    """Raises ProcessEnded if a process ends meanwhile, or after the timeout."""
    deadline = time.monotonic() + timeout_seconds
    while not is_done():
        processes.check()
        if time.monotonic() > deadline:
            raise ProcessEnded(
                f"{what}: nothing came of it within {timeout_seconds:.0f} s; the logs of the workers say why"
            )
        connection.close()
        time.sleep(LOOK_EVERY_SECONDS)


def wait_for_ends(sessions: Sequence[Session], processes: Processes, timeout_seconds: float) -> list[Session]:
    """The same sessions as they ended. Raises ProcessEnded where one did not succeed."""
    keys = [session.pk for session in sessions]
    wait_until(lambda: not unended(keys), processes, timeout_seconds, f"{len(sessions)} sessions")
    ended = Session.objects.in_bulk(keys)
    for session in ended.values():
        if session.status != SessionStatus.SUCCEEDED:
            raise ProcessEnded(f"session {session.pk} {session.status}: {session.error}")
    return [ended[key] for key in keys]


def unended(keys: Iterable[UUID]) -> set[UUID]:
    return set(Session.objects.filter(pk__in=list(keys), ended_at=None).values_list("pk", flat=True))


def task_seconds(session: Session) -> float:
    """From its submission to its end."""
    assert session.ended_at is not None
    return float((session.ended_at - session.created_at).total_seconds())
