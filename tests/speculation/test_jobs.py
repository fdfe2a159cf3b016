"""The state machine, one move at a time, and raced in pairs over real connections."""

from collections.abc import Callable
from functools import partial

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now

from speculation import events, jobs, recovery, sessions
from speculation.models import JobStatus, Session, SessionStatus, ToolJob, ToolRecord
from tests.speculation.conftest import Desk, Race
from tools.base import ToolResult

RESULT = ToolResult(True, "text", {"lines": 3})
ROUNDS = 40
ROUNDS_OF_A_PAIR = 25
"""The thousands are raced in test_raced_pairs.py; here one log has them all, and no number is missing in it."""


def in_state(desk: Desk, status: str, path: str) -> ToolJob:
    """A speculative job in the given state."""
    job = desk.speculate(path)
    assert job is not None
    if status in (JobStatus.RUNNING, JobStatus.SUCCEEDED):
        assert desk.start(job)
    if status == JobStatus.SUCCEEDED:
        assert desk.move(jobs.commit, job, attempt=1, result=RESULT)
    job.refresh_from_db()
    return job


def expire_lease(job: ToolJob) -> None:
    ToolJob.objects.filter(pk=job.pk).update(lease_until=Now())


@pytest.mark.parametrize("status", ["queued", "running", "succeeded"])
def test_a_speculation_in_any_held_state_is_promoted_once_and_keeps_its_state(desk: Desk, status: str) -> None:
    job = in_state(desk, status, "a.txt")
    assert desk.promote(job, "1.0")
    assert not desk.promote(job, "1.1")
    job.refresh_from_db()
    assert (job.status, job.call_id, job.start_before) == (status, "1.0", None)


def test_a_promoted_job_is_never_preempted_or_discarded(desk: Desk) -> None:
    running, done = in_state(desk, "running", "a"), in_state(desk, "succeeded", "b")
    assert desk.promote(running, "1.0") and desk.promote(done, "1.1")
    assert not desk.move(jobs.preempt, running, "slot needed")
    assert not desk.move(jobs.discard, done, "miss")


def test_a_promoted_job_that_has_ended_is_given_back_once_and_serves_nobody_again(desk: Desk, race: Race) -> None:
    job = in_state(desk, "succeeded", "a")
    assert not desk.move(jobs.give_back, job, "no part"), "nobody had asked for it"
    in_part = {"policy_version": desk.policy_version, "in_part": True}
    assert desk.move(jobs.promote, job, "1.0", **in_part)
    give_back = partial(desk.move, jobs.give_back, job, "no part")
    assert sorted(race.run(give_back, give_back)) == [False, True]
    assert not desk.promote(job, "1.1")
    job.refresh_from_db()
    assert (job.status, job.call_id, job.promoted_at) == (JobStatus.DISCARDED, None, None)
    assert desk.request("1.0", "a").call_id == "1.0", "the call is free for a run of its own"


def test_neither_a_requested_call_nor_a_running_one_is_given_back(desk: Desk) -> None:
    running, read, write = in_state(desk, "running", "a"), desk.request("1.1", "b"), desk.request("1.2", writes=True)
    assert desk.promote(running, "1.0")
    for job in (read, write):
        assert desk.start(job) and desk.move(jobs.commit, job, attempt=1, result=RESULT)
    assert not any(desk.move(jobs.give_back, job, "no part") for job in (running, read, write))


def test_a_result_of_a_preempted_job_is_dropped(desk: Desk) -> None:
    job = in_state(desk, "running", "a")
    assert desk.move(jobs.preempt, job, "slot needed")
    assert not desk.move(jobs.commit, job, attempt=1, result=RESULT)
    job.refresh_from_db()
    assert (job.status, job.result) == (JobStatus.PREEMPTED, None)


def test_a_superseded_worker_cannot_commit_over_its_successor(desk: Desk) -> None:
    job = desk.request()
    assert desk.start(job)
    expire_lease(job)
    assert desk.move(jobs.retry_lost, job)
    assert desk.start(job, attempt=1)
    assert not desk.move(jobs.commit, job, attempt=1, result=RESULT)
    assert desk.move(jobs.commit, job, attempt=2, result=RESULT)


