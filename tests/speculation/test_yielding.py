"""A guess leaves the processor to real work, and has it back as soon as a call joins it."""

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from speculation import events, new_jobs, scheduler
from speculation.asked import AskedCall
from speculation.models import AgentProfile, JobStatus, Session, ToolJob, WorkerPool
from speculation.policy import register_tool
from speculation.specs import Guess, JobSpec
from speculation.toolbox import Toolbox
from speculation.worker import enqueue
from speculation.yielding import NICENESS, low_priority, may_raise, raise_all
from tests.speculation.house import wait_for
from tests.workers import Workers
from tools import catalog
from tools.base import SideEffect

SAY_NICENESS = "python -c 'import os; print(os.nice(0))'"
SAY_IT_TWICE = "python -c 'import os; print(os.nice(0), flush=True); open(\"gate\").read(); print(os.nice(0))'"

needs_permission = pytest.mark.skipif(not may_raise(), reason="this user may not raise a lowered priority")


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@needs_permission
def test_only_the_thread_that_yields_has_a_low_priority_and_only_as_long_as_it_does() -> None:
    seen: list[int] = []

    def other() -> None:
        seen.append(niceness())

    def yielding() -> None:
        with low_priority():
            seen.append(niceness())
        seen.append(niceness())

    for target in (yielding, other):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
    assert seen == [NICENESS, 0, 0]


@needs_permission
def test_another_thread_can_raise_what_yields() -> None:
    lowered, go_on, seen = threading.Event(), threading.Event(), []

    def yielding() -> None:
        with low_priority():
            lowered.set()
            go_on.wait(10)
            seen.append(niceness())

    thread = threading.Thread(target=yielding)
    thread.start()
    lowered.wait(10)
    raise_all()
    go_on.set()
    thread.join()
    assert seen == [0]


@pytest.fixture
def command(
    tmp_path: Path, session: Session, agent: AgentProfile, pool: WorkerPool, workers: Workers
) -> Callable[[str], JobSpec]:
    os.mkfifo(tmp_path / "gate")
    Session.objects.filter(pk=session.pk).update(world={"root": str(tmp_path)})
    agent.tools.set([register_tool("builtin", catalog.BUILTIN["run_command"])])
    box = Toolbox.of(agent)["run_command"]
    workers.tools(1).wait_until_ready()
    return lambda line: replace(box.spec_of({"command": line}), effect=SideEffect.NONE)


def guess(session: Session, spec: JobSpec) -> ToolJob:
    with events.writing(session.pk) as log:
        job = new_jobs.speculate(log, spec, Guess(None, 0.9, 1.0, spec.tool.policy_version, 20.0, {}))
        assert job is not None
        enqueue(job)
    return job


def ask(session: Session, spec: JobSpec, call_id: str) -> ToolJob:
    return scheduler.serve(session.pk, session.attempt, [AskedCall(call_id, 1, spec)])[0]


def output(job: ToolJob) -> list[str]:
    wait_for(lambda: ToolJob.objects.get(pk=job.pk).status == JobStatus.SUCCEEDED, 30.0)
    job.refresh_from_db()
    return [word for word in job.result["structured"]["output"].split() if word.isdigit()]


@needs_permission
@pytest.mark.slow
def test_programs_of_guesses_yield_those_of_calls_do_not_and_a_joined_one_stops_yielding(
    session: Session, command: Callable[[str], JobSpec], tmp_path: Path
) -> None:
    assert output(ask(session, command(SAY_NICENESS), "1.0")) == ["0"]
    assert output(guess(session, command(SAY_NICENESS))) == [str(NICENESS)]
    joined = guess(session, command(SAY_IT_TWICE))
    wait_for(lambda: ToolJob.objects.get(pk=joined.pk).status == JobStatus.RUNNING, 30.0)
    gate = (tmp_path / "gate").open("w")  # opens once the program reads, so it has said its first number
    assert ask(session, command(SAY_IT_TWICE), "1.1").pk == joined.pk
    child_is_raised = threading.Event()
    child_is_raised.wait(1.0)
    gate.close()
    assert output(joined) == [str(NICENESS), "0"]
