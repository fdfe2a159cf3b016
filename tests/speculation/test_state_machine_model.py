"""The state machine beside a plain model of it: whatever is done in whatever order, both say and hold the same.

Hypothesis thinks up orders and shrinks those that fail; walks by seeded dice go further in. Every verb's verdict is foretold by `job_model.py`; after every step the rows, the log and
the session are compared with it and with each other.
"""

from collections import Counter
from random import Random
from typing import Any

import pytest
from django.db import IntegrityError
from django.db.models import F, Q
from django.db.models.functions import Now
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from speculation import jobs, new_jobs, policy, recovery, scheduler, sessions, worker
from speculation.asked import AskedCall
from speculation.events import SessionLog, SessionLost
from speculation.models import AgentProfile, Session, SessionStatus, ToolJob, ToolRecord, WorkerPool
from speculation.specs import Guess
from tests.speculation.both_sides import FEW_JOBS, LONG_SECONDS, SLOTS, TOOLS, BothSides, Step, as_model, as_row, seen
from tests.speculation.job_model import ModelJob
from tests.speculation.told_by_log import Told
from tools.base import ToolResult

EXAMPLES, STEPS = 40, 40
WALKS, WALK_STEPS = 30, 50
WON = {
    "speculate", "start", "commit", "fail", "fail_unasked", "promote", "preempt", "discard", "give_back", "release",
    "renew", "fail_lost", "retry_lost", "retry_joined", "used", "joined", "raised", "requested", "there",
}  # fmt: skip
"""Each must have been seen to happen: a model that never gets anywhere proves nothing."""
LEAST_REFUSALS = 200


