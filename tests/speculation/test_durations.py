"""Tools' durations, measured from their jobs."""

from datetime import timedelta

import pytest
from django.db.models import F

from speculation import durations, jobs
from speculation.models import ToolJob
from tests.speculation.conftest import Desk
from tools.base import ToolResult


def test_a_tools_duration_is_measured_from_its_finished_jobs_and_only_when_there_are_new_ones(desk: Desk) -> None:
    for number, seconds in enumerate([1, 2, 6]):
        job = desk.request(f"1.{number}", f"{number}.txt")
        desk.start(job)
        desk.move(jobs.commit, job, attempt=1, result=ToolResult(True, ""))
        ToolJob.objects.filter(pk=job.pk).update(ended_at=F("started_at") + timedelta(seconds=seconds))
    assert durations.measure() == 1
    desk.read_tool.refresh_from_db()
    assert (desk.read_tool.runs, desk.read_tool.mean_seconds) == (3, pytest.approx(3.0))
    assert desk.read_tool.quantiles["p50"] == pytest.approx(2.0)
    assert desk.read_tool.processors is None, "no run has told"
    assert durations.measure() == 0


def test_a_tools_share_of_computing_is_of_the_runs_that_tell_it(desk: Desk) -> None:
    for number, (seconds, computed) in enumerate([(1, None), (4, 1.0), (6, 3.0)]):
        job = desk.request(f"1.{number}", f"{number}.txt")
        desk.start(job)
        desk.move(jobs.commit, job, attempt=1, result=ToolResult(True, ""), processor_seconds=computed)
        ToolJob.objects.filter(pk=job.pk).update(ended_at=F("started_at") + timedelta(seconds=seconds))
    durations.measure()
    desk.read_tool.refresh_from_db()
    assert desk.read_tool.processors == pytest.approx(0.4)
