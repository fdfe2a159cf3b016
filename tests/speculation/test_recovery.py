"""What was lost is found again: leases, messages that come twice, a disk without room."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now

from speculation import jobs, recovery, sessions, worker
from speculation.leases import LeaseKeeper
from speculation.models import AgentProfile, EventRecord, JobStatus, Session, WorkerPool
from speculation.toolbox import Toolbox
from tests.speculation.lost import ask, fresh, let_lease_run_out, make_box, run, wait_for

FULL = "could not extend file: No space left on device"


@pytest.fixture
def box(
    tmp_path: Path,
    session: Session,
    agent: AgentProfile,
    pool: WorkerPool,
    broker_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Toolbox:
    return make_box(tmp_path, session, agent, monkeypatch)


def lease_is_over(session: Session) -> bool:
    return Session.objects.filter(pk=session.pk, lease_until__lte=Now()).exists()


# Leases of sessions


def test_a_session_that_two_threads_of_one_process_hold_is_renewed_until_both_let_go(
    session: Session, box: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that hung past its lease may take its own session over, while its first thread still winds down."""
    monkeypatch.setattr(sessions, "LEASE_SECONDS", 1.0)
    keeper = LeaseKeeper()
    with keeper.keeping(session.pk):
        with keeper.keeping(session.pk):
            pass
        Session.objects.filter(pk=session.pk).update(lease_until=Now())
        wait_for(lambda: not lease_is_over(session), seconds=5)


def test_a_session_whose_database_connection_broke_is_given_up_at_once_and_handed_over(
    session: Session, box: Toolbox
) -> None:
    Session.objects.filter(pk=session.pk).update(lease_until=Now() + timedelta(seconds=60))
    with pytest.raises(OperationalError), LeaseKeeper().keeping(session.pk):
        raise OperationalError("server closed the connection unexpectedly")
    assert lease_is_over(session)
    assert recovery.sweep()["sessions_handed_over"] == 1


def test_a_session_that_another_thread_still_runs_is_not_given_up(session: Session, box: Toolbox) -> None:
    Session.objects.filter(pk=session.pk).update(lease_until=Now() + timedelta(seconds=60))
    keeper = LeaseKeeper()
    with keeper.keeping(session.pk):
        with pytest.raises(OperationalError), keeper.keeping(session.pk):
            raise OperationalError("server closed the connection unexpectedly")
        assert not lease_is_over(session)


# A full disk


def disk_full_for(table: str, condition: str) -> AbstractContextManager[None]:
    """With the error of a full disk."""
    return refused_for(table, condition, error_code="53100")


