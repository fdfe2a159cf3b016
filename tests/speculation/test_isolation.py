"""Guesses stay within what is left over: no backlog in the broker, no reserved slot, no more of a tool than it bears."""

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from random import Random

import pytest
from django.db.models.functions import Now

from paste_web import celery_app
from speculation import events, jobs, scheduler, slack, worker
from speculation.engine.types import Prediction, ToolTraits
from speculation.engine.utility import Bid
from speculation.models import JobStatus, Session, ToolJob, ToolRecord, WorkerPool
from speculation.scheduler import AskedCall, Forecasted, Offer
from speculation.slack import Capacity
from speculation.specs import JobSpec
from speculation.worker import GUESSES_QUEUE, SPECULATIVE_PRIORITY
from tests.speculation.conftest import Race
from tools.base import SideEffect, ToolCall, ToolPolicy, ToolResult

SLOTS, RESERVED = 6, 2
FOR_GUESSES = SLOTS - RESERVED
BEARS = {"look_up": 8, "search_text": 2}
"""How many calls at once each tool takes: one more than there are slots, and fewer."""
ARRIVALS = 200
REPLACEMENTS = 150


class Broker:
    """The real broker's queue of guesses, which no worker reads."""

    def __init__(self) -> None:
        self.connection = celery_app.connection_for_write()
        self.channel = self.connection.default_channel
        self.channel.queue_purge(GUESSES_QUEUE)

    def guesses(self) -> list[str]:
        """The job ids of the speculative messages."""
        queue = self.channel._q_for_pri(GUESSES_QUEUE, SPECULATIVE_PRIORITY)
        bodies = (json.loads(message)["body"] for message in self.channel.client.lrange(queue, 0, -1))
        return [json.loads(base64.b64decode(body))[0][0] for body in bodies]

    def live_guesses(self) -> int:
        """Of those, how many would start if a worker came."""
        return ToolJob.objects.filter(pk__in=self.guesses(), status=JobStatus.QUEUED, call_id=None).count()


@pytest.fixture
def broker(broker_url: str) -> Iterator[Broker]:
    broker = Broker()
    yield broker
    broker.connection.release()


@pytest.fixture
def tools(pool: WorkerPool) -> dict[str, ToolRecord]:
    WorkerPool.objects.filter(pk=pool.pk).update(slots=SLOTS, reserved=RESERVED)
    return {name: ToolRecord.objects.create(name=name, definition_hash="a" * 64, effect="none") for name in BEARS}


class Arrivals:
    """What sessions and workers do, each a transaction of its own, on paths that never come twice."""

    def __init__(self, tools: dict[str, ToolRecord]) -> None:
        self.tools = tools

    def spec(self, tool: str, path: str) -> JobSpec:
        fingerprint = ToolCall(tool, {"path": path}).fingerprint(ToolPolicy())
        return JobSpec(self.tools[tool], "tools", {"path": path}, fingerprint, SideEffect.NONE)

    def offer(self, tool: str, path: str, utility: float) -> Offer:
        spec = self.spec(tool, path)
        prediction = Prediction(ToolCall(tool, spec.arguments), 0.8, 0.9, f"* => {tool}", 3.0)
        traits = ToolTraits(tool, reads_only=True, changes_world=False, expected_seconds=0.01)
        return Offer(Bid(prediction, spec.fingerprint, 1.0, 0.1, utility), spec, traits, None, Capacity(BEARS[tool]))

    def guess(self, session: Session, *offers: Offer) -> list[ToolJob]:
        return list(scheduler.speculate(session.pk, 1, Forecasted(1, 0, offers)).jobs)

    def ask(self, session: Session, call_id: str, tool: str, path: str) -> ToolJob:
        return scheduler.serve(session.pk, 1, [AskedCall(call_id, 1, self.spec(tool, path))])[0]

    def work(self, dice: Random) -> None:
        """A worker takes a queued job, ends a running one, or lets go of one that was given up."""
        job = ToolJob.objects.filter(ended_at=None).order_by("?").first()
        if job is None:
            return
        if job.status == JobStatus.QUEUED:
            worker.start(job.pk, job.attempt)
            return
        with events.writing(job.session_id) as log:
            if not jobs.release(log, job, attempt=job.attempt):
                jobs.commit(log, job, attempt=job.attempt, result=ToolResult(True, "text"))


def holding_a_slot() -> list[tuple[str, bool]]:
    """The tools of the jobs in slots, and whether somebody asked for them, in one look."""
    busy = ToolJob.objects.filter(slack.holding_a_slot(), pool="tools")
    return [(tool, call_id is not None) for tool, call_id in busy.values_list("tool__name", "call_id")]


