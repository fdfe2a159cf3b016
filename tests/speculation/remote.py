"""Both sides of the door of an agent that runs elsewhere in one process, reads in place, over real connections."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from speculation import access, submission, tasks
from speculation.models import AgentProfile, ApiKey, Session, WorkerPool
from speculation.policy import register_tool
from speculation.remote_calls import Caller
from tools import catalog

Beside = Callable[..., "Future[Any]"]


@pytest.fixture
def agent(transactional_db: None, broker_url: str, settings: Any) -> AgentProfile:
    settings.PASTE_IN_PLACE_SECONDS, settings.PASTE_MCP_QUIET_SECONDS = 10.0, 4.0
    WorkerPool.objects.update_or_create(name="tools", defaults={"slots": 4, "reserved": 1})
    agent = AgentProfile.objects.create(name="elsewhere", model_kind="remote", mode="on")
    for name in ("read_file", "list_files", "write_file"):
        agent.tools.add(register_tool("builtin", catalog.BUILTIN[name]))
    return agent


@pytest.fixture
def key(transactional_db: None) -> ApiKey:
    return access.create_key("an agent", [access.CALL], who="tester")[0]


@pytest.fixture
def caller(agent: AgentProfile, key: ApiKey) -> Caller:
    return Caller(key, agent, "one", "a client 1.0")


@pytest.fixture
def beside() -> Iterator[Beside]:
    """Runs something in a thread with a connection of its own."""
    with ThreadPoolExecutor(8) as threads:

        def submit(work: Callable[..., Any], *arguments: Any) -> "Future[Any]":
            def done() -> Any:
                try:
                    return work(*arguments)
                finally:
                    connection.close()

            return threads.submit(done)

        yield submit


def wait_until(is_so: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def in_world(session: Session, root: Path) -> Session:
    Session.objects.filter(pk=session.pk).update(world={"root": str(root)})
    return session


def opened(caller: Caller, root: Path) -> Session:
    """A session of the caller's that nobody runs yet."""
    pk = submission.open_remote(
        caller.agent, "", client="x", client_session=caller.session_hash, submitted_by=caller.key, draw=0.5
    )
    return in_world(Session.objects.get(pk=pk), root)


def read(path: str) -> tuple[str, dict[str, Any]]:
    return "read_file", {"path": path}


def run(session: Session) -> None:
    tasks.run_session(str(session.pk))


@pytest.fixture
def worker(beside: Beside) -> Iterator[None]:
    """Runs whatever session waits for a worker, as one would that the broker tells of it."""
    closing = threading.Event()

    def work() -> None:
        waits = Q(status="queued") | Q(status="running", lease_until__lte=Now())
        while not closing.wait(0.02):
            for session in Session.objects.filter(waits, world__has_key="root"):
                run(session)

    working = beside(work)
    yield
    closing.set()
    working.result(30)
