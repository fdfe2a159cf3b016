"""10,000 pairs of moves raced over two real connections, through the real functions: one winner each.

Where two moves do not exclude each other, the pair says what else must hold; see `is_legal`.
"""

import math
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from speculation import events, jobs, new_jobs, policy, recovery, scheduler, sessions, worker
from speculation.engine.types import Prediction, ToolTraits
from speculation.engine.utility import Bid
from speculation.models import AgentProfile, JobStatus, Session, SessionStatus, ToolJob, ToolRecord, WorkerPool
from speculation.scheduler import AskedCall, Forecasted, Offer
from speculation.slack import Capacity
from speculation.specs import Guess, JobSpec
from tests.speculation.raced_pairs import Outcome, Pair, Subject, guess, one_winner, race, sessions_with_gaps
from tools.base import SideEffect, ToolCall, ToolPolicy, ToolResult

PAIRS = 10_000
NAIVE_PAIRS = 200
MANY = 1_000_000
"""Slots, and calls at once that a tool bears, where neither is what is raced for."""
TRAITS = ToolTraits("read_file", reads_only=True, changes_world=False)


def spec(subject: Subject) -> JobSpec:
    fingerprint = ToolCall(subject.tool.name, {"path": "a.txt"}).fingerprint(ToolPolicy())
    return JobSpec(subject.tool, "tools", {"path": "a.txt"}, fingerprint, SideEffect.NONE, max_parallel=MANY)


# Contenders


def start(subject: Subject) -> bool:
    assert subject.job_id is not None
    return worker.start(subject.job_id, 0) is not None


def commit(subject: Subject, attempt: int = 1) -> bool:
    return subject.move(jobs.commit, attempt=attempt, result=ToolResult(True, f"of attempt {attempt}"))


def promote(subject: Subject, call_id: str = "1.0") -> bool:
    """As the scheduler does: the version read under the tool's lock."""
    with transaction.atomic():
        tool = scheduler.locks.share_tools([subject.tool.pk])[subject.tool.pk]
        return subject.move(jobs.promote, call_id, policy_version=tool.policy_version)


def promote_for_another_call(subject: Subject) -> bool:
    return promote(subject, "1.1")


def preempt(subject: Subject) -> bool:
    return subject.move(jobs.preempt, "slot needed")


def discard(subject: Subject) -> bool:
    return subject.move(jobs.discard, "miss")


def give_back(subject: Subject) -> bool:
    return subject.move(jobs.give_back, "no part")


def retry_lost(subject: Subject) -> bool:
    return subject.move(jobs.retry_lost)


def take_over_and_commit(subject: Subject) -> bool:
    """The sweep finds the lease run out; another worker starts the job again and ends first, or not."""
    assert subject.job_id is not None
    if not retry_lost(subject):
        return False
    assert worker.start(subject.job_id, 1) is not None
    return commit(subject, attempt=2)


def release(subject: Subject) -> bool:
    return subject.move(jobs.release, attempt=1)


def sweep_slots(subject: Subject) -> bool:
    return recovery.sweep()["slots_of_lost_workers"] == 1


def let_lease_run_out(subject: Subject) -> None:
    ToolJob.objects.filter(pk=subject.job_id).update(lease_until=Now())


def renew(subject: Subject) -> bool:
    return jobs.renew(subject.job_id, 1)


def revoke(subject: Subject) -> bool:
    """True if the guess went with the approval."""
    return policy.switch(subject.tool, False, who="tester", why="").ended == 1


def ask(subject: Subject, call_id: str = "1.0") -> ToolJob:
    return scheduler.serve(subject.session_id, 1, [AskedCall(call_id, 1, spec(subject))])[0]


def ask_for_another_call(subject: Subject) -> ToolJob:
    return ask(subject, "1.1")


def start_write(subject: Subject) -> bool:
    """The session's other job, a call that changes something, asked for before."""
    write = ToolJob.objects.get(session_id=subject.session_id, call_id="0.0")
    return worker.start(write.pk, 0) is not None


def request(subject: Subject) -> bool:
    try:
        with events.writing(subject.session_id) as log:
            new_jobs.request(log, spec(subject), "1.0")
    except IntegrityError:
        return False
    return True


def speculate(subject: Subject) -> bool:
    with events.writing(subject.session_id) as log:
        return new_jobs.speculate(log, spec(subject), Guess(None, 0.5, 1.0, 1, 60.0, {})) is not None


