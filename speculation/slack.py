"""Which jobs take a slot, and what is free for speculation right now, counted in the database under the pool's lock."""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import DurationField, ExpressionWrapper, Max, Q, QuerySet, Sum, Value
from django.db.models.functions import Now

from speculation import jobs, rows
from speculation.engine.scheduling import QueuedJob, Slack
from speculation.ids import drawn_after
from speculation.models import JobStatus, Session, ToolJob, WorkerPool
from speculation.processors import cost_of

BUDGET_SECONDS = 60.0
MOST_PER_SESSION = 4
"""Speculations of one session that may be queued or running at once."""


def holding_a_slot() -> Q:
    """Jobs that count as busy: queued for the workers, running under a live lease, or given up but not yet let go of."""
    queued = Q(status=JobStatus.QUEUED) & (Q(call_id__isnull=False) | Q(start_before__gt=Now()))
    occupied = Q(status__in=[JobStatus.RUNNING, JobStatus.PREEMPTED], ended_at__isnull=True, lease_until__gt=Now())
    return queued | occupied


@dataclass(frozen=True)
class Budget:
    """What guesses may cost: worker seconds, of one session in all and of all sessions in a minute; and processors now."""

    session_seconds: float = float("inf")
    minute_seconds: float = float("inf")
    processors: float = float("inf")


@dataclass(frozen=True)
class Capacity:
    """What one tool bears: calls at once, and seconds from the beginning of one call to that of the next.

    `reserved`: of the calls at once, those that guesses leave to real calls. `processors`: what a guess takes of them from
    real work while it runs.
    """

    most_parallel: int
    min_interval_seconds: float = 0.0
    reserved: int = 0
    processors: float = 0.0

    @property
    def for_guesses(self) -> int:
        """Where only one call is borne at a time, a real one takes it back when it comes."""
        return max(min(1, self.most_parallel), self.most_parallel - self.reserved)


def measure(
    pool: WorkerPool,
    session: Session,
    capacities: Mapping[str, Capacity],
    fingerprints: Collection[str],
    budget: Budget = Budget(),
) -> Slack:
    """The slack for this session's bids. `capacities`: by tool name."""
    busy = rows.select(_busy, pool.pk)
    of_this_session = sum(row[1] == session.pk and row[4] is None for row in busy)
    by_tool = Counter(row[2] for row in busy)
    queued = [
        QueuedJob(str(pk), utility, expected_seconds, tool)
        for pk, _, tool, status, call_id, utility, expected_seconds, _ in busy
        if status == JobStatus.QUEUED and call_id is None
    ]
    real = sum(row[4] is not None for row in busy)
    free = pool.slots - kept_for_calls(pool, real) - (len(busy) - real)
    return Slack(
        free_slots=max(0, min(free, MOST_PER_SESSION - of_this_session)),
        pool_free_slots=max(0, free + len(queued)),
        queued=queued,
        held=frozenset(one for (one,) in rows.select(_held, session.pk, session.epoch) if one in fingerprints),
        tool_free={tool: one.for_guesses - by_tool[tool] for tool, one in capacities.items()},
        tool_wait_seconds=_waits(capacities),
        processors=budget.processors - sum(cost_of(row[7]) for row in busy if row[4] is None),
        processors_of={tool: one.processors for tool, one in capacities.items()},
        session_budget_seconds=budget.session_seconds - _sum_of(rows.select(_spent_by, session.pk)),
        budget_seconds=budget.minute_seconds - _sum_of(rows.select(_spent_lately, drawn_after(BUDGET_SECONDS))),
        paused=pool.is_paused,
        throttled=frozenset(one for one in fingerprints if _share_of(session, one) * 100 < pool.throttle_percent),
    )


def kept_for_calls(pool: WorkerPool, real: int) -> int:
    """Slots that guesses leave to real calls: those that `real` calls hold or wait for, and the reserve."""
    return real + pool.reserved


def _share_of(session: Session, fingerprint: str) -> float:
    """In [0, 1): drawn by the call and the world it would be made in, so that asking again changes nothing."""
    drawn = hashlib.sha256(f"{session.pk} {session.epoch} {fingerprint}".encode()).digest()
    return int.from_bytes(drawn[:6]) / 2**48


def _busy(pool: Value) -> QuerySet[ToolJob, tuple[Any, ...]]:
    columns = ("pk", "session_id", "tool__name", "status", "call_id", "utility", "expected_seconds", "tool__processors")
    return ToolJob.objects.filter(holding_a_slot(), pool=pool).values_list(*columns)


def _held(session: Value, epoch: Value) -> QuerySet[ToolJob, tuple[Any, ...]]:
    """Calls that the session has guessed in this epoch and that may serve it, or have failed."""
    guesses = ToolJob.objects.filter(session=session, epoch=epoch, call_id=None)
    return guesses.filter(status__in=(*jobs.HELD, JobStatus.FAILED)).values_list("fingerprint")


def _spent_by(session: Value) -> QuerySet[ToolJob, tuple[Any, ...]]:
    return _spent(ToolJob.objects.filter(session=session))


def _spent_lately(oldest: Value) -> QuerySet[ToolJob, tuple[Any, ...]]:
    """`oldest`: by the ids, which are drawn in the order of time and have an index."""
    lately = Q(created_at__gt=Now() - timedelta(seconds=BUDGET_SECONDS))
    return _spent(ToolJob.objects.filter(lately, pk__gte=oldest))


def _spent(jobs_of: QuerySet[ToolJob]) -> QuerySet[ToolJob, tuple[Any, ...]]:
    """Worker seconds of guesses that served nothing, or have not yet: as long as they are expected to take. No row: none."""
    guesses = jobs_of.filter(call_id=None, started_at__isnull=False).order_by().values("call_id")
    return guesses.annotate(spent=Sum("expected_seconds")).values_list("spent")


def _sum_of(found: Sequence[tuple[Any, ...]]) -> float:
    return float(sum(amount for (amount,) in found))


def _waits(capacities: Mapping[str, Capacity]) -> dict[str, float]:
    """Seconds until a guess of each tool with a rate may start. One interval is kept free for the call that really comes."""
    rated = {tool: one.min_interval_seconds for tool, one in capacities.items() if one.min_interval_seconds > 0}
    if not rated:
        return {}
    ages = (
        ToolJob.objects.filter(tool__name__in=rated)
        .values("tool__name")
        .annotate(age=ExpressionWrapper(Now() - Max("created_at"), output_field=DurationField()))
    )
    return {one["tool__name"]: max(0.0, 2 * rated[one["tool__name"]] - one["age"].total_seconds()) for one in ages}
