"""A session's own moves: one owner at a time, who holds it by a lease and an attempt.

`claim` and `finish` are conditional updates like the moves of jobs.py: True for exactly one caller.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import F, Q, Value
from django.db.models.fields import DateTimeField
from django.db.models.functions import Cast, Coalesce, Now

from speculation import events, jobs
from speculation.models import JobStatus, Session, SessionStatus, ToolJob

LEASE_SECONDS = 10.0


def _lease() -> Any:
    return Cast(Now() + Value(timedelta(seconds=LEASE_SECONDS)), DateTimeField())


def claim(session_id: UUID, owner: str) -> Session | None:
    """Take a queued session, or one whose owner's lease ran out. None: somebody else has it, or it has ended."""
    free = Q(status=SessionStatus.QUEUED) | Q(status=SessionStatus.RUNNING, lease_until__lte=Now())
    claimed = Session.objects.filter(free, pk=session_id).update(
        status=SessionStatus.RUNNING,
        owner=owner,
        lease_until=_lease(),
        attempt=F("attempt") + 1,
        started_at=Coalesce("started_at", Now()),
    )
    return Session.objects.select_related("agent").get(pk=session_id) if claimed else None


def begin(session: Session) -> None:
    """Say in the log that the owner starts, or resumes."""
    kind = "session_started" if session.attempt == 1 else "session_resumed"
    parked = {"parked": True} if session.parked_at else {}
    events.append(session.pk, kind, as_attempt=session.attempt, attempt=session.attempt, owner=session.owner, **parked)


def park(session: Session) -> bool:
    """Nobody owns it until it is woken: neither a lease to keep nor one that runs out. False: it is not ours any more."""
    mine = Session.objects.filter(pk=session.pk, attempt=session.attempt, status=SessionStatus.RUNNING)
    parked = mine.update(owner="", lease_until=None, parked_at=Now(), parks=F("parks") + 1)
    return parked == 1


def wake(session_id: UUID) -> bool:
    """Like one whose lease ran out: the next worker that is told takes it first. True for exactly one caller."""
    parked = Session.objects.filter(pk=session_id, status=SessionStatus.RUNNING, lease_until=None)
    return parked.exclude(parked_at=None).update(lease_until=Now()) == 1


def unpark(session: Session) -> timedelta | None:
    """How long its owner finds it to have been parked; None where it was not."""
    if session.parked_at is None:
        return None
    mine = Session.objects.filter(pk=session.pk)
    parked_for: timedelta = mine.values_list(Now() - F("parked_at"), flat=True).get()
    mine.update(parked_at=None)
    return parked_for


def renew(session_ids: list[UUID], owner: str) -> None:
    """Keep the leases of sessions that this owner runs."""
    Session.objects.filter(pk__in=session_ids, owner=owner, status=SessionStatus.RUNNING).update(lease_until=_lease())


def finish(
    session: Session,
    status: SessionStatus,
    *,
    answer: str | None = None,
    error: str | None = None,
    as_of: datetime | None = None,
) -> bool:
    """End the session, if it is still this attempt's. Held speculations and calls not yet started go with it.

    Calls that run are left to end: stopping a change half way would leave the world in a state nobody asked for.
    `as_of`: when its work was over, where that was before now.
    """
    told = {"as_of": as_of.isoformat()} if as_of else {}
    try:
        with events.writing(session.pk, attempt=session.attempt) as log:
            jobs.drop_speculation(log, "session_ended" if status != SessionStatus.SUCCEEDED else "miss")
            for job in ToolJob.objects.filter(session=session, status=JobStatus.QUEUED, call_id__isnull=False):
                jobs.withdraw(log, job)
            log.append("session_ended", status=str(status), answer=answer, error=error, **told)
            log.notify(session.pk)
            return (
                Session.objects.filter(pk=session.pk, status=SessionStatus.RUNNING).update(
                    status=status, answer=answer, error=error, ended_at=as_of or Now(), lease_until=None
                )
                == 1
            )
    except events.SessionLost:
        return False


def cancel(session_id: UUID) -> bool:
    """Ask for the end of a session. A queued one ends at once; a running one when its owner sees the request.

    False: it had ended before.
    """
    with events.writing(session_id) as log:
        if log.session.has_ended:
            return False
        if log.session.status == SessionStatus.QUEUED:
            log.append("session_ended", status=str(SessionStatus.CANCELLED), answer=None, error="cancelled")
            fields: dict[str, Any] = {"status": SessionStatus.CANCELLED, "error": "cancelled", "ended_at": Now()}
        else:
            fields = {}
        Session.objects.filter(pk=session_id).update(cancel_requested_at=Now(), **fields)
        log.notify(session_id)
        return True
