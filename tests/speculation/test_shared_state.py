"""State that sessions share: what one changes, the others' guesses about it are not served, whoever comes first."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.db.models import F
from django.db.models.functions import Now

from speculation import jobs, recovery, worker
from speculation.models import JobStatus, ResourceScope, Session, ToolJob, WorkerPool
from tests.speculation.board import Reader, fresh, put_up_board, run, start
from tests.speculation.conftest import Desk, Race
from tools.base import ToolResult

ROUNDS = 20


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broker_url: str, pool: WorkerPool) -> Path:
    path = tmp_path / "board.txt"
    put_up_board(path, monkeypatch)
    return path


@pytest.fixture
def one(board: Path, make_session: Callable[[], Session]) -> Reader:
    return Reader(make_session())


@pytest.fixture
def other(board: Path, make_session: Callable[[], Session]) -> Reader:
    return Reader(make_session())


def test_a_guess_is_served_while_nobody_has_changed_what_it_read(one: Reader, other: Reader) -> None:
    guess = one.guess_and_run()
    other.ask()
    assert one.ask().pk == guess.pk


def test_a_guess_from_before_another_sessions_write_is_not_served(one: Reader, other: Reader) -> None:
    guess = one.guess_and_run()
    run(other.ask("post_to_board", word="news"))
    asked = run(one.ask())
    assert asked.pk != guess.pk and asked.result["content"] == "news"
    assert one.told("call_asked")[-1]["reason"] == "world changed"


def test_nothing_is_guessed_about_a_shared_state_while_another_session_changes_it(one: Reader, other: Reader) -> None:
    writing = start(other.ask("post_to_board", word="news"))
    assert one.guess() is None
    ToolJob.objects.filter(pk=writing.pk).update(lease_until=Now(), status=JobStatus.FAILED, ended_at=Now())
    assert one.guess() is not None


def test_a_guess_that_was_queued_before_the_write_does_not_start_after_it(one: Reader, other: Reader) -> None:
    guess = one.guess()
    assert guess is not None
    run(other.ask("post_to_board", word="news"))
    with pytest.raises(AssertionError):
        start(guess)
    assert fresh(guess).status == JobStatus.QUEUED


def test_an_outdated_guess_makes_room_for_a_new_one_of_the_same_call(one: Reader, other: Reader) -> None:
    outdated = one.guess_and_run()
    run(other.ask("post_to_board", word="news"))
    renewed = one.guess_and_run()
    assert (fresh(outdated).status, fresh(outdated).end_reason) == (JobStatus.DISCARDED, "invalidated")
    assert one.ask().pk == renewed.pk and renewed.result["content"] == "news"


def test_the_sweep_gives_up_what_another_session_has_outdated(one: Reader, other: Reader) -> None:
    held, running = one.guess_and_run(), other.guess()
    assert running is not None
    start(running)
    third = ResourceScope.objects.filter(pk="board")
    assert third.update(epoch=F("epoch") + 2) == 1
    assert recovery.sweep()["guesses_outdated"] == 2
    assert fresh(held).status == JobStatus.DISCARDED and fresh(running).status == JobStatus.PREEMPTED


def test_a_write_whose_worker_was_lost_ends_its_change_when_that_is_known(one: Reader, other: Reader) -> None:
    lost = start(other.ask("post_to_board", word="news"))
    before = one.guess()
    ToolJob.objects.filter(pk=lost.pk).update(lease_until=Now())
    assert recovery.sweep()["jobs_of_lost_workers"] == 1
    assert before is None and one.guess() is not None
    assert other.told("call_returned")[-1]["unknown_outcome"]


def test_a_promotion_raced_with_another_sessions_write_serves_the_state_before_it_or_not_at_all(
    one: Reader, other: Reader, race: Race
) -> None:
    for round_number in range(ROUNDS):
        guess = one.guess_and_run()
        write = other.ask("post_to_board", word=f"{round_number}")
        asked, started = race.run(one.ask, lambda write=write: start(write))
        is_served = asked.pk == guess.pk
        one.session.refresh_from_db()
        epoch = ResourceScope.objects.get(pk="board").epoch
        assert is_served == (fresh(guess).call_id is not None)
        assert not is_served or guess.scope_epoch == epoch - 1, "served from the state right before this very write"
        worker.perform(started)
        if not is_served:
            run(asked)


def test_the_epoch_stays_odd_until_the_last_of_two_overlapping_writes_has_ended(desk: Desk) -> None:
    one, other = desk.request("1.0", "a", writes=True), desk.request("1.1", "b", writes=True)
    assert desk.start(one) and desk.start(other)
    assert desk.move(jobs.commit, one, attempt=1, result=ToolResult(True, "done"))
    desk.session.refresh_from_db()
    assert desk.session.epoch % 2 == 1 and desk.speculate("c") is None
    assert desk.move(jobs.commit, other, attempt=1, result=ToolResult(True, "done"))
    desk.session.refresh_from_db()
    assert desk.session.epoch % 2 == 0 and desk.speculate("c") is not None
