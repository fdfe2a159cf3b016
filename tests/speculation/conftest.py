"""One session of one agent with two tools, in a real database that other connections can see; and forecasts of one."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from speculation import events, jobs, new_jobs
from speculation.engine.prediction import SessionPredictor
from speculation.engine.types import Prediction
from speculation.forecast import Forecast
from speculation.models import AgentProfile, Session, ToolJob, ToolRecord, WorkerPool
from speculation.policy import register_tool
from speculation.specs import Guess, JobSpec
from speculation.submission import submit_task
from speculation.toolbox import Toolbox
from tests.speculation.foreseen import Foreseen, approve
from tools import catalog
from tools.base import SideEffect, ToolCall, ToolPolicy


@pytest.fixture
def pool(transactional_db: None) -> WorkerPool:
    return WorkerPool.objects.update_or_create(name="tools", defaults={"slots": 4, "reserved": 1, "is_paused": False})[
        0
    ]


@pytest.fixture
def read_tool(transactional_db: None) -> ToolRecord:
    return ToolRecord.objects.create(name="read_file", definition_hash="a" * 64, effect="none")


@pytest.fixture
def write_tool(transactional_db: None) -> ToolRecord:
    return ToolRecord.objects.create(name="write_file", definition_hash="b" * 64, effect="write")


@pytest.fixture
def agent(read_tool: ToolRecord, write_tool: ToolRecord) -> AgentProfile:
    agent = AgentProfile.objects.create(name="tester", model_kind="openai", mode="on")
    agent.tools.add(read_tool, write_tool)
    return agent


@pytest.fixture
def make_session(agent: AgentProfile) -> Callable[[], Session]:
    def make() -> Session:
        return Session.objects.create(agent=agent, task="find it", status="running", attempt=1, started_at=Now())

    return make


@pytest.fixture
def session(make_session: Callable[[], Session]) -> Session:
    return make_session()


class Desk:
    """Makes and moves jobs of one session the way the scheduler and the worker do, each move its own transaction."""

    def __init__(self, session: Session, read_tool: ToolRecord, write_tool: ToolRecord, pool: WorkerPool) -> None:
        self.session, self.read_tool, self.write_tool, self.pool = session, read_tool, write_tool, pool
        self.policy_version = read_tool.policy_version

    def spec(self, path: str = "a.txt", *, writes: bool = False, ttl_seconds: float = 60.0) -> JobSpec:
        tool = self.write_tool if writes else self.read_tool
        effect = SideEffect.WRITE if writes else SideEffect.NONE
        arguments = {"path": path}
        fingerprint = ToolCall(tool.name, arguments).fingerprint(ToolPolicy())
        return JobSpec(tool, self.pool.pk, arguments, fingerprint, effect, ttl_seconds=ttl_seconds)

    def guess(self, start_within_seconds: float = 30.0) -> Guess:
        return Guess(None, 0.5, 1.0, self.policy_version, start_within_seconds, {})

    def speculate(self, path: str = "a.txt", **options: Any) -> ToolJob | None:
        within = options.pop("start_within_seconds", 30.0)
        with events.writing(self.session.pk) as log:
            return new_jobs.speculate(log, self.spec(path, **options), self.guess(within))

    def request(self, call_id: str = "1.0", path: str = "a.txt", **options: Any) -> ToolJob:
        with events.writing(self.session.pk) as log:
            return new_jobs.request(log, self.spec(path, **options), call_id)

    def move(self, verb: Callable[..., bool], job: ToolJob, *arguments: Any, **options: Any) -> bool:
        with events.writing(job.session_id) as log:
            return verb(log, ToolJob.objects.get(pk=job.pk), *arguments, **options)

    def start(self, job: ToolJob, attempt: int = 0) -> bool:
        return self.move(jobs.start, job, attempt=attempt, worker="w", policy_version=self.policy_version)

    def promote(self, job: ToolJob, call_id: str = "1.0") -> bool:
        return self.move(jobs.promote, job, call_id, policy_version=self.policy_version)

    def log(self) -> list[tuple[int, str]]:
        return list(self.session.events.order_by("seq").values_list("seq", "kind"))


@pytest.fixture
def desk(session: Session, read_tool: ToolRecord, write_tool: ToolRecord, pool: WorkerPool) -> Desk:
    return Desk(session, read_tool, write_tool, pool)


class Race:
    """Runs functions at the same instant, each on a connection of its own."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(4)

    def run(self, *contenders: Callable[[], Any]) -> list[Any]:
        barrier = threading.Barrier(len(contenders))

        def contend(contender: Callable[[], Any]) -> Any:
            try:
                connection.ensure_connection()
                barrier.wait()
                return contender()
            finally:
                connection.close()

        return [future.result() for future in [self._pool.submit(contend, one) for one in contenders]]

    def close(self) -> None:
        self._pool.shutdown()


@pytest.fixture
def race(transactional_db: None) -> Iterator[Race]:
    race = Race()
    yield race
    race.close()


@pytest.fixture
def approved_agent(transactional_db: None, broker_url: str) -> AgentProfile:
    """Its reads are approved; nobody consumes the broker's queue, so jobs stay where admission put them."""
    WorkerPool.objects.update_or_create(name="tools", defaults={"slots": 8, "reserved": 1, "is_paused": False})
    agent = AgentProfile.objects.create(name="listened to", model_kind="openai", mode="on")
    for name in ("read_file", "list_files", "write_file"):
        tool = register_tool("builtin", catalog.BUILTIN[name])
        agent.tools.add(tool)
        if tool.effect == "none":
            approve(tool.name)
    return agent


@pytest.fixture
def listen(approved_agent: AgentProfile, tmp_path: Path) -> Iterator[Callable[..., Forecast]]:
    begun: list[Forecast] = []

    def listen(
        *predictions: Prediction,
        speculation: str = "on",
        predictor: SessionPredictor | None = None,
        chain_depth: int = 1,
    ) -> Forecast:
        session = submit_task(approved_agent, "Look around.", world={"root": str(tmp_path)}, speculation=speculation)
        Session.objects.filter(pk=session.pk).update(status="running", attempt=1)
        session.refresh_from_db()
        predictor = predictor or Foreseen(*predictions)
        forecast = Forecast(session, Toolbox.of(approved_agent), predictor, chain_depth=chain_depth)
        forecast.begin(1)
        begun.append(forecast)
        return forecast

    yield listen
    for forecast in begun:
        forecast.settle()
