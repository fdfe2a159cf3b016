"""What the scheduler's page reads: who holds the slots, how long real calls queued, what gave way, what is spent.

Queue waits are of calls that nothing served, from asking to the start of their run; seconds.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Count, Q, Sum
from django.db.models.functions import Now

from speculation.ids import drawn_after
from speculation.models import JobStatus, ToolJob, ToolRecord, WorkerPool
from speculation.slack import holding_a_slot, kept_for_calls

MOST_DRAWN = 48
"""Slots of a pool that are drawn one by one; of larger pools the page says numbers."""


@dataclass(frozen=True)
class Slots:
    """One pool at this moment. `letting_go`: given up, but its worker has not let go yet."""

    pool: WorkerPool
    real: int
    guesses: int
    letting_go: int
    real_queued: int
    guesses_queued: int

    @property
    def free(self) -> int:
        return max(0, self.pool.slots - self.real - self.guesses - self.letting_go)

    @property
    def free_for_guesses(self) -> int:
        """What admission would still give away."""
        kept = kept_for_calls(self.pool, self.real + self.real_queued)
        return max(0, self.pool.slots - kept - self.guesses - self.letting_go - self.guesses_queued)

    @property
    def kept(self) -> int:
        """Free slots that admission gives to no guess."""
        return self.free - self.free_for_guesses

    @property
    def drawn(self) -> Sequence[str]:
        """Each slot's class, in a fixed order; nothing where there are too many to draw."""
        if self.pool.slots > MOST_DRAWN:
            return []
        classes = {
            "real": self.real, "guess": self.guesses, "letting-go": self.letting_go, "kept": self.kept,
            "free": self.free_for_guesses,
        }  # fmt: skip
        return [name for name, count in classes.items() for _ in range(count)][: self.pool.slots]


@dataclass(frozen=True)
class Waits:
    """How long real calls queued. `label`: whose."""

    label: str
    calls: int
    median_seconds: float | None = None
    p95_seconds: float | None = None
    longest_seconds: float | None = None


def slots_now() -> list[Slots]:
    """One a pool."""
    rows = (
        ToolJob.objects.filter(holding_a_slot(), pool__isnull=False)
        .order_by()
        .values_list("pool", "status", Q(call_id__isnull=True))
        .annotate(Count("pk"))
    )
    held = {(pool, status, is_guess): count for pool, status, is_guess, count in rows}
    return [_slots(pool, held) for pool in WorkerPool.objects.order_by("pk")]


def _slots(pool: WorkerPool, held: dict[tuple[str, str, bool], int]) -> Slots:
    def count(status: str, is_guess: bool) -> int:
        return held.get((pool.pk, status, is_guess), 0)

    return Slots(
        pool=pool,
        real=count(JobStatus.RUNNING, False),
        guesses=count(JobStatus.RUNNING, True),
        letting_go=count(JobStatus.PREEMPTED, True),
        real_queued=count(JobStatus.QUEUED, False),
        guesses_queued=count(JobStatus.QUEUED, True),
    )


_WAITS = """
SELECT session.arm = 'on', count(*), percentile_cont(ARRAY[0.5, 0.95, 1]) WITHIN GROUP (
    ORDER BY extract(epoch FROM job.started_at - job.created_at)::float8
)
FROM speculation_tooljob AS job JOIN speculation_session AS session ON session.id = job.session_id
WHERE job.id > %s AND job.call_id IS NOT NULL AND job.promoted_at IS NULL AND job.pool_id IS NOT NULL
    AND job.attempt = 1 AND job.started_at > now() - %s * interval '1 second'
GROUP BY 1
"""


def queue_waits(seconds: float) -> list[Waits]:
    """Of sessions with speculation, and of those without: off, holdout and shadow."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITS, [drawn_after(seconds), seconds])
        found: dict[bool, Any] = {is_on: (calls, *shares) for is_on, calls, shares in cursor.fetchall()}
    labels = {True: "with speculation", False: "without speculation"}
    return [Waits(label, *found.get(is_on, (0,))) for is_on, label in labels.items()]


def given_up(seconds: float) -> list[tuple[str, int]]:
    """Guesses that were stopped before they had a result, by reason, the most frequent first."""
    stopped = ToolJob.objects.filter(pk__gt=drawn_after(seconds), status=JobStatus.PREEMPTED, call_id=None)
    return Counter(stopped.values_list("end_reason", flat=True)).most_common()


class Checked(NamedTuple):
    """Served guesses that were run again, in all: those that the second run confirmed, and those it contradicted."""

    confirmed: int
    contradicted: int


def checked() -> Checked:
    return Checked(
        **ToolRecord.objects.aggregate(confirmed=Sum("verified", default=0), contradicted=Sum("diverged", default=0))
    )


def spent_in_a_minute() -> float:
    """Worker seconds of the last minute's guesses that served nothing so far, as long as each is expected to take."""
    started = Q(started_at__isnull=False, call_id=None)
    row = ToolJob.objects.filter(started, pk__gt=drawn_after(60.0), created_at__lte=Now()).aggregate(
        seconds=Sum("expected_seconds")
    )
    return float(row["seconds"] or 0.0)
