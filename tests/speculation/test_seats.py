"""Seats at a model endpoint, given out by PostgreSQL to whoever's turn it is, and given back whatever happens."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from speculation import seats
from speculation.agent.scripted import ScriptedModel
from speculation.agent.scripted import Turn as Said
from speculation.agent.types import Message, SessionStopped
from speculation.models import AgentProfile, ModelEndpoint, ModelSeat, Session, ToolJob
from speculation.seated_model import SeatedModel, seated, usual_tool_seconds
from tests.speculation.conftest import Desk, Race
from tests.speculation.house import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

HERE = "http://127.0.0.1:9/v1"
LEASE = timedelta(seconds=30)


@pytest.fixture
def leased(make_session: Callable[[], Session], agent: AgentProfile, settings: Any) -> Callable[[], Session]:
    settings.PASTE_MOST_MODEL_REQUESTS = 2
    AgentProfile.objects.update(endpoint=HERE)
    agent.refresh_from_db()

    def make() -> Session:
        session = make_session()
        Session.objects.filter(pk=session.pk).update(lease_until=Now() + LEASE)
        session.refresh_from_db()
        return session

    return make


def ask(session: Session, tool_seconds: float = 1.0, model_seconds: float = 1.0) -> bool:
    return seats.ask(session, HERE, usual_tool_seconds=tool_seconds, model_seconds=model_seconds)


def seated_now() -> set[Any]:
    return set(ModelSeat.objects.filter(seated_at__isnull=False).values_list("pk", flat=True))


def test_as_many_are_seated_as_the_endpoint_serves_and_whoever_leaves_makes_room(leased) -> None:
    first, second, third = leased(), leased(), leased()
    assert [ask(one) for one in (first, second, third)] == [True, True, False]
    assert seats.look(third, HERE) is False
    seats.leave(first, HERE)
    assert seated_now() == {second.pk, third.pk} and seats.look(third, HERE) is True


def test_racing_requests_never_take_more_seats_than_there_are(leased, race: Race) -> None:
    for _ in range(5):
        sessions = [leased() for _ in range(4)]
        assert sum(race.run(*[lambda one=one: ask(one) for one in sessions])) == 2
        for one in sessions:
            seats.leave(one, HERE)


def test_the_seat_goes_to_whoever_brings_most_tool_time_forward(leased, settings: Any) -> None:
    settings.PASTE_MOST_MODEL_REQUESTS = 1
    holder, early, worth_it = leased(), leased(), leased()
    ask(holder), ask(early, tool_seconds=0.1), ask(worth_it, tool_seconds=5.0)
    seats.leave(holder, HERE)
    assert seated_now() == {worth_it.pk}


def test_by_arrival_it_goes_to_whoever_came_first(leased, settings: Any) -> None:
    settings.PASTE_MOST_MODEL_REQUESTS, settings.PASTE_MODEL_ORDER = 1, "arrival"
    holder, early, worth_it = leased(), leased(), leased()
    ask(holder), ask(early, tool_seconds=0.1), ask(worth_it, tool_seconds=5.0)
    seats.leave(holder, HERE)
    assert seated_now() == {early.pk}


def test_long_waiting_makes_up_for_a_small_gain(leased, settings: Any) -> None:
    settings.PASTE_MOST_MODEL_REQUESTS = 1
    holder, early, worth_it = leased(), leased(), leased()
    ask(holder), ask(early, tool_seconds=0.1), ask(worth_it, tool_seconds=500.0)
    ModelSeat.objects.filter(pk=early.pk).update(asked_at=Now() - timedelta(seconds=61))
    seats.leave(holder, HERE)
    assert seated_now() == {early.pk}


def test_what_a_held_guess_hides_already_is_no_reason_to_go_first(leased, desk: Desk, settings: Any) -> None:
    settings.PASTE_MOST_MODEL_REQUESTS = 1
    holder, other = leased(), leased()
    Session.objects.filter(pk=desk.session.pk).update(lease_until=Now() + LEASE)
    job = desk.speculate()
    assert job is not None
    ToolJob.objects.filter(pk=job.pk).update(probability=1.0, expected_seconds=5.0)
    ask(holder), ask(desk.session, tool_seconds=0.1), ask(other, tool_seconds=3.0)
    assert [found.expected_seconds for found in seats._foreseen([desk.session.pk])[desk.session.pk]] == [5.0]
    desk.start(job)
    ToolJob.objects.filter(pk=job.pk).update(started_at=Now() - timedelta(seconds=4))
    seats.leave(holder, HERE)
    assert seated_now() == {other.pk}, "of the 5 s nothing is left once the model has decoded for 1 s"


def test_the_seat_of_a_session_whose_lease_ran_out_is_free_and_so_is_that_of_a_lost_attempt(leased) -> None:
    dead, lost, waiting, next_one = leased(), leased(), leased(), leased()
    assert [ask(one) for one in (dead, lost, waiting, next_one)] == [True, True, False, False]
    Session.objects.filter(pk=dead.pk).update(lease_until=Now() - timedelta(seconds=1))
    assert seats.look(waiting, HERE) is True and seats.look(next_one, HERE) is False
    Session.objects.filter(pk=lost.pk).update(attempt=2)
    assert seats.look(next_one, HERE) is True
    assert seats.look(dead, HERE) is None, "whoever was thought dead asks again"


def test_a_lost_worker_does_not_give_back_the_seat_of_its_successor(leased) -> None:
    session = leased()
    ask(session)
    Session.objects.filter(pk=session.pk).update(attempt=2)
    successor = Session.objects.get(pk=session.pk)
    assert ask(successor)
    seats.leave(session, HERE)
    assert seated_now() == {session.pk}


def test_an_endpoint_may_have_its_own_limit_and_a_lifted_one_seats_everybody(leased) -> None:
    ModelEndpoint.objects.create(name=HERE, most_requests=1)
    sessions = [leased() for _ in range(3)]
    assert seats.most_requests(HERE) == 1 and seats.most_requests("elsewhere") == 2
    assert [ask(one) for one in sessions] == [True, False, False]
    ModelEndpoint.objects.update(most_requests=0)
    assert seats.look(sessions[2], HERE) is True and len(seated_now()) == 3


def test_without_a_limit_the_model_is_left_alone(session: Session, settings: Any) -> None:
    model = scripted()
    assert settings.PASTE_MOST_MODEL_REQUESTS == 0
    assert seated(model, session, check=lambda: None) is model
    assert not ModelEndpoint.objects.exists()


def test_what_is_usual_for_an_agents_tools_is_what_its_calls_took(desk: Desk, agent: AgentProfile) -> None:
    assert usual_tool_seconds(agent.pk) == 1.0, "nothing is known"
    for index, seconds in enumerate((2, 4)):
        job = desk.request(f"1.{index}", path=f"{index}.txt")
        moments = {"started_at": Now() - timedelta(seconds=seconds), "ended_at": Now(), "status": "succeeded"}
        ToolJob.objects.filter(pk=job.pk).update(**moments)
    assert usual_tool_seconds(agent.pk) == pytest.approx(3.0)


class Reader:
    """Reads one turn of a session's seated model on a thread of its own."""

    def __init__(self, session: Session, *, check: Callable[[], None] = lambda: None, seconds: float = 0.2) -> None:
        model = seated(scripted(seconds), session, check)
        assert isinstance(model, SeatedModel)
        self.model = model
        self._pool = ThreadPoolExecutor(1)
        self.heard: Future[list[Any]] = self._pool.submit(self._read)

    def _read(self) -> list[Any]:
        try:
            return list(self.model.stream(1, [Message("user", "Hello.")], []))
        finally:
            connection.close()