def admit(subject: Subject) -> bool:
    return admit_for(subject, subject.session_id)


def admit_for_rival(subject: Subject) -> bool:
    return admit_for(subject, rivals[subject.session_id])


def admit_for(subject: Subject, session_id: UUID) -> bool:
    made = spec(subject)
    prediction = Prediction(ToolCall(subject.tool.name, made.arguments), 0.8, 0.9, "* => read_file", 3.0)
    offer = Offer(Bid(prediction, made.fingerprint, 1.0, 0.1, 1.0), made, TRAITS, None, Capacity(100))
    return bool(scheduler.speculate(session_id, 1, Forecasted(1, 0, [offer])).jobs)


rivals: dict[UUID, UUID] = {}
"""Of the sessions that compete for the last slot, the other one."""


def leave_one_slot(subject: Subject) -> None:
    """Two slots, one of them reserved, and nobody in them."""
    ToolJob.objects.filter(status=JobStatus.QUEUED).update(status=JobStatus.PREEMPTED, ended_at=Now())
    one = Session.objects.get(pk=subject.session_id)
    rivals[one.pk] = Session.objects.create(agent_id=one.agent_id, task="x", status="running", attempt=1).pk


def claim(subject: Subject) -> bool:
    return sessions.claim(subject.session_id, "another") is not None


def finish(subject: Subject) -> bool:
    return sessions.finish(Session(pk=subject.session_id, attempt=1), SessionStatus.SUCCEEDED)


# What else must hold


def winner_kept_it(outcome: Outcome) -> bool:
    """Promoted, or given up: the row says which of the two won."""
    job = outcome.job
    if outcome.one:
        return not outcome.other and job.call_id == "1.0" and job.status in jobs.HELD
    return bool(outcome.other) and job.call_id is None and job.status in (JobStatus.PREEMPTED, JobStatus.DISCARDED)


def promoted_before_or_given_up(outcome: Outcome) -> bool:
    """The write starts in any case; the read is from before it, or is not served."""
    read = next(job for job in outcome.jobs if job.effect == SideEffect.NONE)
    is_served = read.call_id is not None
    return outcome.other and is_served == outcome.one and outcome.session.epoch == 1 and (
        is_served or read.status == JobStatus.DISCARDED
    )  # fmt: skip


def given_up_started_or_not(outcome: Outcome) -> bool:
    """Giving up always succeeds; a worker that had begun holds its slot until it lets go."""
    job = outcome.job
    return outcome.other and job.status == JobStatus.PREEMPTED and (job.ended_at is None) == outcome.one


def result_is_the_winners(outcome: Outcome) -> bool:
    winner = 1 if outcome.one else 2
    return one_winner(outcome) and outcome.job.result["content"] == f"of attempt {winner}"


def one_job_for_both(outcome: Outcome) -> bool:
    return outcome.one.pk == outcome.other.pk == outcome.job.pk


def one_has_the_guess(outcome: Outcome) -> bool:
    promoted = [job for job in outcome.jobs if job.promoted_at]
    return len(promoted) == 1 and {job.call_id for job in outcome.jobs} == {"1.0", "1.1"}


def started_or_withdrawn(outcome: Outcome) -> bool:
    """The session ends in any case; its queued call has started before, or never does."""
    return bool(outcome.other) and outcome.job.status == (JobStatus.RUNNING if outcome.one else JobStatus.FAILED)


