"""What trips breakers, as rows that the state machine wrote; only the clock is helped along."""

from datetime import timedelta
from importlib import import_module
from typing import Any

from django.apps import apps
from django.db.models import F, Value
from django.db.models.functions import Now

from speculation import jobs
from speculation.models import Breaker, ToolJob
from tests.speculation.conftest import Desk
from tools.base import ToolResult

READ = ToolResult(ok=True, content="read")


def set_default_limits() -> None:
    """What the migration leaves; a test that flushed the tables took it away."""
    Breaker.objects.all().delete()
    import_module("speculation.migrations.0005_breakers").set_defaults(apps, None)
    import_module("speculation.migrations.0013_unstarted_breaker").set_default(apps, None)


def ago(seconds: float) -> Any:
    return Now() - Value(timedelta(seconds=seconds))


def running(desk: Desk, path: str, seconds: float = 1.0) -> ToolJob:
    """A guess that has been running for so long."""
    job = desk.speculate(path)
    assert job is not None and desk.start(job)
    ToolJob.objects.filter(pk=job.pk).update(started_at=ago(seconds))
    return ToolJob.objects.get(pk=job.pk)


def wasted(desk: Desk, path: str, seconds: float) -> ToolJob:
    """A guess that took so many worker seconds and was then given up."""
    job = running(desk, path, seconds)
    assert desk.move(jobs.preempt, job, "slot needed") and desk.move(jobs.release, job, attempt=1)
    ToolJob.objects.filter(pk=job.pk).update(started_at=F("ended_at") - timedelta(seconds=seconds))
    return job


def failed(desk: Desk, path: str, reason: str = "timeout") -> ToolJob:
    job = running(desk, path)
    assert desk.move(jobs.fail, job, attempt=1, error="out of order", reason=reason)
    return job


def succeeded(desk: Desk, path: str) -> ToolJob:
    job = running(desk, path)
    assert desk.move(jobs.commit, job, attempt=1, result=READ)
    return ToolJob.objects.get(pk=job.pk)


def diverged(desk: Desk, path: str) -> ToolJob:
    """A second run of a served result that found something else."""
    served = succeeded(desk, path)
    assert desk.promote(served, f"1.{path}")
    return ToolJob.objects.create(
        session=desk.session, tool=desk.read_tool, pool=desk.pool, effect="none", epoch=0, fingerprint=path,
        transformed=True, verifies=served, status="succeeded", end_reason="diverged", attempt=1, lease_until=Now(),
        started_at=ago(1), ended_at=Now(),
    )  # fmt: skip
