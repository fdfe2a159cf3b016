"""Jobs on real Celery workers over a real broker: run, promoted, preempted, killed."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speculation import events, jobs, new_jobs, recovery, scheduler
from speculation.models import AgentProfile, JobStatus, Session, ToolJob, WorkerPool
from speculation.policy import register_tool
from speculation.scheduler import AskedCall
from speculation.specs import Guess
from speculation.toolbox import BoxedTool, Toolbox
from speculation.worker import enqueue
from tests.workers import Workers
from tools import catalog

pytestmark = pytest.mark.slow


@pytest.fixture
def box(tmp_path: Path, session: Session, agent: AgentProfile, pool: WorkerPool) -> Toolbox:
    """The session's world: a file, and gates that a read waits at until a test opens them. Its agent runs commands."""
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    for gate in ("gate", "gate0", "gate1"):
        os.mkfifo(tmp_path / gate)
    Session.objects.filter(pk=session.pk).update(world={"root": str(tmp_path)})
    agent.tools.set(
        [register_tool("builtin", catalog.BUILTIN[name]) for name in ("read_file", "run_command", "write_file")]
    )
    return Toolbox.of(agent)


def ask(session: Session, box: BoxedTool, call_id: str, **arguments: Any) -> ToolJob:
    return scheduler.serve(session.pk, session.attempt, [AskedCall(call_id, 1, box.spec_of(arguments))])[0]


def guess(session: Session, box: BoxedTool, **arguments: Any) -> ToolJob:
    with events.writing(session.pk) as log:
        job = new_jobs.speculate(log, box.spec_of(arguments), Guess(None, 0.9, 1.0, box.record.policy_version, 5.0, {}))
        assert job is not None
        enqueue(job)
    return job


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> float:
    """Seconds until the condition held."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, "it never came"
        time.sleep(0.01)
    return time.monotonic() - started


def open_gate(session: Session) -> None:
    """Let whoever reads the gate go on. Waits until somebody does."""
    session.refresh_from_db()
    (Path(session.world["root"]) / "gate").write_text("opened")


def status(job: ToolJob) -> str:
    job.refresh_from_db()
    return job.status


def test_a_call_runs_on_a_worker_and_its_result_comes_back(session: Session, box: Toolbox, workers: Workers) -> None:
    workers.tools().wait_until_ready()
    job = ask(session, box["read_file"], "1.0", path="a.txt")
    wait_for(lambda: status(job) == JobStatus.SUCCEEDED)
    assert job.result["ok"] and "two" in job.result["content"]
    assert 0.0 < job.processor_seconds < 5.0


def test_a_finished_guess_is_handed_over_and_a_running_one_is_joined(
    session: Session, box: Toolbox, workers: Workers
) -> None:
    workers.tools().wait_until_ready()
    finished = guess(session, box["read_file"], path="a.txt")
    wait_for(lambda: status(finished) == JobStatus.SUCCEEDED)
    assert ask(session, box["read_file"], "1.0", path="a.txt").pk == finished.pk
    running = guess(session, box["run_command"], command="cat gate")
    wait_for(lambda: status(running) == JobStatus.RUNNING)
    assert ask(session, box["run_command"], "1.1", command="cat gate").pk == running.pk
    open_gate(session)
    wait_for(lambda: status(running) == JobStatus.SUCCEEDED)
    assert "opened" in running.result["content"]
    outcomes = [event.payload["outcome"] for event in session.events.filter(kind="call_asked")]
    assert outcomes == ["used", "joined"]


def test_a_preempted_command_is_killed_and_frees_its_slot_at_once(
    session: Session, box: Toolbox, workers: Workers
) -> None:
    workers.tools().wait_until_ready()
    job = guess(session, box["run_command"], command="cat gate")
    wait_for(lambda: status(job) == JobStatus.RUNNING)
    time.sleep(0.3)  # the child process is up
    with events.writing(session.pk) as log:
        assert jobs.preempt(log, job, "slot needed")
    freed_seconds = wait_for(lambda: (job.refresh_from_db(), job.ended_at is not None)[1])
    assert freed_seconds < 2.0
    assert (job.status, job.result) == (JobStatus.PREEMPTED, None)
    assert session.events.filter(kind="job_released").count() == 1


def test_real_work_without_a_free_slot_preempts_the_least_useful_guess(
    session: Session, box: Toolbox, workers: Workers, pool: WorkerPool
) -> None:
    WorkerPool.objects.filter(pk=pool.pk).update(slots=2, reserved=0)
    workers.tools(processes=2).wait_until_ready()
    useful, useless = (guess(session, box["run_command"], command=f"cat gate{n}") for n in range(2))
    ToolJob.objects.filter(pk=useful.pk).update(utility=5.0)
    wait_for(lambda: status(useful) == status(useless) == JobStatus.RUNNING)
    job = ask(session, box["read_file"], "1.0", path="a.txt")
    wait_for(lambda: status(job) == JobStatus.SUCCEEDED)
    assert (status(useful), status(useless)) == (JobStatus.RUNNING, JobStatus.PREEMPTED)


def let_lease_run_out(job: ToolJob) -> None:
    """What ten seconds without a renewal come to."""
    ToolJob.objects.filter(pk=job.pk).update(lease_until=job.started_at)


def test_a_read_whose_worker_was_killed_runs_again(session: Session, box: Toolbox, workers: Workers) -> None:
    first = workers.tools()
    first.wait_until_ready()
    job = ask(session, box["run_command"], "1.0", command="cat gate")
    wait_for(lambda: status(job) == JobStatus.RUNNING)
    first.kill()
    let_lease_run_out(job)
    assert recovery.sweep()["jobs_of_lost_workers"] == 1
    assert status(job) == JobStatus.QUEUED
    workers.tools().wait_until_ready()
    open_gate(session)
    wait_for(lambda: status(job) == JobStatus.SUCCEEDED)
    assert job.attempt == 2


def test_a_write_whose_worker_was_killed_ends_with_an_unknown_outcome(
    session: Session, box: Toolbox, workers: Workers
) -> None:
    worker = workers.tools()
    worker.wait_until_ready()
    job = ask(session, box["run_command"], "1.0", command="python3 -c 'import time; time.sleep(20)'")
    assert job.effect != "none"
    wait_for(lambda: status(job) == JobStatus.RUNNING)
    worker.kill()
    let_lease_run_out(job)
    recovery.sweep()
    assert (status(job), job.error) == (JobStatus.FAILED, "worker lost")
    session.refresh_from_db()
    assert session.epoch == 2, "the change is over, whatever came of it"


def test_a_guess_whose_worker_was_killed_is_given_up_and_frees_its_slot(
    session: Session, box: Toolbox, workers: Workers
) -> None:
    worker = workers.tools()
    worker.wait_until_ready()
    job = guess(session, box["run_command"], command="cat gate")
    wait_for(lambda: status(job) == JobStatus.RUNNING)
    worker.kill()
    let_lease_run_out(job)
    recovery.sweep()
    assert status(job) == JobStatus.PREEMPTED
    assert job.ended_at is not None