CALL = {"call_id": "1.0", "start_before": None}
NOW = datetime.now(UTC)
PAIRS_OF_MOVES = [
    Pair("promote / preempt, queued", promote, preempt, guess("queued"), is_legal=winner_kept_it),
    Pair("promote / preempt, running", promote, preempt, guess("running"), is_legal=winner_kept_it),
    Pair("promote / promote", promote, promote_for_another_call, guess("succeeded")),
    Pair("promote / discard", promote, discard, guess("succeeded"), is_legal=winner_kept_it),
    Pair("promote / revoke", promote, revoke, guess("succeeded"), is_legal=winner_kept_it, own_tool=True),
    Pair("promote / start of a write", promote, start_write, guess("succeeded"), is_legal=promoted_before_or_given_up,
         has_write=True),
    Pair("start / preempt", start, preempt, guess("queued"), is_legal=given_up_started_or_not),
    Pair("start / start", start, start, guess("queued")),
    Pair("start / end of the session", start, finish, guess("queued", **CALL), is_legal=started_or_withdrawn),
    Pair("commit / preempt", commit, preempt, guess("running")),
    Pair("commit / commit of a successor", commit, take_over_and_commit, guess("running", **CALL),
         is_legal=result_is_the_winners, prepare=let_lease_run_out),
    Pair("renew / retry of a lost run", renew, retry_lost, guess("running", **CALL), prepare=let_lease_run_out),
    Pair("give back / give back", give_back, give_back, guess("succeeded", promoted_at=NOW, in_part=True, **CALL)),
    Pair("release / sweep", release, sweep_slots, guess("preempted"), prepare=let_lease_run_out, share=0.5),
    Pair("request / request of one call", request, request, share=1.5),
    Pair("ask / ask of one call", ask, ask, is_legal=one_job_for_both, share=0.5),
    Pair("ask / ask of two calls with one guess", ask, ask_for_another_call, guess("succeeded"),
         is_legal=one_has_the_guess, share=0.5),
    Pair("speculate / speculate of one call", speculate, speculate),
    Pair("admit / admit for the last slot", admit, admit_for_rival, prepare=leave_one_slot, share=0.5),
    Pair("claim / claim", claim, claim, session={"status": "queued", "attempt": 0}, share=1.5),
    Pair("finish / claim", finish, claim, session={"lease_until": NOW}, share=1.5),
]  # fmt: skip


@pytest.fixture
def agent(transactional_db: None, broker_url: str, settings: Any) -> AgentProfile:
    """Its sessions run where there is room for all. The doorbell, of which nothing here hangs, rings in memory."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    WorkerPool.objects.update_or_create(name="tools", defaults={"slots": MANY, "reserved": 1, "is_paused": False})
    return AgentProfile.objects.create(name="tester", model_kind="openai", mode="on")


@pytest.fixture
def tool(agent: AgentProfile) -> ToolRecord:
    return ToolRecord.objects.create(name="read_file", definition_hash="a" * 64, effect="none")


def race_all(pair: Pair, rounds: int, agent: AgentProfile, tool: ToolRecord) -> tuple[int, int]:
    """How often each won; all outcomes legal, all logs without a gap. What was made is gone again."""
    outcomes = race(pair, rounds, agent, tool)
    broken = [(outcome.one, outcome.other, outcome.jobs) for outcome in outcomes if not pair.is_legal(outcome)]
    assert not broken, f"{pair.name}: {len(broken)} of {rounds} broke the rule, the first {broken[0]}"
    assert sessions_with_gaps() == 0
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE speculation_session CASCADE")
    return sum(bool(outcome.one) for outcome in outcomes), sum(bool(outcome.other) for outcome in outcomes)


@pytest.mark.slow
@pytest.mark.timeout(900)  # on a machine that others load; alone it takes about 90 s
def test_ten_thousand_raced_pairs_have_one_winner_each(agent: AgentProfile, tool: ToolRecord) -> None:
    rounds_a_share = math.ceil(PAIRS / sum(pair.share for pair in PAIRS_OF_MOVES))
    raced = 0
    for pair in PAIRS_OF_MOVES:
        rounds = math.ceil(rounds_a_share * pair.share)
        slots = 2 if pair.prepare is leave_one_slot else MANY
        WorkerPool.objects.update(slots=slots)
        started = time.monotonic()
        one, other = race_all(pair, rounds, agent, tool)
        raced += rounds
        print(f"{pair.name:40} {rounds:5} pairs, {one:5} / {other:5} won, {time.monotonic() - started:5.1f} s")
    print(f"{raced} pairs")
    assert raced >= PAIRS


@pytest.mark.slow
def test_a_promotion_that_loads_looks_and_saves_has_double_winners_in_the_same_race(
    agent: AgentProfile, tool: ToolRecord
) -> None:
    """The control: this is what the races above would find."""

    def naive(subject: Subject, call_id: str = "1.0") -> bool:
        with transaction.atomic():
            job = ToolJob.objects.get(pk=subject.job_id)
            if job.call_id is not None:
                return False
            job.call_id = call_id
            job.save(update_fields=["call_id"])
            return True

    pair = Pair("naive", naive, lambda subject: naive(subject, "1.1"), guess("succeeded"))
    doubles = sum(outcome.winners == 2 for outcome in race(pair, NAIVE_PAIRS, agent, tool))
    print(f"both won in {doubles} of {NAIVE_PAIRS}")
    assert doubles > NAIVE_PAIRS / 10
