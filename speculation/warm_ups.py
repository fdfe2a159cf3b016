"""What a tool's warm-ups cost and what they spared, measured: calls that came warmed beside those that did not."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, FloatField, Q, QuerySet, Sum
from django.db.models.functions import Extract

from speculation.models import ToolJob, ToolRecord
from speculation.queries import Median
from speculation.savings import with_speculation
from speculation.shadow_savings import WINDOW

IS_WARM_UP = Q(transformed=True, verifies=None)
"""Of jobs, as ToolJob.is_warm_up says it of one."""


@dataclass(frozen=True)
class WarmUps:
    """Of seven days: `runs` of warm-ups and their worker `seconds`; calls that came after one (warmed) and others (cold),
    each with the median seconds of a run. None: there was no such call.
    """

    runs: int
    seconds: float
    warmed_calls: int
    cold_calls: int
    warmed_median_seconds: float | None
    cold_median_seconds: float | None


def warm_ups_of(tool: ToolRecord, now: datetime) -> WarmUps:
    recent = _timed(ToolJob.objects.filter(tool=tool, created_at__gte=now - WINDOW))
    is_call = Q(call_id__isnull=False, status="succeeded")
    sums = recent.aggregate(
        runs=Count("pk", filter=IS_WARM_UP),
        seconds=Sum("took", filter=IS_WARM_UP, default=0.0),
        warmed_calls=Count("pk", filter=is_call & Q(warmed=True)),
        cold_calls=Count("pk", filter=is_call & Q(warmed=False)),
        warmed_median_seconds=Median("took", filter=is_call & Q(warmed=True)),
        cold_median_seconds=Median("took", filter=is_call & Q(warmed=False)),
    )
    return WarmUps(**sums)


def warm_ups_since(since: datetime, agent: str = "") -> tuple[int, float]:
    """Runs of all tools' warm-ups in sessions with speculation that ended since, and their worker seconds."""
    jobs = ToolJob.objects.filter(IS_WARM_UP, session__in=with_speculation(since, agent).values("session"))
    sums = _timed(jobs).aggregate(runs=Count("pk"), seconds=Sum("took", default=0.0))
    return sums["runs"], sums["seconds"]


def _timed(jobs: QuerySet[ToolJob]) -> QuerySet[ToolJob]:
    """Those that ran and ended, with the seconds it `took`."""
    took = Extract(F("ended_at") - F("started_at"), "epoch", output_field=FloatField())
    return jobs.filter(started_at__isnull=False, ended_at__isnull=False).order_by().annotate(took=took)