@pytest.mark.slow
def test_in_random_arrivals_guesses_never_take_a_reserved_slot_nor_more_of_a_tool_than_it_bears(
    tools: dict[str, ToolRecord], broker: Broker, make_session: Callable[[], Session], race: Race
) -> None:
    arrivals, dice = Arrivals(tools), Random(4)
    sessions = [make_session() for _ in range(6)]
    most: Counter[str] = Counter()
    for number in range(ARRIVALS):
        race.run(*_at_once(arrivals, sessions, number, dice))
        busy = holding_a_slot()
        guesses = Counter(tool for tool, is_asked in busy if not is_asked)
        assert guesses.total() <= FOR_GUESSES, f"arrival {number}: {busy}"
        assert all(guesses[tool] <= bears for tool, bears in BEARS.items()), f"arrival {number}: {busy}"
        assert broker.live_guesses() <= FOR_GUESSES
        most.update({name: max(0, seen - most[name]) for name, seen in [("all", guesses.total()), *guesses.items()]})
    print(f"\nat most {dict(most)} of {FOR_GUESSES} slots; {_refusals(sessions)}")
    assert most["all"] == FOR_GUESSES and most["search_text"] == BEARS["search_text"], "the limits were reached"


def _at_once(arrivals: Arrivals, sessions: list[Session], number: int, dice: Random) -> list[Callable[[], object]]:
    """Two sessions guess, a third may ask, workers work."""
    one, other, third = dice.sample(sessions, 3)
    offers = [
        [arrivals.offer(dice.choice(list(BEARS)), f"{number}.{n}", dice.random()) for n in range(5)] for _ in range(2)
    ]
    asks = partial(arrivals.ask, third, f"{number}.0", dice.choice(list(BEARS)), f"asked {number}")
    return [
        partial(arrivals.guess, one, *offers[0]),
        partial(arrivals.guess, other, *offers[1]),
        asks if dice.random() < 0.3 else partial(arrivals.work, dice),
        partial(arrivals.work, dice),
    ]


def _refusals(sessions: list[Session]) -> dict[str, int]:
    told = [event for session in sessions for event in session.events.filter(kind="predicted")]
    return dict(Counter(one["verdict"] for event in told for one in event.payload["candidates"]))


def test_with_all_slots_busy_offers_are_refused_and_the_broker_is_told_of_none(
    tools: dict[str, ToolRecord], broker: Broker, session: Session
) -> None:
    arrivals = Arrivals(tools)
    for number in range(SLOTS):
        arrivals.ask(session, f"1.{number}", "look_up", f"asked {number}")
    assert arrivals.guess(session, arrivals.offer("look_up", "a", 9.0)) == []
    assert broker.guesses() == []
    assert _refusals([session]) == {"no free slot": 1}


def test_the_broker_holds_no_more_guesses_than_there_are_free_slots_however_many_are_offered(
    tools: dict[str, ToolRecord], broker: Broker, make_session: Callable[[], Session]
) -> None:
    arrivals = Arrivals(tools)
    for number in range(5):
        session = make_session()
        arrivals.guess(session, *(arrivals.offer("look_up", f"{number}.{n}", 1.0) for n in range(10)))
        assert len(broker.guesses()) == broker.live_guesses() == FOR_GUESSES


@pytest.mark.slow
def test_a_guess_that_has_just_started_is_not_replaced_by_a_better_one(
    tools: dict[str, ToolRecord], broker: Broker, make_session: Callable[[], Session], race: Race
) -> None:
    """A worker takes a guess at the instant at which another session's better one would take its place in the queue."""
    WorkerPool.objects.update(slots=2, reserved=1)
    arrivals, one, other = Arrivals(tools), make_session(), make_session()
    replaced_while_running = 0
    for number in range(REPLACEMENTS):
        (worse,) = arrivals.guess(one, arrivals.offer("look_up", f"worse {number}", 1.0))
        race.run(
            partial(worker.start, worse.pk, 0),
            partial(arrivals.guess, other, arrivals.offer("look_up", f"better {number}", 5.0)),
        )
        held = [tool for tool, is_asked in holding_a_slot() if not is_asked]
        replaced_while_running += len(held) > 1
        ToolJob.objects.filter(ended_at=None).update(status=JobStatus.PREEMPTED, ended_at=Now())
    assert replaced_while_running == 0, f"{replaced_while_running} of {REPLACEMENTS}: two guesses in one slot"
