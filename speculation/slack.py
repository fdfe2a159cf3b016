"""Which jobs take a slot, and what is free for speculation right now, counted in the database under the pool's lock."""

from collections import Counter
from collections.abc import Iterable, Mapping

from django.db.models import Q
from django.db.models.functions import Now

from speculation import jobs
from speculation.engine.scheduling import QueuedJob, Slack
from speculation.models import JobStatus, Session, ToolJob, WorkerPool

MOST_PER_SESSION = 4
"""Speculations of one session that may be queued or running at once."""


def holding_a_slot() -> Q:
    """Jobs that count as busy: queued for the workers, running under a live lease, or given up but not yet let go of."""
    queued = Q(status=JobStatus.QUEUED) & (Q(call_id__isnull=False) | Q(start_before__gt=Now()))
    occupied = Q(status__in=[JobStatus.RUNNING, JobStatus.PREEMPTED], ended_at__isnull=True, lease_until__gt=Now())
    return queued | occupied


def measure(pool: WorkerPool, session: Session, most_parallel: Mapping[str, int], fingerprints: Iterable[str]) -> Slack:
    """The slack for this session's bids. `most_parallel`: tool name -> calls of it that may run at once."""
    busy = list(
        ToolJob.objects.filter(holding_a_slot(), pool=pool).values_list(
            "pk", "session_id", "tool__name", "status", "call_id", "utility", "expected_seconds"
        )
    )
    of_this_session = sum(row[1] == session.pk and row[4] is None for row in busy)
    by_tool = Counter(row[2] for row in busy)
    held = ToolJob.objects.filter(
        session=session,
        epoch=session.epoch,
        call_id=None,
        fingerprint__in=list(fingerprints),
        status__in=(*jobs.HELD, JobStatus.FAILED),
    )
    return Slack(
        free_slots=max(0, min(pool.slots - pool.reserved - len(busy), MOST_PER_SESSION - of_this_session)),
        queued=[
            QueuedJob(str(pk), utility, expected_seconds, tool)
            for pk, _, tool, status, call_id, utility, expected_seconds in busy
            if status == JobStatus.QUEUED and call_id is None
        ],
        held=frozenset(held.values_list("fingerprint", flat=True)),
        tool_free={tool: most - by_tool[tool] for tool, most in most_parallel.items()},
        paused=pool.is_paused,
    )
