"""Each promise is kept by an honest log, and found broken where a log was tampered with in just that way."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest

from paste_web.chaos import promises, verdict
from paste_web.chaos.faults import DECK, Fault, plan
from paste_web.chaos.serial import Truth, answer_of
from paste_web.chaos.verdict import Lived, judge
from speculation.models import AgentProfile, EventRecord, Session, ToolJob, ToolRecord
from tools.base import ToolResult

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
READ, WRITE = {"table": "orders", "key": "1"}, {"table": "orders", "key": "1", "values": {"status": "paid"}}


class Log:
    """A session's log as it is written: one event a second."""

    def __init__(self) -> None:
        self.events: list[EventRecord] = []

    def add(self, kind: str, **payload: Any) -> None:
        seq = len(self.events) + 1
        self.events.append(EventRecord(seq=seq, kind=kind, at=NOON + timedelta(seconds=seq), payload=payload))

    def queued(self, job: str, tool: str, effect: str, epoch: int, call_id: str | None = None) -> None:
        self.add("job_queued", job=job, tool=tool, effect=effect, epoch=epoch, call_id=call_id)

    def asked(self, call_id: str, job: str, outcome: str, effect: str, arguments: Mapping[str, Any]) -> None:
        self.add("call_asked", call_id=call_id, job=job, outcome=outcome, effect=effect, tool="", arguments=arguments)

    def returned(self, call_id: str, tool: str, ok: bool = True, unknown: bool = False, content: str = "paid") -> None:
        self.add("call_returned", call_id=call_id, tool=tool, ok=ok, content=content, structured=None, unknown_outcome=unknown)  # fmt: skip


def honest() -> Log:
    """A read served by a guess, then a write that was asked for."""
    log = Log()
    log.queued("a", "get_record", "none", 0)
    log.add("job_started", job="a", attempt=1)
    log.asked("1.0", "a", "used", "none", READ)
    log.returned("1.0", "get_record")
    log.queued("b", "update_record", "idempotent_write", 0, "2.0")
    log.asked("2.0", "b", "requested", "idempotent_write", WRITE)
    log.add("epoch_stepped", epoch=1, call_id="2.0")
    log.add("job_started", job="b", attempt=1)
    log.add("epoch_stepped", epoch=2, call_id="2.0")
    log.returned("2.0", "update_record")
    return log


TRUTH = Truth(
    answers={
        "1.0": answer_of("get_record", READ, ToolResult(True, "paid")),
        "2.0": answer_of("update_record", WRITE, ToolResult(True, "paid")),
    },
    states=[{"table orders": "before"}, {"table orders": "after"}],
)


def lived(log: Log) -> Lived:
    session = Session(agent=AgentProfile(name="support"), task="t", status="succeeded", epoch=2, attempt=1)
    tool = ToolRecord(name="get_record")
    jobs = [
        ToolJob(call_id="1.0", status="succeeded", tool=tool),
        ToolJob(call_id="2.0", status="succeeded", tool=tool),
    ]
    return Lived(session, log.events, jobs, [NOON + timedelta(seconds=8.5)], TRUTH.states[-1], {})


def broken(one: Lived) -> list[str]:
    return sorted({found.promise for found in judge([one], {("support", "t"): TRUTH}).broken})


def test_an_honest_session_breaks_no_promise() -> None:
    assert broken(lived(honest())) == []
    assert promises.endings(honest().events) == {"1.0": ["result"], "2.0": ["result"]}


def test_a_session_that_did_not_succeed_is_lost() -> None:
    one = lived(honest())
    one.session.status = "failed"
    assert broken(one) == ["lost_sessions"]


def test_a_second_run_that_checks_a_guess_is_no_call_and_no_side_effect() -> None:
    log = honest()
    log.add("check_queued", job="c", of="a", call_id="1.0", tool="get_record")
    log.add("job_started", job="c", attempt=1)
    log.add("checked", job="c", of="a", call_id="1.0", differs_at="")
    assert broken(lived(log)) == []


def test_a_session_that_was_never_submitted_is_lost_too() -> None:
    found = judge([lived(honest())], {("support", "t"): TRUTH})
    found.lose(2)
    assert (found.sessions, found.count("lost_sessions"), found.equal_states) == (3, 2, 1)


def test_a_call_told_twice_or_never_has_not_one_ending() -> None:
    log = honest()
    log.returned("2.0", "update_record")
    assert broken(lived(log)) == ["calls_without_one_ending", "double_answers"]
    log = honest()
    log.events.pop()
    assert broken(lived(log)) == ["calls_without_one_ending", "wrong_results"]


def test_two_jobs_of_one_call_are_a_double_answer() -> None:
    one = lived(honest())
    assert broken(replace(one, jobs=[*one.jobs, one.jobs[0]])) == ["double_answers"]


def test_a_write_that_must_not_be_repeated_and_was_is_a_double_answer_and_a_read_is_none() -> None:
    log = honest()
    log.add("job_started", job="b", attempt=2)
    log.add("job_started", job="a", attempt=2)
    assert broken(lived(log)) == []
    log.events[4].payload["effect"] = "write"
    assert broken(lived(log)) == ["double_answers"]