def test_a_duplicate_delivery_finds_nothing_to_start(desk: Desk) -> None:
    job = desk.request()
    assert desk.start(job, attempt=0)
    assert not desk.start(job, attempt=0)


def test_a_queued_speculation_past_its_time_is_not_started(desk: Desk) -> None:
    job = desk.speculate(start_within_seconds=0.0)
    assert job is not None
    assert not desk.start(job)


def test_the_time_to_live_does_not_run_while_queued(desk: Desk) -> None:
    job = desk.speculate(ttl_seconds=30.0)
    assert job is not None and job.expires_at is None
    assert desk.start(job)
    job.refresh_from_db()
    assert job.expires_at is not None and job.started_at is not None
    assert (job.expires_at - job.started_at).total_seconds() == pytest.approx(30.0)


def test_an_expired_result_is_not_promoted_and_makes_room_for_its_twin(desk: Desk) -> None:
    job = in_state(desk, "succeeded", "a")
    ToolJob.objects.filter(pk=job.pk).update(expires_at=Now())
    assert not desk.promote(job)
    assert desk.speculate("a") is not None
    job.refresh_from_db()
    assert (job.status, job.end_reason) == (JobStatus.DISCARDED, "expired")


def test_the_same_call_is_speculated_once_and_not_again_after_it_failed(desk: Desk) -> None:
    job = desk.speculate("a")
    assert job is not None and desk.speculate("a") is None
    desk.start(job)
    assert desk.move(jobs.fail, job, attempt=1, error="no such file")
    assert desk.speculate("a") is None


def test_a_job_speculated_before_a_revocation_neither_starts_nor_serves(desk: Desk) -> None:
    queued, done = desk.speculate("a"), in_state(desk, "succeeded", "b")
    assert queued is not None
    ToolRecord.objects.filter(pk=desk.read_tool.pk).update(policy_version=F("policy_version") + 1)
    desk.policy_version += 1
    assert not desk.start(queued)
    assert not desk.promote(done)


def test_a_result_from_before_a_write_is_never_served(desk: Desk) -> None:
    read = in_state(desk, "succeeded", "a")
    write = desk.request("1.0", "a", writes=True)
    assert desk.start(write)
    assert not desk.promote(read, "1.1"), "while the write runs"
    assert desk.move(jobs.commit, write, attempt=1, result=RESULT)
    assert not desk.promote(read, "1.1"), "after the write"


def test_a_result_from_after_a_write_is_served(desk: Desk) -> None:
    write = desk.request("1.0", "a", writes=True)
    assert desk.start(write)
    assert desk.move(jobs.commit, write, attempt=1, result=RESULT)
    read = in_state(desk, "succeeded", "a")
    assert desk.promote(read, "1.1")


def test_nothing_is_speculated_while_a_write_runs_and_a_read_started_before_it_is_given_up(desk: Desk) -> None:
    running = in_state(desk, "running", "a")
    write = desk.request("1.0", "a", writes=True)
    assert desk.start(write)
    running.refresh_from_db()
    assert (running.status, running.end_reason) == (JobStatus.PREEMPTED, "invalidated")
    assert desk.speculate("b") is None
    assert desk.move(jobs.commit, write, attempt=1, result=RESULT)
    assert desk.speculate("b") is not None


def test_a_write_that_fails_ends_the_change_too(desk: Desk) -> None:
    write = desk.request("1.0", "a", writes=True)
    assert desk.start(write)
    expire_lease(write)
    assert desk.move(jobs.fail_lost, write)
    desk.session.refresh_from_db()
    assert desk.session.epoch == 2
    assert desk.speculate("b") is not None


def test_a_write_is_never_run_again_after_its_worker_was_lost(desk: Desk) -> None:
    write = desk.request("1.0", "a", writes=True)
    assert desk.start(write)
    expire_lease(write)
    assert not desk.move(jobs.retry_lost, write)


