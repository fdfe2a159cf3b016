"""The section `call`: what an authoritative call costs through us, from the call to its answer.

Our side is `SessionRuntime.answer_calls` in this process, which stands for an agents worker, with real tools workers.
Beside it, in the same rounds and in drawn order: the bare tool call in this thread, and a bare Celery round trip.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from paste_web.benchmarks import recorded, stage
from paste_web.benchmarks.choices import LiveChoices
from paste_web.benchmarks.echo import echo
from paste_web.benchmarks.quantities import milliseconds
from paste_web.benchmarks.statements import Statements
from speculation import worker
from speculation.agent.types import RequestedCall
from speculation.engine.prediction import Predictor
from speculation.forecast import Forecast
from speculation.models import AgentProfile, Arm, JobStatus, Origin, Session, SessionStatus, ToolJob
from speculation.notices import listener
from speculation.runtime import SessionRuntime
from speculation.toolbox import Toolbox
from tools.base import ToolContext
from tools.running import execute

CALLS_A_SESSION = 20
"""Then the next session: a session's log and jobs are as long as those of real ones."""
WARM_UP_ROUNDS = 2
LONGEST_ECHO_SECONDS = 30.0
LONGEST_SESSION_SECONDS = 300.0
"""A call whose worker is gone ends with its session: no sweep runs here that would bring it back."""

TOOLS = {
    "noop": recorded.reading_tool("noop", 0.0005),
    "noop_by_worker": recorded.reading_tool("noop_by_worker", 1.0),
    "wait_50ms": recorded.reading_tool("wait_50ms", 0.05),
}
"""`noop_by_worker` does as little, but declares a second, so that it never counts as cheap."""
SECONDS = {"noop": 0.0, "noop_by_worker": 0.0, "wait_50ms": 0.05}
ECHO = "celery"


@dataclass
class Times:
    """Seconds, one of each in the same round."""

    through_us: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in TOOLS})
    bare: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in TOOLS})
    celery: list[float] = field(default_factory=list)

    def add(self, other: "Times") -> None:
        for name in TOOLS:
            self.through_us[name] += other.through_us[name]
            self.bare[name] += other.bare[name]
        self.celery += other.celery


class Caller:
    """One agent's session after another, each asked for a few calls as its loop would ask."""

    def __init__(self, agent: AgentProfile, toolbox: Toolbox, root: Path) -> None:
        self._agent, self._toolbox, self._root = agent, toolbox, root
        self._asked = CALLS_A_SESSION
        self._runtime: SessionRuntime

    @property
    def session(self) -> Session:
        return self._runtime.session

    def prepare(self) -> None:
        """A session for the next call. Not on the clock."""
        if self._asked < CALLS_A_SESSION:
            return
        session = Session.objects.create(
            agent=self._agent,
            task="benchmark",
            status=SessionStatus.RUNNING,
            arm=Arm.OFF,
            origin=Origin.REPLAY,
            attempt=1,
            started_at=Now(),
            timeout_seconds=LONGEST_SESSION_SECONDS,
            world={"root": str(self._root)},
        )
        session.refresh_from_db()
        predictor = Predictor([], self._toolbox.traits()).session()
        self._runtime = SessionRuntime(session, self._toolbox, Forecast(session, self._toolbox, predictor))
        self._asked = 0
        connection.close()

    def ask(self, tool: str) -> None:
        """From the call to its answer. Raises RuntimeError where that is no result."""
        self._asked += 1
        call = RequestedCall(f"{self._asked}.0", tool, {"number": self._asked})
        (message,) = self._runtime.answer_calls(self._asked, [call])
        connection.close()  # as the loop does before it waits for the model
        if not message.ok:
            raise RuntimeError(f"{tool} answered: {message.content}")

    def bare(self, tool: str) -> None:
        execute(TOOLS[tool], {"number": 1}, ToolContext(self._root))


def round_trip() -> None:
    """A task that does nothing, sent to the tools workers, and its notice. Raises RuntimeError if that never comes."""
    key = uuid4()
    with listener().waiting_for(key) as bell:
        echo.apply_async(args=[str(key)], queue="tools", priority=worker.AUTHORITATIVE_PRIORITY, retry=False)
        if not bell.wait(LONGEST_ECHO_SECONDS):
            raise RuntimeError("a bare round trip was never answered")


