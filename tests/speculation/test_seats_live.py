"""Both orders of seats with the scripted model, limit 2 and six sessions of two agents; run with -s to read the figures.

Which order is better is printed and not asserted: it depends on the load.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from statistics import mean
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from paste_web.demonstration.stage import load_agents
from speculation.agent.demo import AGENTS
from speculation.agent.scripted import ScriptedModel, Turn
from speculation.agent.types import Message
from speculation.models import AgentProfile, EventRecord, ModelSeat, Session, ToolJob, WorkerPool
from speculation.seated_model import SeatedModel
from speculation.submission import submit_task
from tests.workers import Workers

pytestmark = pytest.mark.slow

LIMIT, EACH = 2, 3
PACE = {
    "PASTE_SCRIPTED_TOKENS_PER_SECOND": "400",
    "PASTE_NETWORK_LATENCY_SECONDS": "0.5",
    "PASTE_MOST_MODEL_REQUESTS": str(LIMIT),
}


@pytest.fixture
def agents(transactional_db: None) -> list[AgentProfile]:
    """Support waits long for its tools after short turns; coding writes long turns and has quick tools."""
    WorkerPool.objects.update_or_create(name="tools", defaults={"slots": 4, "reserved": 1})
    return [agent for agent in load_agents(leaves_one_to_approve=False) if agent.name in ("support", "coding")]


def submit(agents: list[AgentProfile], each: int) -> list[Session]:
    """One of each agent in turn, so that neither comes first."""
    tasks = {agent.pk: AGENTS[agent.script].tasks for agent in agents}
    return [
        submit_task(agent, tasks[agent.pk][number % len(tasks[agent.pk])], speculation="on")
        for number in range(each)
        for agent in agents
    ]


def run(sessions: list[Session], seconds: float = 240.0) -> int:
    """Wait until all have ended; how many requests were seated at once, at most."""
    most, deadline = 0, time.monotonic() + seconds
    while Session.objects.filter(pk__in=[one.pk for one in sessions], ended_at=None).exists():
        assert time.monotonic() < deadline, list(Session.objects.values_list("status", "last_seq", "error"))
        most = max(most, ModelSeat.objects.filter(seated_at__isnull=False).count())
        connection.close()
        time.sleep(0.05)
    for session in sessions:
        session.refresh_from_db()
        assert session.status == "succeeded", session.error
    return most


def task_seconds(sessions: list[Session]) -> list[float]:
    return [(one.ended_at - one.created_at).total_seconds() for one in sessions]


def waits(sessions: list[Session]) -> Iterator[float]:
    """Seconds between the two events that tell of a wait for a seat."""
    told = EventRecord.objects.filter(session__in=sessions, kind__in=["turn_queued", "turn_seated"])
    rows = list(told.order_by("session", "seq").values_list("kind", "at"))
    for (kind, queued_at), (_, seated_at) in zip(rows[::2], rows[1::2], strict=True):
        assert kind == "turn_queued"
        yield (seated_at - queued_at).total_seconds()


def slot_use(sessions: list[Session]) -> float:
    """Of four slots, from the first submission to the last end."""
    jobs = ToolJob.objects.filter(session__in=sessions, started_at__isnull=False, ended_at__isnull=False)
    busy = sum((job.ended_at - job.started_at).total_seconds() for job in jobs)
    span = max(one.ended_at for one in sessions) - min(one.created_at for one in sessions)
    return busy / (4 * span.total_seconds())


def measure(order: str, agents: list[AgentProfile], workers: Workers) -> None:
    agents_worker = workers.agents(**PACE, PASTE_MODEL_ORDER=order)
    agents_worker.wait_until_ready()
    sessions = submit(agents, EACH)
    most = run(sessions)
    agents_worker.stop()
    seconds, waited = sorted(task_seconds(sessions)), list(waits(sessions))
    by_agent = {
        agent.name: mean(task_seconds([one for one in sessions if one.agent_id == agent.pk])) for agent in agents
    }
    print(
        f"\n{order:8} task time mean {mean(seconds):5.1f} s, longest {seconds[-1]:5.1f} s; "
        + ", ".join(f"{name} {value:5.1f} s" for name, value in by_agent.items())
        + f"; {len(waited)} waits for a seat, mean {mean(waited):.2f} s, longest {max(waited):.1f} s; "
        f"slots used {100 * slot_use(sessions):.0f} %"
    )
    assert most == LIMIT, "it is met, and never passed"
    assert not ModelSeat.objects.exists(), "nobody holds or waits for a seat at the end"


def test_both_orders_keep_the_limit_and_end_every_session(agents: list[AgentProfile], workers: Workers) -> None:
    workers.tools(processes=4, **PACE).wait_until_ready()
    for order in ("arrival", "gain"):
        measure(order, agents, workers)


@dataclass(frozen=True)
class Way:
    """How sessions of an agent live: seconds of each turn of the model and of each call."""

    name: str
    model_seconds: float
    tool_seconds: float


WAYS = (Way("short turns, long tools", 0.3, 1.2), Way("long turns, short tools", 1.2, 0.3))
TURNS = 3


def live(session: Session, way: Way) -> float:
    """A session on a thread of its own, whose turns wait for real seats; how long it took. Its calls are only waited for."""
    began = time.monotonic()
    scripted = ScriptedModel(
        lambda messages: Turn("Done."), tokens_per_second=1000.0, prefill_seconds=way.model_seconds
    )
    try:
        for turn in range(1, TURNS + 1):
            model = SeatedModel(scripted, session, "scripted", lambda: None, way.tool_seconds)
            assert list(model.stream(turn, [Message("user", "Go on.")], []))
            time.sleep(way.tool_seconds)
        return time.monotonic() - began
    finally:
        connection.close()


def live_together(agents: dict[Way, AgentProfile]) -> dict[Way, list[float]]:
    lease_until = Now() + timedelta(minutes=5)
    sessions = [
        (Session.objects.create(agent=agents[way], task="t", status="running", attempt=1, lease_until=lease_until), way)
        for _ in range(EACH)
        for way in WAYS
    ]
    with ThreadPoolExecutor(len(sessions)) as threads:
        lives = [(way, threads.submit(live, session, way)) for session, way in sessions]
    return {way: [took.result() for each, took in lives if each == way] for way in WAYS}


def test_both_orders_side_by_side_where_nothing_but_the_seats_is_scarce(
    transactional_db: None, broker_url: str, settings: Any
) -> None:
    """Without workers, so that a busy machine blurs little."""
    settings.PASTE_MOST_MODEL_REQUESTS = LIMIT
    agents = {
        way: AgentProfile.objects.create(name=f"way{number}", model_kind="scripted") for number, way in enumerate(WAYS)
    }
    for order in ("gain", "arrival"):
        settings.PASTE_MODEL_ORDER = order
        took = live_together(agents)
        every = [seconds for each in took.values() for seconds in each]
        print(
            f"\n{order:8} task time mean {mean(every):5.2f} s, longest {max(every):5.2f} s; "
            + ", ".join(f"{way.name} {mean(took[way]):5.2f} s" for way in WAYS)
        )
        least = sum(EACH * TURNS * way.model_seconds for way in WAYS) / LIMIT
        assert max(every) >= least, "two at once, and no more"
    assert not ModelSeat.objects.exists()
