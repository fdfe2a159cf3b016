"""How many may wait, counted by PostgreSQL under real races."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import InternalError, connection, transaction
from django.db.models.functions import Now

from speculation import turnstiles
from speculation.access import WRITE, create_key
from speculation.models import AgentProfile, ApiKey, Origin, Session
from speculation.submission import QueueFull, submit_task
from speculation.turnstiles import Turnstile, go_through

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def agent(transactional_db: None, broker_url: str) -> AgentProfile:
    return AgentProfile.objects.create(name="writer", model_kind="openai", model="small", mode="on")


@pytest.fixture
def key(transactional_db: None) -> ApiKey:
    return create_key("one", [WRITE], who="tester")[0]


def all_at_once(number: int, act: Callable[[int], Any]) -> list[Any]:
    """What `act` gave in each of `number` threads, which begin together, each on a connection of its own."""
    barrier = threading.Barrier(number)

    def run(index: int) -> Any:
        try:
            barrier.wait(30)
            return act(index)
        finally:
            connection.close()

    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(run, range(number)))


def submitted(agent: AgentProfile, **options: Any) -> bool:
    try:
        submit_task(agent, "Write a poem.", **options)
    except QueueFull:
        return False
    return True


def test_forty_two_who_race_for_seven_places_fill_exactly_seven(agent: AgentProfile, settings: Any) -> None:
    settings.PASTE_MOST_QUEUED_SESSIONS = 7
    took = all_at_once(6, lambda _: [submitted(agent) for _ in range(7)])
    assert sum(map(sum, took)) == 7 == Session.objects.filter(status="queued").count()


def test_a_key_has_its_own_bound_and_leaves_room_for_another(agent: AgentProfile, key: ApiKey, settings: Any) -> None:
    settings.PASTE_MOST_QUEUED_SESSIONS_A_KEY = 3
    other = create_key("two", [WRITE], who="tester")[0]
    keys = [key, other]
    all_at_once(6, lambda index: [submitted(agent, submitted_by=keys[index % 2]) for _ in range(3)])
    assert Counter(Session.objects.values_list("submitted_by", flat=True)) == {key.pk: 3, other.pk: 3}


def test_our_own_origins_are_bounded_by_the_bound_of_all_alone(agent: AgentProfile, settings: Any) -> None:
    settings.PASTE_MOST_QUEUED_SESSIONS_A_KEY, settings.PASTE_MOST_QUEUED_SESSIONS = 1, 3
    assert [submitted(agent, origin=Origin.LEARNING) for _ in range(4)] == [True, True, True, False]
    assert set(Session.objects.values_list("party", flat=True)) == {"demo"}


def test_who_finds_no_room_leaves_nothing_behind_and_is_told_why_and_until_when(
    agent: AgentProfile, key: ApiKey, settings: Any
) -> None:
    settings.PASTE_MOST_QUEUED_SESSIONS_A_KEY = 2
    for _ in range(2):
        submit_task(agent, "Write a poem.", submitted_by=key)
    with pytest.raises(
        QueueFull, match=r"^All 2 places for waiting sessions of this API key or user are taken\. Try again in 300 s\.$"
    ):
        submit_task(agent, "Write a poem.", submitted_by=key)
    settings.PASTE_MOST_QUEUED_SESSIONS = 2
    with pytest.raises(QueueFull, match=r"^All 2 places for waiting sessions are taken\."):
        submit_task(agent, "Write a poem.")
    assert Session.objects.count() == 2


def test_until_when_is_told_by_how_fast_sessions_have_started(agent: AgentProfile, key: ApiKey, settings: Any) -> None:
    settings.PASTE_MOST_QUEUED_SESSIONS = settings.PASTE_MOST_QUEUED_SESSIONS_A_KEY = 20
    for _ in range(20):
        submit_task(agent, "Write a poem.", submitted_by=key)
    ended = [Session(agent=agent, task="t", status="succeeded", party="demo") for _ in range(30)]
    for number, session in enumerate(ended):
        session.started_at = session.ended_at = Now() - timedelta(seconds=10 + number)
    Session.objects.bulk_create(ended)
    with pytest.raises(QueueFull) as refused:
        submit_task(agent, "Write a poem.")
    assert refused.value.retry_after_seconds in (3, 4), "30 in 40 s, and two places are to be free"
    with pytest.raises(QueueFull) as refused:
        submit_task(agent, "Write a poem.", submitted_by=key)
    assert refused.value.retry_after_seconds == 300, "none of this key's own has started"


def test_places_are_free_again_once_sessions_start_or_are_cancelled(agent: AgentProfile, settings: Any) -> None:
    settings.PASTE_MOST_QUEUED_SESSIONS = 1
    assert submitted(agent) and not submitted(agent)
    Session.objects.update(status="running", started_at=Now())
    assert submitted(agent) and not submitted(agent)


def test_a_holder_of_the_lock_that_stands_still_is_put_out_after_a_while(
    agent: AgentProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turnstiles, "LONGEST_STALL", "300ms")
    is_held, may_go_on = threading.Event(), threading.Event()

    def stand_still() -> None:
        try:
            with transaction.atomic():
                go_through(Turnstile.SUBMIT)
                is_held.set()
                may_go_on.wait(30)
                Session.objects.count()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as beside:
        hung = beside.submit(stand_still)
        assert is_held.wait(10)
        assert submitted(agent), "after a third of a second"
        may_go_on.set()
        with pytest.raises(InternalError, match="idle-in-transaction"):
            hung.result()


def test_going_through_sets_that_limit_for_its_own_transaction_only(transactional_db: None) -> None:
    def limit() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW idle_in_transaction_session_timeout")
            return str(cursor.fetchone()[0])

    before = limit()
    with transaction.atomic():
        go_through(Turnstile.ADMIT)
        assert limit() == "5s"
    assert limit() == before
