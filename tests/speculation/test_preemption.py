"""How soon a running guess lets go of its slot: on a real worker, from the log's own moments."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from speculation import events, new_jobs, scheduler
from speculation.models import AgentProfile, JobStatus, Session, ToolJob, WorkerPool
from speculation.policy import register_tool
from speculation.scheduler import AskedCall
from speculation.specs import Guess, JobSpec
from speculation.toolbox import Toolbox
from speculation.worker import enqueue
from tests.speculation.house import wait_for
from tests.workers import Workers
from tools import catalog

pytestmark = pytest.mark.slow

ROUNDS = 20
ENOUGH_ROUNDS = 15
"""So many of them in time: on a machine that others load, a process may not be let run for a while."""
FREES_WITHIN_SECONDS = 0.2
LONG_SECONDS = 300.0

LONG_GUESSES: dict[str, tuple[str, Callable[[int], dict[str, Any]]]] = {
    "a cooperative tool": ("search_documents", lambda n: {"query": f"number {n}"}),
    "a child process": ("run_command", lambda n: {"command": f"tail -f a.txt --lines={n}"}),
}


@pytest.fixture
def box(tmp_path: Path, session: Session, agent: AgentProfile, pool: WorkerPool) -> Toolbox:
    """One slot for all. The session's world: a file to read for ever, and a network as slow as can be."""
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    world = {"root": str(tmp_path), "network_latency_seconds": LONG_SECONDS}
    Session.objects.filter(pk=session.pk).update(world=world)
    WorkerPool.objects.filter(pk=pool.pk).update(slots=1, reserved=0)
    agent.tools.set([register_tool("builtin", catalog.BUILTIN[name]) for name in ("search_documents", "run_command")])
    return Toolbox.of(agent)


def spec(box: Toolbox, tool: str, arguments: dict[str, Any]) -> JobSpec:
    return replace(box[tool].spec_of(arguments), pool_id="tools")


def run_guess(session: Session, guess: JobSpec) -> ToolJob:
    """The guess, running on the worker."""
    with events.writing(session.pk) as log:
        job = new_jobs.speculate(log, guess, Guess(None, 0.9, 1.0, guess.tool.policy_version, 30.0, {}))
        assert job is not None
        enqueue(job)
    wait_for(lambda: ToolJob.objects.filter(pk=job.pk, status=JobStatus.RUNNING).exists(), 30.0)
    return job


def told_at(session: Session, kind: str, job: ToolJob) -> datetime:
    return session.events.get(kind=kind, payload__job=str(job.pk)).at


def frees_within(session: Session, box: Toolbox, guess: JobSpec, number: int) -> tuple[float, float]:
    """Seconds from the guess's preemption until its worker let go, and until the real call had begun."""
    job = run_guess(session, guess)
    asked = AskedCall(f"{number}.0", number, spec(box, "run_command", {"command": f"head --lines={number} a.txt"}))
    (call,) = scheduler.serve(session.pk, session.attempt, [asked])
    wait_for(lambda: ToolJob.objects.filter(pk=call.pk, status=JobStatus.SUCCEEDED).exists(), 30.0)
    connection.close()
    given_up = told_at(session, "job_preempted", job)
    let_go, begun = told_at(session, "job_released", job), told_at(session, "job_started", call)
    return (let_go - given_up).total_seconds(), (begun - given_up).total_seconds()


@pytest.mark.parametrize("kind", LONG_GUESSES)
def test_a_preempted_guess_frees_its_slot_within_200_ms(
    kind: str, session: Session, box: Toolbox, workers: Workers
) -> None:
    workers.tools(processes=1).wait_until_ready()
    tool, arguments_of = LONG_GUESSES[kind]
    taken = [frees_within(session, box, spec(box, tool, arguments_of(n)), n) for n in range(1, ROUNDS + 1)]
    freed, begun = (sorted(seconds) for seconds in zip(*taken, strict=True))
    print(f"\n{kind}: slot free after {_spread(freed)}; the real call began after {_spread(begun)}")
    assert sum(seconds < FREES_WITHIN_SECONDS for seconds in freed) >= ENOUGH_ROUNDS


def _spread(seconds: list[float]) -> str:
    middle, ninth, last = seconds[len(seconds) // 2], seconds[len(seconds) * 9 // 10 - 1], seconds[-1]
    return f"{1000 * middle:.0f} ms (median), {1000 * ninth:.0f} ms (p90), {1000 * last:.0f} ms (worst)"
