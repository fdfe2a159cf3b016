"""The section `preemption`: from giving up a running guess to its free slot, as the session's log has both moments."""

import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.db import connection
from django.db.models.functions import Now

from paste_web.benchmarks import recorded, stage
from paste_web.benchmarks.choices import LiveChoices
from paste_web.benchmarks.quantities import milliseconds
from paste_web.benchmarks.waiting import wait_until
from paste_web.processes import Processes
from speculation import events, jobs, new_jobs, worker
from speculation.models import AgentProfile, EventRecord, JobStatus, Origin, Session, SessionStatus, ToolJob
from speculation.policy import register_tool
from speculation.specs import Guess
from speculation.toolbox import Toolbox
from tools import catalog

SLOTS = 2
WAITS = recorded.reading_tool("wait_for_ever", 60.0)
FILE = "notes.txt"
KINDS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "cooperative": (WAITS.name, {}),
    "child": ("run_command", {"command": f"tail -f {FILE}"}),
}
"""Name to tool and arguments, neither of which would ever end."""
LEAST_RUN_SECONDS, MOST_RUN_SECONDS = 0.2, 0.4
LONGEST_WAIT_SECONDS = 30.0


def preemption_document(choices: LiveChoices, tell: Callable[[str], object]) -> dict[str, Any]:
    took: dict[str, list[float]] = {name: [] for name in KINDS}
    rng = random.Random(choices.seed)
    with stage.ground() as processes:
        stage.size_pool(SLOTS, 0)
        agent = _agent()
        root = stage.new_folder()
        recorded.write_world(root, [recorded.answer(WAITS, {}, 60.0)])
        (root / FILE).write_text("nothing follows\n")
        stage.start_tools(processes, SLOTS)
        tell(f"preemption: {choices.preemptions} of each kind")
        for _ in range(choices.preemptions):
            for name in rng.sample(list(KINDS), len(KINDS)):
                took[name].append(preempt_one(agent, root, *KINDS[name], rng, processes))
    return {"kinds": {name: milliseconds(seconds) for name, seconds in took.items()}}


def _agent() -> AgentProfile:
    agent = recorded.agent_with("preemption", [WAITS])
    agent.tools.add(register_tool("builtin", catalog.BUILTIN["run_command"]))
    return agent


def preempt_one(
    agent: AgentProfile, root: Path, tool: str, arguments: Mapping[str, Any], rng: random.Random, processes: Processes
) -> float:
    """Seconds from the guess's preemption to its worker's letting go, both by the database's clock."""
    session = Session.objects.create(
        agent=agent,
        task="benchmark",
        status=SessionStatus.RUNNING,
        origin=Origin.REPLAY,
        attempt=1,
        started_at=Now(),
        world={"root": str(root)},
    )
    job = _launch(session, tool, arguments)
    _wait_until(ToolJob.objects.filter(pk=job.pk, status=JobStatus.RUNNING).exists, processes, "the guess's start")
    time.sleep(rng.uniform(LEAST_RUN_SECONDS, MOST_RUN_SECONDS))
    with events.writing(session.pk) as log:
        jobs.preempt(log, ToolJob.objects.get(pk=job.pk), "slot needed")
    released = EventRecord.objects.filter(session=session, kind="job_released")
    _wait_until(released.exists, processes, "the guess's end")
    preempted = EventRecord.objects.get(session=session, kind="job_preempted")
    return float((released.get().at - preempted.at).total_seconds())


def _launch(session: Session, tool: str, arguments: Mapping[str, Any]) -> ToolJob:
    box = Toolbox.of(session.agent)[tool]
    guess = Guess(None, 1.0, 1.0, box.record.policy_version, LONGEST_WAIT_SECONDS, {})
    with events.writing(session.pk) as log:
        job = new_jobs.speculate(log, box.spec_of(arguments), guess)
        assert job is not None
        worker.enqueue(job)
    return job


def _wait_until(is_done: Callable[[], bool], processes: Processes, what: str) -> None:
    wait_until(is_done, processes, LONGEST_WAIT_SECONDS, what)
    connection.close()


def preemption_text(section: Mapping[str, Any]) -> str:
    lines = [
        "From giving up a running guess to its slot's release, milliseconds, by the log's clock; idle workers otherwise."
    ]
    for name, figures in section["kinds"].items():
        kind = "a tool that asks whether to stop" if name == "cooperative" else "a child process"
        shown = ", ".join(f"{key} {figures[key]:.1f}" for key in ("p50", "p90", "p99", "max"))
        lines.append(f"{kind}: {shown} (of {figures['count']})")
    return "\n".join(lines)