@contextmanager
def refused_for(table: str, condition: str, error_code: str) -> Iterator[None]:
    """Rows of the table for which the SQL condition holds are refused."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{FULL}' USING ERRCODE = '{error_code}'; END $$"
        )
        cursor.execute(
            f"CREATE TRIGGER no_space BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW WHEN ({condition}) "
            "EXECUTE FUNCTION no_space()"
        )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER no_space ON {table}")
            cursor.execute("DROP FUNCTION no_space()")


def test_a_write_whose_result_finds_no_space_ends_with_an_unknown_outcome_and_does_not_run_again(
    session: Session, box: Toolbox, tmp_path: Path
) -> None:
    job = ask(session, box, "1.0", "edit_file", path="a.txt", old_text="two", new_text="2")
    with disk_full_for("speculation_tooljob", "NEW.result IS NOT NULL"):
        with pytest.raises(OperationalError, match="No space left"):
            run(job)
        assert (tmp_path / "a.txt").read_text() == "one\n2\n", "it was done; nobody could be told"
        let_lease_run_out(job)
        recovery.sweep()
    assert (fresh(job).status, fresh(job).error, fresh(job).attempt) == (JobStatus.FAILED, "worker lost", 1)
    session.refresh_from_db()
    assert session.epoch == 2, "the change is over, whatever came of it"


def test_a_read_whose_result_finds_no_space_is_tried_again_and_then_ends_with_an_unknown_outcome(
    session: Session, box: Toolbox
) -> None:
    job = ask(session, box, "1.0", "read_file", path="a.txt")
    with disk_full_for("speculation_tooljob", "NEW.result IS NOT NULL"):
        for attempt in range(1, jobs.MOST_ATTEMPTS + 1):
            with pytest.raises(OperationalError, match="No space left"):
                run(job)
            assert (fresh(job).status, fresh(job).attempt) == (JobStatus.RUNNING, attempt)
            let_lease_run_out(job)
            recovery.sweep()
    assert (fresh(job).status, fresh(job).attempt) == (JobStatus.FAILED, jobs.MOST_ATTEMPTS)


def test_a_read_is_answered_once_there_is_space_again(session: Session, box: Toolbox) -> None:
    job = ask(session, box, "1.0", "read_file", path="a.txt")
    with disk_full_for("speculation_tooljob", "NEW.result IS NOT NULL"), pytest.raises(OperationalError):
        run(job)
    let_lease_run_out(job)
    recovery.sweep()
    run(job)
    assert fresh(job).status == JobStatus.SUCCEEDED
    assert "two" in fresh(job).result["content"]


def test_while_the_disk_is_full_for_everything_the_sweep_goes_on_and_recovers_when_it_is_not(
    session: Session, box: Toolbox
) -> None:
    job = ask(session, box, "1.0", "edit_file", path="a.txt", old_text="two", new_text="2")
    assert worker.start(job.pk, 0) is not None
    let_lease_run_out(job)
    with disk_full_for("speculation_eventrecord", "true"), pytest.raises(OperationalError, match="No space left"):
        recovery.sweep()
    assert fresh(job).status == JobStatus.RUNNING, "nothing half done"
    assert recovery.sweep()["jobs_of_lost_workers"] == 1
    assert fresh(job).status == JobStatus.FAILED


def test_a_job_that_nothing_can_be_done_with_does_not_keep_the_sweep_from_the_others(
    session: Session, make_session: Callable[[], Session], box: Toolbox
) -> None:
    hopeless, other = (ask(one, box, "1.0", "read_file", path="a.txt") for one in (session, make_session()))
    for job in (hopeless, other):
        assert worker.start(job.pk, 0) is not None
        let_lease_run_out(job)
    condition = f"NEW.id = '{hopeless.pk}' AND NEW.status <> 'running'"
    with refused_for("speculation_tooljob", condition, error_code="23514"):
        assert recovery.sweep()["jobs_of_lost_workers"] == 1
    assert (fresh(hopeless).status, fresh(other).status) == (JobStatus.RUNNING, JobStatus.QUEUED)
    assert recovery.sweep()["jobs_of_lost_workers"] == 1


# Messages that come twice


def test_of_many_deliveries_of_one_message_at_once_one_starts_the_job(
    session: Session, box: Toolbox, race: Any
) -> None:
    for number in range(10):
        job = ask(session, box, f"1.{number}", "read_file", path="a.txt")
        started = race.run(*[lambda job=job: worker.start(job.pk, 0) for _ in range(4)])
        assert sum(one is not None for one in started) == 1
        worker.perform(next(one for one in started if one is not None))
        worker.run_job(str(job.pk), 0)
        worker.run_job(str(job.pk), 1)
        assert fresh(job).attempt == 1
    starts = EventRecord.objects.filter(session=session, kind="job_started").count()
    assert starts == 10


def test_of_many_deliveries_of_one_session_at_once_one_claims_it(make_session: Any, box: Toolbox, race: Any) -> None:
    for _ in range(10):
        session = make_session()
        Session.objects.filter(pk=session.pk).update(status="queued", attempt=0)
        claimed = race.run(*[lambda session=session: sessions.claim(session.pk, "w") for _ in range(4)])
        assert sum(one is not None for one in claimed) == 1
        assert sessions.claim(session.pk, "w") is None