def test_a_write_that_started_before_its_call_is_an_early_side_effect() -> None:
    log = honest()
    log.events[5], log.events[7] = log.events[7], log.events[5]
    log.events[5].seq, log.events[7].seq = 6, 8
    assert "early_side_effects" in broken(lived(log))


def test_a_write_that_only_the_witness_saw_is_an_early_side_effect() -> None:
    one = lived(honest())
    assert broken(replace(one, writes=[NOON + timedelta(seconds=7.5)])) == ["early_side_effects"]
    assert broken(replace(one, writes=[*one.writes, NOON + timedelta(seconds=9)])) == ["early_side_effects"]


def test_a_file_that_changed_before_any_write_was_asked_for_is_an_early_side_effect() -> None:
    one = replace(lived(honest()), state={"table orders": "after", "file a": "x"})
    early = replace(one, changed_at={"file a": NOON + timedelta(seconds=5)})
    late = replace(one, changed_at={"file a": NOON + timedelta(seconds=7)})
    assert broken(early) == ["early_side_effects", "unequal_states"]
    assert broken(late) == ["unequal_states"]


def test_a_guess_served_over_a_change_of_the_world_is_stale_even_if_its_content_is_right() -> None:
    log = honest()
    log.events.insert(2, EventRecord(seq=0, kind="epoch_stepped", at=NOON, payload={"epoch": 1, "call_id": "0.0"}))
    for seq, event in enumerate(log.events, 1):
        event.seq = seq
    assert broken(lived(log)) == ["stale_results"]


def test_a_guess_with_other_content_than_serial_execution_is_stale_and_an_ordinary_answer_is_wrong() -> None:
    log = honest()
    log.events[3].payload["content"] = "unpaid"
    assert broken(lived(log)) == ["stale_results"]
    log = honest()
    log.events[-1].payload["content"] = "unpaid"
    assert broken(lived(log)) == ["wrong_results"]


@pytest.mark.parametrize(("status", "ended_at"), [("queued", None), ("running", None), ("preempted", None)])
def test_a_job_without_an_end_is_stuck(status: str, ended_at: datetime | None) -> None:
    one = lived(honest())
    one.jobs[0].status, one.jobs[0].ended_at, one.jobs[0].call_id = status, ended_at, None
    assert broken(one) == ["stuck_jobs"]


def test_an_odd_epoch_and_a_gap_in_the_log_are_seen() -> None:
    one = lived(honest())
    one.session.epoch = 3
    one.log[-1].seq += 1
    assert broken(one) == ["gaps_in_logs", "open_changes"]


def test_another_final_state_is_unequal_unless_the_agent_was_told_of_a_fault() -> None:
    as_before = replace(lived(honest()), state=TRUTH.states[0], writes=[])
    assert broken(as_before) == ["unequal_states"]
    log = honest()
    log.events[-1].payload.update(ok=False, unknown_outcome=True, content="The outcome of this call is unknown.")
    assert broken(replace(as_before, log=log.events)) == [], "not done is a step of serial execution, and so is done"
    assert broken(replace(as_before, log=log.events, state=TRUTH.states[1])) == []
    assert broken(replace(as_before, log=log.events, state={"table orders": "spoilt"})) == ["unequal_states"]


def test_only_an_error_that_names_the_fault_excuses_another_end() -> None:
    log = honest()
    log.events[-1].payload.update(ok=False, content="The records cannot be reached; try again later.")
    assert broken(lived(log)) == []
    log.events[-1].payload.update(ok=False, content="No such order.")
    assert broken(lived(log)) == ["wrong_results"]


def test_after_the_turn_that_met_a_fault_the_agent_may_do_something_else_but_not_before() -> None:
    log = honest()
    log.events[-1].payload.update(ok=False, unknown_outcome=True)
    log.events[3].payload["content"] = "unpaid"
    assert broken(lived(log)) == ["stale_results"]
    log.events[3].payload["content"] = "paid"
    log.asked("3.0", "c", "requested", "none", {"table": "orders", "key": "7"})
    log.returned("3.0", "get_record", content="another order")
    assert broken(lived(log)) == []


def test_each_kind_of_end_is_told_apart() -> None:
    log = honest()
    log.events[3].payload["ok"] = False
    log.events[-1].payload["unknown_outcome"] = True
    assert promises.endings(log.events) == {"1.0": ["error"], "2.0": ["unknown outcome"]}
    assert verdict.faulty_calls(log.events) == {"2.0"}


def test_the_plan_is_drawn_from_the_seed_alone_and_each_kind_of_fault_is_in_its_first_round() -> None:
    first, again, other = (list(islice(plan(seed, 2.0), 60)) for seed in (1, 1, 2))
    as_seen = [
        [(strike.pause_seconds, strike.fault, strike.draw.random()) for strike in one] for one in (first, again, other)
    ]
    assert as_seen[0] == as_seen[1] != as_seen[2]
    assert {strike.fault for strike in first[: len(DECK)]} == set(Fault)
    assert sum(strike.fault == Fault.RESTART_DATABASE for strike in first) == 1
    assert all(2 / 3 <= strike.pause_seconds <= 10 / 3 for strike in first)
