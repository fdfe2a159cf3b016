"""What a worker does to a call that only reads is one statement, which waits for the session's lock as any other does."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction

from speculation import events, jobs, worker
from speculation.events import SessionLog
from speculation.models import AgentProfile, JobStatus, Session, ToolJob, WorkerPool
from speculation.toolbox import Toolbox
from tests.speculation.lost import ask, fresh, make_box, wait_for

Start = Callable[[], ToolJob]


@pytest.fixture
def box(
    tmp_path: Path, session: Session, agent: AgentProfile, pool: WorkerPool, broker_url: str, monkeypatch: Any
) -> Toolbox:
    return make_box(tmp_path, session, agent, monkeypatch)


@pytest.fixture
def job(session: Session, box: Toolbox) -> ToolJob:
    return ask(session, box, "1.0", "read_file", path="a.txt")


def told(session: Session) -> list[str]:
    """Kinds in order; no seq is left out, and the session counts them."""
    seqs, kinds = zip(*session.events.order_by("seq").values_list("seq", "kind"), strict=True)
    assert list(seqs) == list(range(1, len(seqs) + 1))
    session.refresh_from_db()
    assert session.last_seq == len(seqs)
    return list(kinds)


def waits_for_a_lock() -> bool:
    with psycopg.connect(settings.DATABASE_URL) as looking:
        found = looking.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchone()
    return found is not None and found[0] > 0


@contextmanager
def held(session: Session, act: Callable[[], Any]) -> Iterator[tuple[SessionLog, Future[Any]]]:
    """The session is locked until `act`, on a connection of its own, waits for it."""

    def beside() -> Any:
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic(), events.writing(session.pk) as log:
        acting = pool.submit(beside)
        wait_for(waits_for_a_lock)
        yield log, acting


def start(job: ToolJob) -> ToolJob:
    started = worker.start(job.pk, 0)
    assert started is not None
    return started


def test_a_read_is_looked_up_started_and_ended_in_one_statement_each(session: Session, job: ToolJob) -> None:
    statements: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        statements.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        worker.perform(start(job))
    assert [sql.split()[0] for sql in statements] == ["SELECT", "WITH", "WITH"]
    assert told(session) == ["job_queued", "call_asked", "job_started", "job_ended", "call_returned"]


def test_its_row_and_its_log_say_the_same(session: Session, job: ToolJob) -> None:
    worker.perform(start(job))
    ended = fresh(job)
    assert ended.started_at is not None and ended.ended_at is not None
    assert (ended.status, ended.attempt, ended.lease_until is not None) == (JobStatus.SUCCEEDED, 1, True)
    events_of = {event.kind: event.payload for event in session.events.all()}
    assert events_of["job_started"] == {"job": str(job.pk), "attempt": 1}
    assert events_of["job_ended"]["run_seconds"] == (ended.ended_at - ended.started_at).total_seconds()
    assert events_of["call_returned"]["content"] == ended.result["content"]


def test_a_start_that_waited_while_its_job_was_withdrawn_starts_nothing(session: Session, job: ToolJob) -> None:
    with held(session, lambda: worker.start(job.pk, 0)) as (log, starting):
        assert jobs.withdraw(log, fresh(job))
    assert starting.result() is None
    assert fresh(job).started_at is None
    assert told(session) == ["job_queued", "call_asked", "job_ended"]


def test_a_start_that_waited_while_its_session_ended_starts_nothing(session: Session, job: ToolJob) -> None:
    with held(session, lambda: worker.start(job.pk, 0)) as (_, starting):
        Session.objects.filter(pk=session.pk).update(status="cancelled", ended_at=jobs.Now())
    assert starting.result() is None
    assert (fresh(job).status, fresh(job).attempt) == (JobStatus.QUEUED, 0)


def test_an_end_that_waited_is_told_after_what_was_told_meanwhile(session: Session, job: ToolJob) -> None:
    started = start(job)
    with held(session, lambda: worker.perform(started)) as (log, performing):
        log.append("user_said", text="Hurry up.")
    performing.result()
    assert told(session)[2:] == ["job_started", "user_said", "job_ended", "call_returned"]


def test_the_end_of_a_read_whose_session_has_ended_is_told_but_answers_nobody(session: Session, job: ToolJob) -> None:
    started = start(job)
    with held(session, lambda: worker.perform(started)) as (log, performing):
        log.append("session_ended", status="cancelled", answer="", error="")
        Session.objects.filter(pk=session.pk).update(status="cancelled", ended_at=jobs.Now())
    performing.result()
    assert fresh(job).status == JobStatus.SUCCEEDED
    assert told(session)[2:] == ["job_started", "session_ended", "job_ended"]


def test_a_read_that_was_taken_for_lost_is_ended_by_its_second_run_alone(session: Session, job: ToolJob) -> None:
    first = start(job)
    ToolJob.objects.filter(pk=job.pk).update(lease_until=jobs.Now())
    with transaction.atomic(), events.writing(session.pk) as log:
        assert jobs.retry_lost(log, fresh(job))
    second = worker.start(job.pk, 1)
    assert second is not None and second.attempt == 2
    worker.perform(first)
    assert fresh(job).status == JobStatus.RUNNING
    worker.perform(second)
    assert fresh(job).status == JobStatus.SUCCEEDED
    assert told(session).count("job_ended") == told(session).count("call_returned") == 1


def test_many_reads_of_one_session_at_once_leave_no_seq_out(session: Session, box: Toolbox, race: Any) -> None:
    asked = [ask(session, box, f"1.{number}", "read_file", path="a.txt") for number in range(8)]

    def run(job: ToolJob) -> None:
        for _ in range(2):  # the message comes twice
            worker.run_job(str(job.pk), 0)

    for four in (asked[:4], asked[4:]):
        race.run(*[lambda job=job: run(job) for job in four])
    kinds = told(session)
    assert [kinds.count(kind) for kind in ("job_started", "job_ended", "call_returned")] == [8, 8, 8]


def test_the_caller_is_woken_by_the_end_and_only_by_it(session: Session, job: ToolJob, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as listening:
        listening.execute(f"LISTEN {events.NOTICE_CHANNEL}")
        started = start(job)
        assert worker.start(job.pk, 0) is None
        assert not list(listening.notifies(timeout=0.2))
        worker.perform(started)
        deadline = time.monotonic() + 5
        woken = [notice.payload for notice in listening.notifies(timeout=5, stop_after=1)]
        assert woken == [str(job.pk)] and time.monotonic() < deadline