class JobsMachine(BothSides):
    """What may happen to the session and its jobs, and what holds after each step."""

    # The agent's side

    def speculate(self, step: Step) -> None:
        guess = Guess(None, 0.5, 1.0, self.tools[step.tool].policy_version, LONG_SECONDS, {})
        row = self.as_owner(lambda log: new_jobs.speculate(log, self.spec(step), guess))
        job = None if self.model.has_ended else self.model.speculate(self.tools[step.tool], step.path)
        self.agree("speculate", job is not None, row is not None)
        if job and row:
            self.keys[id(job)] = row.pk

    def next_call(self) -> str:
        self.calls += 1
        return f"1.{self.calls}"

    def ask(self, step: Step) -> None:
        self.ask_as(self.next_call(), step)

    def ask_again_after_a_crash(self, step: Step) -> None:
        call_id = f"1.{1 + step.which % 9}"
        if job := self.model.of_call(call_id):
            self.ask_as(call_id, step._replace(tool=job.tool.name, path=job.path))

    def ask_as(self, call_id: str, step: Step) -> None:
        asked = AskedCall(call_id, 1, self.spec(step))
        if self.model.has_ended:
            with pytest.raises(SessionLost):
                scheduler.serve(self.row.pk, self.model.attempt, [asked])
            return
        before = Session.objects.values_list("last_seq", flat=True).get(pk=self.row.pk)
        (row,) = scheduler.serve(self.row.pk, self.model.attempt, [asked])
        job, outcome = self.model.ask(self.tools[step.tool], step.path, call_id)
        told = [event.payload["outcome"] for event in self.row.events.filter(kind="call_asked", seq__gt=before)]
        assert told == ([] if outcome == "there" else [outcome])
        assert self.keys.setdefault(id(job), row.pk) == row.pk
        seen[outcome, True] += 1

    def a_second_job_for_one_call_is_refused(self, step: Step) -> None:
        job = self.pick(step)
        if job is None or job.call_id is None or self.model.has_ended:
            return
        with pytest.raises(IntegrityError, match="job_answers_one_call"):
            self.as_owner(lambda log: new_jobs.request(log, self.spec(step), str(job.call_id)))

    def promote_this_very_job(self, step: Step) -> None:
        """Also one that does not fit: of another epoch or version, expired, asked for, ended."""
        job = self.pick(step)
        if job is None or self.model.has_ended:
            return
        in_part = step.which % 2 == 0
        call_id, version = f"part of {self.next_call()}" if in_part else self.next_call(), job.tool.policy_version
        may_serve = self.may_serve(job, version)
        real = self.as_owner(lambda log: self.promote(log, job, call_id, version, in_part))
        self.agree("promote", self.model.promote(job, call_id, in_part), real)
        assert may_serve or not real
        job.is_answered |= real and job.status == "succeeded" and not in_part

    def promote(self, log: SessionLog, job: ModelJob, call_id: str, version: int, in_part: bool) -> bool:
        """The verb, and the lines that the scheduler writes beside it."""
        promoted = jobs.promote(log, self.fetch(job), call_id, policy_version=version, in_part=in_part)
        if promoted:
            log.append("call_asked", call_id=call_id, job=str(self.keys[id(job)]))
        if promoted and job.status == "succeeded" and not in_part:
            log.append("call_returned", call_id=call_id, job=str(self.keys[id(job)]))
        return promoted

    def may_serve(self, job: ModelJob, version: int) -> bool:
        """The promise itself, asked of the rows, without the model: this epoch's, this version's, not expired."""
        epoch = Session.objects.values_list("epoch", flat=True).get(pk=self.row.pk)
        fresh = Q(expires_at__isnull=True) | Q(expires_at__gt=Now())
        row = ToolJob.objects.filter(fresh, pk=self.keys[id(job)], epoch=epoch, policy_version=version)
        return epoch % 2 == 0 and row.exists()

    def give_back(self, step: Step) -> None:
        job = self.pick(step)
        if job and (job.in_part or not job.is_promoted):  # what was no part was answered
            self.move("give_back", job, self.model.give_back(job, "no part"), "no part")

    def finish(self, step: Step) -> None:
        if len(self.model.jobs) < FEW_JOBS:
            return  # a session that ends at once shows nothing else
        is_answered = step.which % 2 == 0
        status = SessionStatus.SUCCEEDED if is_answered else SessionStatus.FAILED
        self.row.attempt = self.model.attempt
        expected = self.model.finish("miss" if is_answered else "session_ended")
        self.agree("finish", expected, sessions.finish(self.row, status))

    def another_owner_takes_over(self, step: Step) -> None:
        Session.objects.filter(pk=self.row.pk, status="running").update(lease_until=Now())
        claimed = sessions.claim(self.row.pk, "another")
        assert (claimed is not None) is not self.model.has_ended
        if claimed:
            Session.objects.filter(pk=self.row.pk).update(lease_until=None)
            with pytest.raises(SessionLost):  # the former owner still asks
                scheduler.serve(self.row.pk, self.model.attempt, [AskedCall("9.9", 9, self.spec(step))])
            self.model.attempt += 1

    # Workers

    def start(self, step: Step) -> None:
        job = self.pick(step)
        if job:
            attempt = step.attempt_of(job)
            expected = self.model.start(job, attempt)
            self.agree("start", expected, worker.start(self.keys[id(job)], attempt) is not None)

    def commit(self, step: Step) -> None:
        if job := self.pick(step):
            self.results += 1
            attempt, result = step.attempt_of(job), f"result {self.results}"
            expected = self.model.commit(job, attempt, result)
            self.move("commit", job, expected, attempt=attempt, result=ToolResult(True, result))

    def fail(self, step: Step) -> None:
        if job := self.pick(step):
            attempt = step.attempt_of(job)
            expected = self.model.fail(job, attempt, "timeout")
            self.move("fail", job, expected, attempt=attempt, error="x", reason="timeout")

    def let_go(self, step: Step) -> None:
        if job := self.pick(step):
            attempt = step.attempt_of(job)
            self.move("release", job, self.model.release(job, attempt), attempt=attempt)

    def renew(self, step: Step) -> None:
        if job := self.pick(step):
            attempt = step.attempt_of(job)
            self.agree("renew", self.model.renew(job, attempt), jobs.renew(self.keys[id(job)], attempt))

    def fail_unasked(self, step: Step) -> None:
        if job := self.pick(step):
            attempt = step.attempt_of(job)
            self.move("fail_unasked", job, self.model.fail_unasked(job, attempt, "failed"), attempt=attempt, error="x")

    def retry_joined(self, step: Step) -> None:
        if job := self.pick(step):
            attempt = step.attempt_of(job)
            self.move("retry_joined", job, self.model.retry_joined(job, attempt), attempt=attempt)

    # Giving up, and recovery

    def preempt(self, step: Step) -> None:
        if job := self.pick(step):
            self.move("preempt", job, self.model.preempt(job, "slot needed"), "slot needed")

    def discard(self, step: Step) -> None:
        if job := self.pick(step):
            self.move("discard", job, self.model.discard(job, "miss"), "miss")

    def withdraw(self, step: Step) -> None:
        job = self.pick(step)
        if job and self.model.has_ended:  # as long as the session runs, somebody waits for the call
            self.move("withdraw", job, self.model.withdraw(job))

    def fail_lost(self, step: Step) -> None:
        if job := self.pick(step):
            self.move("fail_lost", job, self.model.fail_lost(job))

    def retry_lost(self, step: Step) -> None:
        if job := self.pick(step):
            self.move("retry_lost", job, self.model.retry_lost(job))

    def sweep(self, step: Step) -> None:
        self.model.sweep()
        recovery.sweep()

    # Time, and what is decided about tools

    def let_the_lease_run_out(self, step: Step) -> None:
        job = self.pick(step)
        if job and job.lease:
            self.set_moment(job, lease_until=Now())
            job.lease = "out"

    def let_the_result_expire(self, step: Step) -> None:
        job = self.pick(step)
        if job and job.freshness:
            self.set_moment(job, expires_at=Now())
            job.freshness = "expired"

    def let_it_be_too_late_to_start(self, step: Step) -> None:
        job = self.pick(step)
        if job and job.is_in_time is not None:
            self.set_moment(job, start_before=Now())
            job.is_in_time = False

    def set_moment(self, job: ModelJob, **moment: Any) -> None:
        assert ToolJob.objects.filter(pk=self.keys[id(job)]).update(**moment) == 1

    def decide_about_the_tool(self, step: Step) -> None:
        """Switched on or off; one time in two whoever did it does not live to give up what was held."""
        tool, record = self.tools[step.tool], self.records[step.tool]
        tool.policy_version += 1
        if step.which % 2:
            ToolRecord.objects.filter(pk=record.pk).update(policy_version=F("policy_version") + 1)
        else:
            change = policy.switch(record, not record.enabled, who="tester", why="")
            assert change.ended == self.model.drop_guesses("revoked", tool)
        self.records[step.tool] = ToolRecord.objects.get(pk=record.pk)

    # What holds after every step

    def check(self) -> None:
        self.rows_are_what_the_model_says()
        self.the_epoch_is_odd_exactly_while_a_change_is_under_way()
        self.one_job_a_call_and_nothing_that_acts_without_a_call()
        self.the_log_has_no_gap_tells_the_rows_and_answers_every_call_once()

    @invariant()
    def rows_are_what_the_model_says(self) -> None:
        real = {row["id"]: as_row(row) for row in ToolJob.objects.values()}
        assert real == {self.keys[id(job)]: as_model(job) for job in self.model.jobs}
        session = Session.objects.get(pk=self.row.pk)
        held = (self.model.epoch, self.model.attempt, self.model.has_ended)
        assert (session.epoch, session.attempt, session.has_ended) == held

    @invariant()
    def the_epoch_is_odd_exactly_while_a_change_is_under_way(self) -> None:
        assert self.model.has_ended or self.model.is_changing == self.model.has_change_under_way()

    @invariant()
    def one_job_a_call_and_nothing_that_acts_without_a_call(self) -> None:
        rows = list(ToolJob.objects.values_list("call_id", "effect"))
        calls = [call_id for call_id, _ in rows if call_id is not None]
        assert len(calls) == len(set(calls))
        assert all(effect == "none" for call_id, effect in rows if call_id is None)

    @invariant()
    def the_log_has_no_gap_tells_the_rows_and_answers_every_call_once(self) -> None:
        log = list(self.row.events.order_by("seq").values_list("seq", "kind", "payload"))
        assert [seq for seq, _, _ in log] == list(range(1, len(log) + 1))
        told = Told((kind, payload) for _, kind, payload in log)
        rows = ToolJob.objects.values_list("id", "status", "call_id", "attempt")
        assert told.jobs == {str(key): (status, call_id, attempt) for key, status, call_id, attempt in rows}
        assert told.epoch == self.model.epoch
        assert told.answers == Counter(job.call_id for job in self.model.jobs if job.is_answered)


