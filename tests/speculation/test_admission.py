"""Who runs next, decided by real workers' threads on real connections."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from speculation import admission, sessions, submission, tasks
from speculation.access import WRITE, create_key
from speculation.models import AgentProfile, ApiKey, Session, SessionStatus
from speculation.submission import submit_task
from tests.agent.endpoint import end as end_of_turn
from tests.agent.endpoint import running_endpoint, text
from tests.paste_web.stored_sessions import a_user
from tests.workers import Workers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def agent(transactional_db: None, broker_url: str) -> AgentProfile:
    return AgentProfile.objects.create(name="writer", model_kind="openai", model="small", mode="on")


def new_key(name: str) -> ApiKey:
    return create_key(name, [WRITE], who="tester")[0]


def submit(agent: AgentProfile, count: int, **options: Any) -> list[Session]:
    return [submit_task(agent, f"Poem {number}.", speculation="off", **options) for number in range(count)]


class Threads:
    """Workers' threads: each admits, keeps the session for a moment, and ends it."""

    def __init__(self, count: int, seconds: float) -> None:
        self.seconds, self.most_running = seconds, {}
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(count)
        self._futures = [self._pool.submit(self._work, f"worker {number}") for number in range(count)]

    def _work(self, owner: str) -> None:
        try:
            while not self._over.is_set():
                session = admission.admit(owner)
                if session is None:
                    time.sleep(0.01)
                    continue
                running = Session.objects.filter(status="running", party=session.party).count()
                self.most_running[session.party] = max(running, self.most_running.get(session.party, 0))
                connection.close()
                time.sleep(self.seconds)
                assert sessions.finish(session, SessionStatus.SUCCEEDED, answer="done")
        finally:
            connection.close()

    def finish(self, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while Session.objects.filter(ended_at=None).exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        self._over.set()
        self._pool.shutdown()
        for future in self._futures:
            future.result()


def starts(party: str) -> list[Session]:
    return list(Session.objects.filter(party=party).order_by("started_at"))


def test_five_of_one_key_do_not_wait_for_sixty_of_another(agent: AgentProfile) -> None:
    many, few = new_key("many"), new_key("few")
    submit(agent, 60, submitted_by=many)
    threads = Threads(4, seconds=0.1)
    time.sleep(0.3)
    submit(agent, 5, submitted_by=few)
    threads.finish()

    first, second = starts(f"key:{many.pk}"), starts(f"key:{few.pk}")
    assert len(first) == 60 and len(second) == 5, "nothing is lost"
    assert all(one.status == "succeeded" and one.attempt == 1 for one in first + second), "nothing runs twice"
    ahead = sum(second[0].created_at < one.started_at < second[-1].started_at for one in first)
    assert ahead <= 10, "five of it against five of the other, give or take who was just being admitted"
    for line in (first, second):
        assert [one.pk for one in line] == [one.pk for one in sorted(line, key=lambda one: (one.created_at, one.pk))]


def test_keys_users_and_the_demo_share_alike(agent: AgentProfile) -> None:
    parties = [
        submit(agent, 12, submitted_by=new_key("one"))[0].party,
        submit(agent, 12, user=a_user())[0].party,
        submit(agent, 12, origin="demo")[0].party,
    ]
    Threads(3, seconds=0.02).finish()
    began = {party: [one.started_at for one in starts(party)] for party in parties}
    order = sorted((at, party) for party, moments in began.items() for at in moments)
    for end in range(3, 36, 3):
        so_far = [party for _, party in order[:end]]
        assert max(map(so_far.count, parties)) - min(map(so_far.count, parties)) <= 3


def test_a_message_may_name_any_session_or_come_twice_and_the_one_whose_turn_it_is_runs(agent: AgentProfile) -> None:
    first, second = submit(agent, 2)
    assert admitted() == first.pk, "whatever the message named"
    assert admitted() == second.pk
    assert admitted() is None


def admitted() -> Any:
    session = admission.admit("worker")
    return session and session.pk


def test_a_session_whose_worker_was_lost_goes_before_all_that_wait(agent: AgentProfile) -> None:
    (lost,) = submit(agent, 1, submitted_by=new_key("one"))
    assert admitted() == lost.pk
    submit(agent, 1, submitted_by=new_key("two"))
    Session.objects.filter(pk=lost.pk).update(lease_until=Now() - timedelta(seconds=1))
    again = admission.admit("another")
    assert again is not None and (again.pk, again.attempt, again.owner) == (lost.pk, 2, "another")


def test_a_session_cancelled_while_it_waits_is_passed_over(agent: AgentProfile) -> None:
    first, second = submit(agent, 2)
    sessions.cancel(first.pk)
    assert admitted() == second.pk


def test_admission_does_not_wait_for_a_row_that_somebody_holds(agent: AgentProfile) -> None:
    held, other = submit(agent, 1, submitted_by=new_key("one")) + submit(agent, 1, submitted_by=new_key("two"))
    with ThreadPoolExecutor(1) as beside, transaction.atomic():
        Session.objects.select_for_update().get(pk=held.pk)
        assert beside.submit(on_own_connection, admitted).result(5) == other.pk
    assert admitted() == held.pk


def on_own_connection(act: Callable[[], Any]) -> Any:
    try:
        return act()
    finally:
        connection.close()


def test_a_key_has_at_most_its_limit_running_whoever_races_and_all_of_them_run_in_the_end(
    agent: AgentProfile, settings: Any
) -> None:
    settings.PASTE_MOST_RUNNING_SESSIONS_A_KEY = 2
    key = new_key("one")
    submit(agent, 16, submitted_by=key)
    submit(agent, 16, origin="demo")
    threads = Threads(6, seconds=0.1)
    threads.finish()
    assert Session.objects.filter(status="succeeded").count() == 32
    assert threads.most_running[f"key:{key.pk}"] == 2 and threads.most_running["demo"] > 2


def run_to_its_end(session: Session) -> None:
    """As a worker that is told of it does; the model has nothing to add."""
    with running_endpoint() as endpoint:
        endpoint.pieces = [text("Done."), end_of_turn()]
        AgentProfile.objects.update(endpoint=endpoint.url)
        tasks.run_session(str(session.pk))


def test_whoever_ends_a_session_sends_a_message_for_one_that_its_limit_held_back(
    agent: AgentProfile, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PASTE_MOST_RUNNING_SESSIONS_A_KEY = 1
    sent: list[Any] = []
    monkeypatch.setattr(tasks, "hand_over", sent.append)
    key = new_key("one")
    running, waiting = submit(agent, 2, submitted_by=key)
    first = admission.admit("worker")
    assert first is not None and first.pk == running.pk
    tasks.run_session(str(waiting.pk))
    assert not sent and Session.objects.get(pk=waiting.pk).status == "queued", "its token is used up"

    sessions.finish(first, SessionStatus.SUCCEEDED, answer="done")
    third = submit(agent, 1, submitted_by=key)[0]
    run_to_its_end(waiting)
    assert Session.objects.get(pk=waiting.pk).status == "succeeded"
    assert sent == [third.pk]


def test_who_stumbles_over_what_a_session_taught_still_calls_the_next_one(
    agent: AgentProfile, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PASTE_MOST_RUNNING_SESSIONS_A_KEY = 1
    sent: list[Any] = []
    monkeypatch.setattr(tasks, "hand_over", sent.append)
    monkeypatch.setattr(tasks.learning, "session_ended", lambda session: 1 // 0)
    first, second = submit(agent, 2, submitted_by=new_key("one"))
    with pytest.raises(ZeroDivisionError):
        run_to_its_end(first)
    assert Session.objects.get(pk=first.pk).status == "succeeded" and sent == [second.pk]


def test_without_a_limit_nobody_sends_more_messages_than_there_are_sessions(agent: AgentProfile) -> None:
    submit(agent, 1)
    assert admission.next_held_back() is None


@pytest.mark.slow
def test_real_workers_start_five_of_one_key_before_the_rest_of_sixty_of_another(
    agent: AgentProfile, workers: Workers
) -> None:
    many, few = new_key("many"), new_key("few")
    with running_endpoint() as endpoint:
        say, all_are_there = [text("Done."), end_of_turn()], threading.Event()
        endpoint.pieces_now = lambda: all_are_there.wait(60) and (time.sleep(0.5) or say)
        AgentProfile.objects.update(endpoint=endpoint.url)
        worker = workers.agents()
        worker.wait_until_ready()
        submit(agent, 60, submitted_by=many)
        assert Session.objects.filter(status="queued").count() >= 44, "they wait: 16 run at once"
        submit(agent, 5, submitted_by=few)
        all_are_there.set()
        deadline = time.monotonic() + 90
        while Session.objects.filter(ended_at=None).exists():
            assert time.monotonic() < deadline, worker.log.read_text()
            time.sleep(0.1)
    assert Session.objects.filter(status="succeeded", attempt=1, ended_at__gt=F("started_at")).count() == 65
    last_of_few = starts(f"key:{few.pk}")[-1].started_at
    after = sum(one.started_at > last_of_few for one in starts(f"key:{many.pk}"))
    assert after >= 10, "without fairness it would be none"


def test_the_sweep_tells_the_broker_only_of_sessions_that_it_holds_no_message_for(agent: AgentProfile) -> None:
    with current_app.connection_for_write() as broker:
        broker.default_channel.queue_purge("agents")
        first, *_ = submit(agent, 3)
        assert not submission.hand_over_again(first.pk), "three wait, and three messages"
        broker.default_channel.queue_purge("agents")
        told = [submission.hand_over_again(first.pk) for _ in range(10)]
        assert told == [True] * 3 + [False] * 7, "whichever they name: a message is a token"
        assert broker.default_channel.queue_purge("agents") == 3