def call_document(choices: LiveChoices, tell: Callable[[str], object]) -> dict[str, Any]:
    with stage.ground() as processes:
        agent = recorded.agent_with("calls", TOOLS.values())
        root = stage.new_folder()
        recorded.write_world(root, _answers())
        statements = count_statements(agent, root)
        stage.size_pool(settings.PASTE_TOOL_SLOTS)
        stage.start_tools(processes, settings.PASTE_TOOL_SLOTS)
        levels = []
        for level in choices.levels:
            tell(f"call: {choices.calls} calls of each kind at {level} concurrent sessions")
            levels.append(measure(agent, root, level, choices))
            processes.check()
    return {
        "slots": settings.PASTE_TOOL_SLOTS,
        "think_seconds": choices.think_seconds,
        "calls_a_session": CALLS_A_SESSION,
        "levels": levels,
        "database": statements,
    }


def _answers() -> list[dict[str, Any]]:
    numbers = range(CALLS_A_SESSION + 1)
    return [
        recorded.answer(tool, {"number": number}, SECONDS[name]) for name, tool in TOOLS.items() for number in numbers
    ]


def measure(agent: AgentProfile, root: Path, level: int, choices: LiveChoices) -> dict[str, Any]:
    """One level of concurrency; one session alone does not pause."""
    rounds = ceil(choices.calls / level)
    think_seconds = choices.think_seconds if level > 1 else 0.0
    stopping, times = threading.Event(), Times()

    def play(number: int) -> Times:
        rng = random.Random(f"{choices.seed} {level} {number}")
        return call_in_rounds(Caller(agent, Toolbox.of(agent), root), rounds, think_seconds, rng, stopping)

    with ThreadPoolExecutor(level) as threads:
        try:
            for one in threads.map(play, range(level)):
                times.add(one)
        finally:
            stopping.set()
    return {"sessions": level, **summed_up(times)}


def call_in_rounds(
    caller: Caller, rounds: int, think_seconds: float, rng: random.Random, stopping: threading.Event
) -> Times:
    """Every kind once a round, in drawn order, after some rounds that are not counted."""
    times = Times()
    try:
        for number in range(-WARM_UP_ROUNDS, rounds):
            if stopping.is_set():
                break
            _one_round(caller, times if number >= 0 else Times(), think_seconds, rng)
    finally:
        connection.close()
    return times


def _one_round(caller: Caller, times: Times, think_seconds: float, rng: random.Random) -> None:
    kinds: list[tuple[list[float], Callable[..., None], Sequence[str]]] = [(times.celery, round_trip, ())]
    for name in TOOLS:
        kinds += [(times.through_us[name], caller.ask, (name,)), (times.bare[name], caller.bare, (name,))]
    rng.shuffle(kinds)
    for seconds, run, arguments in kinds:
        caller.prepare()
        if think_seconds and run != caller.bare:
            time.sleep(rng.expovariate(1 / think_seconds))
        began_at = time.perf_counter()
        run(*arguments)
        seconds.append(time.perf_counter() - began_at)


def summed_up(times: Times) -> dict[str, Any]:
    """Milliseconds. `added`: through us minus bare, of the same round."""
    kinds = {
        name: {
            "through_us": milliseconds(times.through_us[name]),
            "bare": milliseconds(times.bare[name]),
            "added": milliseconds(
                [ours - bare for ours, bare in zip(times.through_us[name], times.bare[name], strict=True)]
            ),
        }
        for name in TOOLS
    }
    return {"kinds": kinds, ECHO: milliseconds(times.celery)}


def count_statements(agent: AgentProfile, root: Path) -> Mapping[str, Any]:
    """What one call asks of the database, the worker's part run in this process. Needs that no worker runs yet."""
    caller = Caller(agent, Toolbox.of(agent), root)
    found = {}
    for tool in ("noop", "noop_by_worker"):
        caller.prepare()
        found[tool] = _count(caller, tool)
    return found


def _count(caller: Caller, tool: str) -> dict[str, Any]:
    asking, running = Statements(), Statements()
    answered = threading.Event()
    beside = threading.Thread(target=_run_jobs_of, args=(caller.session, running, answered), daemon=True)
    beside.start()
    try:
        with asking.counting():
            caller.ask(tool)
    finally:
        answered.set()
        beside.join()
    return {"session": asking.to_json(), "worker": running.to_json()}


def _run_jobs_of(session: Session, statements: Statements, answered: threading.Event) -> None:
    """Be the worker of one session until its call is answered."""
    queued = ToolJob.objects.filter(session=session, status=JobStatus.QUEUED)
    try:
        while not answered.wait(0.01):
            for job in queued.all():
                with statements.counting():
                    worker.run_job(str(job.pk), job.attempt)
    finally:
        connection.close()