@pytest.fixture
def world(transactional_db: None, broker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tools, an agent, a pool with room for all, a broker whose queue nobody reads; leases that do not run out."""
    monkeypatch.setattr(jobs, "LEASE_SECONDS", LONG_SECONDS)
    WorkerPool.objects.update_or_create(name="tools", defaults={"slots": SLOTS, "reserved": 1, "is_paused": False})
    made = [ToolRecord.objects.create(name=name, definition_hash="a" * 64, effect=TOOLS[name]) for name in TOOLS]
    BothSides.names = {tool.pk: tool.name for tool in made}
    BothSides.agent = AgentProfile.objects.create(name="tester", model_kind="openai", mode="on")
    seen.clear()


@pytest.mark.slow
@pytest.mark.timeout(900)  # on a machine that others load; alone it takes less than a minute
def test_in_every_order_of_verbs_the_rows_and_the_log_are_what_a_plain_model_says(world: None) -> None:
    run_state_machine_as_test(
        JobsMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_on_random_walks_every_verb_is_seen_to_work_and_the_model_still_agrees(world: None) -> None:
    for seed in range(WALKS):
        dice, machine = Random(seed), JobsMachine()
        machine.begin()
        for _ in range(WALK_STEPS):
            machine.happens(dice.randrange(2**48))
            machine.check()
    verdicts = (f"{verb} {'yes' if won else 'no'} {times}" for (verb, won), times in sorted(seen.items()))
    print(f"\n{seen.total()} verdicts: {', '.join(verdicts)}")
    assert {verb for verb, won in seen if won} >= WON, "some verb never did anything"
    assert sum(times for (_, won), times in seen.items() if not won) > LEAST_REFUSALS