def scripted(seconds: float = 0.2) -> ScriptedModel:
    return ScriptedModel(lambda messages: Said("Hello."), tokens_per_second=1000.0, prefill_seconds=seconds)


def kinds(session: Session) -> list[str]:
    return list(session.events.order_by("seq").values_list("kind", flat=True))


def test_a_request_waits_for_its_seat_and_its_log_says_so_only_then(leased, settings: Any) -> None:
    settings.PASTE_MOST_MODEL_REQUESTS = 1
    first, second = leased(), leased()
    ahead = Reader(first, seconds=0.5)
    wait_for(lambda: first.pk in seated_now())
    behind = Reader(second)
    began = time.monotonic()
    behind.heard.result(10)
    assert time.monotonic() - began > 0.5, "after the first has ended"
    assert ahead.heard.done() and kinds(first) == [] and kinds(second) == ["turn_queued", "turn_seated"]
    assert not ModelSeat.objects.exists()


def test_the_next_one_is_told_at_once_and_does_not_wait_for_its_poll(leased, settings: Any, monkeypatch) -> None:
    monkeypatch.setattr("speculation.seated_model.LOOK_AGAIN_SECONDS", 20.0)
    settings.PASTE_MOST_MODEL_REQUESTS = 1
    holder, waiting = leased(), leased()
    ask(holder)
    reader = Reader(waiting, seconds=0.0)
    wait_for(lambda: kinds(waiting) == ["turn_queued"])
    time.sleep(0.3)
    left = time.monotonic()
    seats.leave(holder, HERE)
    reader.heard.result(10)
    assert time.monotonic() - left < 2


def test_who_waits_holds_no_connection_so_more_may_wait_than_there_are_connections(leased, settings: Any) -> None:
    settings.PASTE_MOST_MODEL_REQUESTS = 1
    holder = leased()
    ask(holder)
    readers = [Reader(leased(), seconds=0.0) for _ in range(settings.PASTE_DATABASE_POOL + 4)]
    wait_for(lambda: ModelSeat.objects.filter(seated_at=None).count() == len(readers), seconds=30.0)
    seats.leave(holder, HERE)
    for reader in readers:
        assert reader.heard.result(30)


def test_a_session_that_is_to_end_leaves_the_line(leased, settings: Any) -> None:
    settings.PASTE_MOST_MODEL_REQUESTS = 1
    holder, waiting = leased(), leased()
    ask(holder)
    is_cancelled = threading.Event()

    def check() -> None:
        if is_cancelled.is_set():
            raise SessionStopped("cancelled")

    reader = Reader(waiting, check=check)
    wait_for(lambda: ModelSeat.objects.filter(pk=waiting.pk).exists())
    is_cancelled.set()
    with pytest.raises(SessionStopped):
        reader.heard.result(10)
    assert not ModelSeat.objects.filter(pk=waiting.pk).exists()


def test_a_stream_that_is_closed_half_way_gives_its_seat_back(leased) -> None:
    session = leased()
    stream = seated(scripted(), session, lambda: None).stream(1, [Message("user", "Hello.")], [])
    next(stream)
    assert seated_now() == {session.pk}
    stream.close()
    assert not ModelSeat.objects.exists()


@pytest.fixture(autouse=True)
def broker(broker_url: str) -> Iterator[None]:
    """Logs ring the bell, which needs its channel layer."""
    yield