def test_a_read_whose_workers_keep_dying_is_given_up_after_three_attempts(desk: Desk) -> None:
    read = desk.request()
    for attempt in range(jobs.MOST_ATTEMPTS):
        assert desk.start(read, attempt=attempt)
        expire_lease(read)
        assert desk.move(jobs.retry_lost, read) is (attempt + 1 < jobs.MOST_ATTEMPTS)
    assert desk.move(jobs.fail_lost, read)


def test_a_queued_call_of_a_session_that_ended_is_withdrawn_and_never_starts(desk: Desk) -> None:
    write = desk.request("1.0", "a", writes=True)
    assert sessions.finish(desk.session, SessionStatus.CANCELLED)
    assert not desk.start(write)
    write.refresh_from_db()
    assert (write.status, write.end_reason) == (JobStatus.FAILED, "session ended")


def test_a_read_lost_with_its_worker_does_not_run_again_for_a_session_that_ended(desk: Desk) -> None:
    read = desk.request()
    assert desk.start(read)
    assert sessions.finish(desk.session, SessionStatus.CANCELLED)
    expire_lease(read)
    recovery.sweep()
    read.refresh_from_db()
    assert read.status == JobStatus.FAILED


def test_the_database_refuses_a_side_effect_before_its_call(desk: Desk) -> None:
    write = desk.request("1.0", "a", writes=True)
    with pytest.raises(IntegrityError, match="job_has_no_side_effect_before_its_call"), transaction.atomic():
        ToolJob.objects.filter(pk=write.pk).update(call_id=None)


def test_the_database_refuses_a_second_job_for_one_call(desk: Desk) -> None:
    desk.request("1.0", "a")
    with pytest.raises(IntegrityError, match="job_answers_one_call"):
        desk.request("1.0", "b")


def test_the_database_refuses_a_dry_run_that_answers_a_call(desk: Desk) -> None:
    job = desk.request()
    with pytest.raises(IntegrityError, match="job_dry_run_answers_no_call"), transaction.atomic():
        ToolJob.objects.filter(pk=job.pk).update(transformed=True)


def test_an_event_stands_in_the_log_exactly_if_its_move_happened_and_numbers_have_no_gap(desk: Desk) -> None:
    job = in_state(desk, "succeeded", "a")
    desk.move(jobs.preempt, job, "too late")
    desk.move(jobs.discard, job, "miss")
    assert desk.log() == [(1, "job_queued"), (2, "job_started"), (3, "job_ended"), (4, "job_discarded")]


def test_a_failed_transaction_leaves_neither_move_nor_event(desk: Desk) -> None:
    job = in_state(desk, "running", "a")
    with pytest.raises(RuntimeError), events.writing(desk.session.pk) as log:
        jobs.commit(log, job, attempt=1, result=RESULT)
        raise RuntimeError("the power goes out")
    job.refresh_from_db()
    assert job.status == JobStatus.RUNNING
    assert [kind for _, kind in desk.log()][-1] == "job_started"


