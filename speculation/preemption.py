"""Where real work finds no place, the least useful speculation gives way."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Max, QuerySet, Value

from speculation import events, jobs, locks, rows, slack
from speculation.models import JobStatus, ToolJob

NO_LIMITS: Mapping[int, int] = MappingProxyType({})


def make_room(pool_id: str, max_parallel: Mapping[int, int] = NO_LIMITS) -> int:
    """Preempt as many of the least useful speculations as real work lacks slots. Returns how many gave way.

    `max_parallel`: by tool, how many calls it bears at once: there a real call takes the place of a guess of that tool.
    """
    if not _lacking(pool_id, max_parallel):
        return 0
    with transaction.atomic():
        locks.hold_pool(pool_id)
        in_the_way = ToolJob.objects.filter(
            pool_id=pool_id, call_id=None, status__in=[JobStatus.QUEUED, JobStatus.RUNNING]
        ).order_by("utility", "-created_at")
        given_up: dict[UUID, ToolJob] = {}
        lacking = _lacking(pool_id, max_parallel)
        slots = lacking.pop(None, 0)
        for tool_id, count in lacking.items():
            given_up |= {job.pk: job for job in in_the_way.filter(tool_id=tool_id)[:count]}
        rest = in_the_way.exclude(pk__in=given_up)[: max(0, slots - len(given_up))]
        given_up |= {job.pk: job for job in rest}
        return sum(_preempt(job, "slot needed") for job in given_up.values())


def _lacking(pool_id: str, max_parallel: Mapping[int, int]) -> dict[int | None, int]:
    """How many more jobs than there are places are queued or running, by tool, and by None for the slots of the pool.

    Those given up do not count: they let go by themselves.
    """
    active = rows.select(_active, pool_id)
    lacking: dict[int | None, int] = {tool: count - max_parallel[tool] for tool, count, _ in active if tool in max_parallel}
    if active:
        lacking[None] = sum(count for _, count, _ in active) - active[0][2]
    return {place: count for place, count in lacking.items() if count > 0}


def _active(pool: Value) -> QuerySet[ToolJob, tuple[Any, ...]]:
    """Jobs that hold or want a place, counted by tool, and the pool's slots."""
    jobs_of = ToolJob.objects.filter(slack.holding_a_slot(), pool=pool).exclude(status=JobStatus.PREEMPTED)
    return jobs_of.order_by().values_list("tool").annotate(count=Count("pk"), slots=Max("pool__slots"))


def _preempt(job: ToolJob, reason: str) -> bool:
    """Give up a guess of any session. The caller holds the pool, or no session."""
    with events.writing(job.session_id) as log:
        return jobs.preempt(log, job, reason)
