"""What an open breaker does, and how it closes again.

The database decides who opens: an opening is an insert into a table that holds at most one open row a subject. It is one
transaction that holds the pools, so that no admission falls between its reading and its writing. Where held results may
be wrong, the tool's policy version is stepped next, so that from that commit on none of them is served: in a transaction
of its own, since whoever waits for a tool's row while guesses are admitted waits long, and once the breaker is open none
is. Then what is queued or running is given up, session by session. Every opening and closing is audited.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import DateTimeField, F, QuerySet, Value
from django.db.models.functions import Cast, Coalesce, Least, Now

from speculation import giving_up, jobs, locks, policy
from speculation.canaries import why_rolled_back
from speculation.engine.breaking import Kind, Subject, Trip, needs_review
from speculation.giving_up import GivenUp
from speculation.models import AuditEntry, BreakerOpening, JobStatus, ToolJob, ToolRecord, WorkerPool

UNFINISHED = (JobStatus.QUEUED, JobStatus.RUNNING)
SYSTEM = "system"
ONE_DAY = timedelta(days=1)


def open_breaker(trip: Trip, until: datetime | None = None) -> BreakerOpening | None:
    """The opening, for exactly one of all who try; None for the others. `until`: instead of the limits' own time."""
    opening = insert(
        kind=trip.kind,
        subject=trip.subject,
        who=SYSTEM,
        reason=trip.reason,
        measured=trip.measured,
        limit=trip.limits.limit,
        open_until=until or _in_seconds(trip.limits.reset_seconds),
    )
    if opening is None:
        return None
    if opening.tool is not None and trip.kind.distrusts_results:
        policy.distrust(opening.tool, trip.reason)
    enforce(opening)
    if opening.tool is not None:
        _review(opening.tool, opening)
    return opening


def insert(
    *, kind: Kind, subject: Subject, who: str, reason: str, user: AbstractBaseUser | None = None, **fields: Any
) -> BreakerOpening | None:
    """One transaction that holds the pools. The unique constraint has the last word."""
    with transaction.atomic(durable=True):
        hold_pools()
        whose = {"kind": kind, "scope": subject.scope, "tool_id": subject.tool, "agent_id": subject.agent}
        for lapsed in _lapsed().filter(**whose):
            close_by_itself(lapsed)
        before = BreakerOpening.objects.filter(opened_at__gt=Now() - ONE_DAY, **whose).count()
        try:
            with transaction.atomic():
                opening = BreakerOpening.objects.create(reason=reason[:500], reopened=before, **whose, **fields)
        except IntegrityError:
            return None
        opening.refresh_from_db()
        after = {"measured": opening.measured, "limit": opening.limit, "until": _text(opening.open_until)}
        _audit("opened", opening, who, user, opening.reason, after)
    return opening


def enforce(opening: BreakerOpening) -> GivenUp:
    """Give up what is queued or running under it, and what is held where that may be wrong."""
    kind = Kind(opening.kind)
    reason = "paused" if kind == Kind.PAUSE else f"breaker open: {kind}"
    subject = Subject(opening.tool_id, opening.agent_id)
    return give_up(subject, jobs.HELD if kind.distrusts_results else UNFINISHED, reason, opening.opened_at)


def hold_pools() -> None:
    for name in WorkerPool.objects.order_by("pk").values_list("pk", flat=True):
        locks.hold_pool(name)


def give_up(subject: Subject, statuses: Iterable[str], reason: str, at: datetime | None = None) -> GivenUp:
    """Preempt or discard what the subject holds."""
    held = ToolJob.objects.filter(call_id=None, status__in=tuple(statuses))
    if subject.tool is not None:
        held = held.filter(tool=subject.tool)
    if subject.agent is not None:
        held = held.filter(session__agent=subject.agent)
    return giving_up.give_up(held, reason, at)


def _review(tool: ToolRecord, opening: BreakerOpening) -> None:
    """A tool whose breaker opens again and again needs a new decision; a canary sooner."""
    today = BreakerOpening.objects.filter(tool=tool, opened_at__gt=Now() - ONE_DAY).values_list("kind", flat=True)
    if why := why_rolled_back(Kind(opening.kind), opening.reason, list(today).count(opening.kind)):
        policy.roll_back_canary(tool, why)
    kind = needs_review([Kind(one) for one in today])
    if kind is not None:
        policy.send_to_review(tool, f"its {kind} breaker opened {list(today).count(kind)} times in a day")


def close_lapsed() -> int:
    """Close what is over by time, for the record: it holds no more in any case. Returns how many this caller closed."""
    closed = 0
    for opening in _lapsed():
        closed += close_by_itself(opening)
    return closed


def reset(opening: BreakerOpening, *, who: str, why: str, user: AbstractBaseUser | None = None) -> bool:
    """An operator's: speculation may run again now. What was before is not held against it. False if it was closed."""
    with transaction.atomic():
        return _close(opening, who, user, why)


def _lapsed() -> QuerySet[BreakerOpening]:
    return BreakerOpening.objects.filter(closed_at=None, open_until__lte=Now())


def close_by_itself(opening: BreakerOpening, why: str = "Its time is over.") -> bool:
    """False if another caller closed it."""
    with transaction.atomic():
        return _close(opening, SYSTEM, None, why)


def _close(opening: BreakerOpening, who: str, user: AbstractBaseUser | None, why: str) -> bool:
    open_row = BreakerOpening.objects.filter(pk=opening.pk, closed_at=None)
    if open_row.update(closed_at=Least(Now(), Coalesce(F("open_until"), Now())), closed_by=who) != 1:
        return False
    _audit("closed", opening, who, user, why, None)
    return True


def _audit(
    verb: str, opening: BreakerOpening, who: str, user: AbstractBaseUser | None, why: str, after: dict[str, Any] | None
) -> None:
    """`waste breaker opened: builtin/get_order`: a tool's page finds its own by the end."""
    whose = opening.tool or (f"agent {opening.agent}" if opening.agent else "all speculation")
    name = "agent pause" if opening.kind == Kind.PAUSE else f"{opening.kind} breaker"
    before = {"reason": opening.reason} if verb == "closed" else None
    AuditEntry.objects.create(
        who=who, user=user, what=f"{name} {verb}: {whose}"[:200], before=before, after=after, why=why
    )


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _in_seconds(seconds: float) -> Any:
    return Cast(Now() + Value(timedelta(seconds=seconds)), DateTimeField())