MOVES_OF_A_GUESS: dict[str, tuple[str, Callable[[Desk, ToolJob], bool]]] = {
    "start": ("queued", lambda desk, job: desk.start(job)),
    "commit": ("running", lambda desk, job: desk.move(jobs.commit, job, attempt=1, result=RESULT)),
    "fail": ("running", lambda desk, job: desk.move(jobs.fail, job, attempt=1, error="x")),
    "preempt": ("running", lambda desk, job: desk.move(jobs.preempt, job, "slot needed")),
    "discard": ("succeeded", lambda desk, job: desk.move(jobs.discard, job, "miss")),
    "promote": ("succeeded", lambda desk, job: desk.promote(job)),
}
EXCLUSIVE_PAIRS = [
    ("queued", "start", "start"),
    ("queued", "preempt", "preempt"),
    ("queued", "preempt", "promote"),
    ("queued", "promote", "promote"),
    ("running", "commit", "commit"),
    ("running", "commit", "fail"),
    ("running", "commit", "preempt"),
    ("running", "fail", "preempt"),
    ("running", "preempt", "preempt"),
    ("running", "preempt", "promote"),
    ("running", "promote", "promote"),
    ("succeeded", "discard", "discard"),
    ("succeeded", "discard", "promote"),
    ("succeeded", "promote", "promote"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("status", "one", "other"), EXCLUSIVE_PAIRS)
def test_two_moves_that_exclude_each_other_have_exactly_one_winner(
    desk: Desk, race: Race, status: str, one: str, other: str
) -> None:
    for round_number in range(ROUNDS_OF_A_PAIR):
        job = in_state(desk, status, f"{round_number}.txt")
        calls = {0: f"{round_number}.0", 1: f"{round_number}.1"}

        def contender(number: int, verb: str, job: ToolJob = job, calls: dict[int, str] = calls) -> bool:
            if verb == "promote":
                return desk.promote(job, calls[number])
            return MOVES_OF_A_GUESS[verb][1](desk, job)

        won = race.run(*[partial(contender, number, verb) for number, verb in enumerate((one, other))])
        assert sorted(won) == [False, True], f"round {round_number}: {one} {won[0]}, {other} {won[1]}"
    seqs = [seq for seq, _ in desk.log()]
    assert seqs == list(range(1, len(seqs) + 1))


@pytest.mark.parametrize("status", ["queued", "running"])
def test_starting_or_committing_beside_a_promotion_loses_neither(desk: Desk, race: Race, status: str) -> None:
    """Those two do not exclude each other: whatever the order, the call gets the job and the job goes on."""
    move = "start" if status == "queued" else "commit"
    for round_number in range(ROUNDS):
        job = in_state(desk, status, f"{round_number}.txt")
        won = race.run(
            lambda job=job: MOVES_OF_A_GUESS[move][1](desk, job),
            lambda job=job, call=f"{round_number}.0": desk.promote(job, call),
        )
        assert won == [True, True]


def test_a_failure_beside_a_promotion_leaves_the_call_a_retry_or_the_guess_dead(desk: Desk, race: Race) -> None:
    for round_number in range(ROUNDS):
        job = in_state(desk, "running", f"{round_number}.txt")
        failed, promoted = race.run(
            lambda job=job: desk.move(jobs.fail_unasked, job, attempt=1, error="x"),
            lambda job=job, call=f"{round_number}.0": desk.promote(job, call),
        )
        assert failed is not promoted
        assert desk.move(jobs.retry_joined, job, attempt=1) is promoted


def test_a_read_promoted_beside_the_start_of_a_write_is_from_before_it_or_not_served(desk: Desk, race: Race) -> None:
    for round_number in range(ROUNDS):
        read = in_state(desk, "succeeded", f"{round_number}.txt")
        write = desk.request(f"{round_number}.0", "w", writes=True)
        desk.session.refresh_from_db()
        promoted, started = race.run(
            lambda read=read, call=f"{round_number}.1": desk.promote(read, call), lambda write=write: desk.start(write)
        )
        assert started
        kinds = [kind for _, kind in desk.log()]
        read.refresh_from_db()
        assert (read.call_id is not None) == promoted
        assert promoted or read.status == JobStatus.DISCARDED, kinds[-4:]
        assert desk.move(jobs.commit, write, attempt=1, result=RESULT)


def test_two_sessions_racing_for_the_same_speculation_make_one(desk: Desk, race: Race) -> None:
    for round_number in range(ROUNDS):
        path = f"{round_number}.txt"
        made = race.run(lambda path=path: desk.speculate(path), lambda path=path: desk.speculate(path))
        assert sum(job is not None for job in made) == 1


def test_claiming_a_session_at_once_has_one_winner(make_session: Callable[[], Session], race: Race) -> None:
    for _ in range(ROUNDS):
        session = make_session()
        Session.objects.filter(pk=session.pk).update(status="queued", attempt=0)
        won = race.run(
            lambda pk=session.pk: sessions.claim(pk, "one"), lambda pk=session.pk: sessions.claim(pk, "other")
        )
        assert sum(claimed is not None for claimed in won) == 1
