"""The numbers of product.md, on logs written by hand."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speculation.engine.evidence import REFUTED
from speculation.figures import compute
from speculation.intervals import covered, united
from speculation.story import Story
from tests.speculation.written_log import WrittenLog, example, in_order


def near(value: float) -> object:
    return pytest.approx(value, abs=1e-6)


def test_the_example_of_the_session_page_adds_up():
    figures = compute(Story(example()))
    assert figures.queued_seconds == near(0.2)
    assert figures.task_seconds == near(18.4)
    assert figures.hidden_seconds == near(1.4 + 2.6 + 2.5)
    assert figures.waited_seconds == near(0.0 + 0.0 + 2.2 + 1.2)
    assert figures.net_saved_seconds == near(1.4 + 2.6 + (3.4 - 2.2))
    assert figures.without_speculation_seconds == near(23.6)
    assert figures.wasted_seconds == near(2.8 + 1.6)
    assert figures.wasted_seconds_by_reason == {"miss": near(4.4)}
    assert (figures.launches, figures.hits, figures.eligible_calls) == (5, 3, 4)
    assert figures.decode_seconds == near(3.0 + 3.3 + 2.6 + 3.4 + 2.5)


def test_a_parallel_call_that_hides_beside_a_slower_one_saves_nothing():
    log = WrittenLog().started().turn(1, 0, 2, "quick", "slow").guess("g", 0, "quick", start=0).ends("g", 1)
    log.asks("1.0", 2, "quick", "g", "used").returns("1.0", 2, "quick", "g")
    log.requested("1.1", "slow", 2, 2, 7)
    figures = compute(Story(in_order(log.ended(7))))
    assert figures.hidden_seconds == near(1)
    assert figures.net_saved_seconds == near(0)


def test_a_call_after_a_write_of_the_same_turn_still_comes_after_it():
    log = WrittenLog().started().turn(1, 0, 1, "write", "read")
    log.requested("1.0", "write", 1, 1, 3, effect="write").guess("g", 1, "read", start=1).ends("g", 3)
    log.asks("1.1", 3.1, "read", "g", "used").returns("1.1", 3.1, "read", "g")
    figures = compute(Story(in_order(log.ended(4))))
    # the write waited 2 s behind nothing; the read would have taken 2 s, the pause of 0.1 s stays
    assert figures.waited_seconds == near(2.1)
    assert figures.without_speculation_seconds == near(4 + 2)


def test_a_joined_run_hides_only_what_lay_before_the_call():
    log = WrittenLog().started().turn(1, 0, 4, "read").guess("g", 1, "read", start=1.5)
    log.asks("1.0", 4, "read", "g", "joined").ends("g", 6, speculative=False).returns("1.0", 6.1, "read", "g")
    (call,) = compute(Story(log.ended(7))).calls
    assert call.hidden_seconds == near(2.5)
    assert call.waited_seconds == near(2.1)
    assert call.without_seconds == near(4.5)


def test_a_raised_guess_hides_nothing_and_is_no_launch():
    log = WrittenLog().started().turn(1, 0, 1, "read").guess("g", 0.5, "read")
    log.asks("1.0", 1, "read", "g", "raised").add(1.2, "job_started", job="g", attempt=1)
    figures = compute(Story(log.ends("g", 2.2).returns("1.0", 2.2, "read", "g").ended(3)))
    assert (figures.launches, figures.hits, figures.hidden_seconds) == (0, 0, 0)
    assert figures.net_saved_seconds == near(1.0 - 1.2)


def test_a_served_call_counts_at_most_the_tools_usual_duration():
    log = WrittenLog().started().turn(1, 0, 9, "read").guess("g", 0, "read", start=0).ends("g", 8)
    log.asks("1.0", 9, "read", "g", "used").returns("1.0", 9, "read", "g").ended(9)
    assert compute(Story(log), usual_seconds={"read": 2.0}, usual_queue_seconds=0.5).net_saved_seconds == near(2.5)


def test_queueing_behind_an_unasked_guess_is_interference():
    log = WrittenLog().started().turn(1, 0, 1, "read").guess("g", 0, "other", start=0)
    log.add(1.0, "job_queued", job="a", tool="read", arguments={}, effect="none", speculative=False, call_id="1.0", epoch=0)
    log.asks("1.0", 1.0, "read", "a", "requested").add(1.0, "job_preempted", job="g", reason="a call needs its slot")
    log.add(1.4, "job_released", job="g").add(1.5, "job_started", job="a", attempt=1).ends("a", 3, speculative=False)
    figures = compute(Story(log.returns("1.0", 3, "read", "a").ended(4)))
    assert figures.interference_seconds == near(0.4)
    assert figures.net_saved_seconds == near(-0.4)
    assert figures.saved_seconds == near(0)
    assert figures.wasted_seconds_by_reason == {"preempted": near(1.4)}


@pytest.mark.parametrize(
    ("kind", "payload", "asked_again", "reason"),
    [
        ("job_ended", {"status": "failed", "ok": False}, True, "failed"),
        ("job_preempted", {"reason": "a better guess"}, True, "preempted"),
        ("job_preempted", {"reason": "revoked"}, True, "revoked"),
        ("job_preempted", {"reason": "breaker open: waste"}, True, "revoked"),
        ("job_discarded", {"reason": "invalidated"}, True, "invalidated"),
        ("job_discarded", {"reason": "expired"}, True, "expired"),
        ("job_discarded", {"reason": "expired"}, False, "miss"),
        ("job_discarded", {"reason": "session_ended"}, False, "miss"),
        ("job_preempted", {"reason": "session_ended"}, False, "miss"),
        ("job_preempted", {"reason": "miss"}, False, "miss"),
        ("job_preempted", {"reason": "invalidated"}, True, "invalidated"),
        ("job_preempted", {"reason": REFUTED}, False, "miss"),
        ("job_preempted", {"reason": REFUTED}, True, "preempted"),
    ],
)
def test_waste_has_the_first_reason_that_applies(kind, payload, asked_again, reason):
    log = WrittenLog().started().turn(1, 0, 5, "read").guess("g", 0, "read", {"id": 1}, start=1)
    if kind == "job_discarded":
        log.ends("g", 3)
    log.add(3, kind, job="g", **payload)
    if kind == "job_preempted":
        log.add(3, "job_released", job="g")
    if asked_again:
        log.requested("1.0", "read", 5, 5, 6, arguments={"id": 1})
    (waste,) = compute(Story(log.ended(8))).wasted
    assert (waste.reason, waste.seconds) == (reason, near(2))


def test_a_guess_that_may_still_be_asked_for_is_not_wasted():
    log = WrittenLog().started().turn(1, 0, 5).guess("g", 0, "read", start=1).ends("g", 3)
    assert compute(Story(log), now=6).wasted == []


def test_a_resumed_session_counts_the_abandoned_turn_once_and_keeps_its_calls():
    log = WrittenLog().started().turn(1, 0, 1, "read").requested("1.0", "read", 1, 1, 2)
    log.add(2, "turn_started", turn=2, attempt=1).add(3, "first_token", turn=2)
    log.add(10, "session_resumed", attempt=2, owner="w2").turn(2, 10, 12)
    figures = compute(Story(log.ended(12)))
    assert [turn.turn for turn in figures.turns] == [1, 2]
    assert figures.decode_seconds == near(1 + 1 + 2)
    assert figures.task_seconds == near(12)
    assert len(figures.calls) == 1


def test_a_joined_run_that_failed_and_ran_again_is_still_a_launch():
    log = WrittenLog().started().turn(1, 0, 2, "read").guess("g", 0, "read", start=0.5)
    log.asks("1.0", 2, "read", "g", "joined").ends("g", 3, status="failed").add(3, "job_retried", job="g", reason="failed")
    log.add(3.1, "job_started", job="g", attempt=2).ends("g", 5).returns("1.0", 5, "read", "g")
    figures = compute(Story(log.ended(6)))
    assert figures.launches == 1
    assert figures.hidden_seconds == near(0)


def test_a_running_session_counts_so_far():
    log = WrittenLog().started().turn(1, 0, 1, "read")
    log.add(1, "job_queued", job="a", tool="read", arguments={}, effect="none", speculative=False, call_id="1.0", epoch=0)
    log.asks("1.0", 1, "read", "a", "requested").add(1, "job_started", job="a", attempt=1)
    figures = compute(Story(log), now=4)
    assert (figures.task_seconds, figures.waited_seconds, figures.net_saved_seconds) == (near(4), near(3), near(0))


def test_a_session_that_never_started_took_nothing():
    log = WrittenLog().add(0, "session_queued", agent="a", task="t", arm="on", model="m", scripted=False)
    figures = compute(Story(log), now=3)
    assert (figures.queued_seconds, figures.task_seconds) == (near(3), 0)


def test_a_shadow_session_says_what_it_would_have_hidden():
    log = WrittenLog().started(arm="shadow").add(0.5, "predicted", turn=1, abstained=[], candidates=[
        {"tool": "read", "arguments": {"id": 1}, "probability": 0.8, "utility": 1, "pattern": "P1", "verdict": "shadow"}])  # fmt: skip
    log.turn(1, 0.6, 2, "read").requested("1.0", "read", 2, 2, 6, arguments={"id": 1})
    assert compute(Story(log.ended(7))).would_hide_seconds == near(1.5)


def test_a_document_never_says_minus_zero():
    assert str(compute(Story(WrittenLog().started().ended(1))).to_json()["net_saved_seconds"]) == "0.0"


moments = st.floats(0, 20, allow_nan=False)
spans = st.tuples(moments, moments).map(sorted).map(tuple)


@given(spans, st.lists(spans))
def test_overlapping_intervals_are_covered_once(span, intervals):
    whole = covered(span, united(intervals))
    assert 0 <= whole <= span[1] - span[0] + 1e-9
    edges = sorted({*span, *(edge for interval in intervals for edge in interval)})
    pieces = [(low, high) for low, high in pairwise(edges) if span[0] <= low and high <= span[1]]
    inside = [(low, high) for low, high in pieces if any(start <= low and high <= end for start, end in intervals)]
    assert whole == pytest.approx(sum(high - low for low, high in inside))


@dataclass
class Schedule:
    """A log, and its structure kept apart: per turn, per step, the ask's offset of each call that runs in that step."""

    log: WrittenLog
    turns: list[list[tuple[float, dict[str, float]]]]

    def seconds(self, figures, wait_of) -> float:
        """The task's duration if each call waited `wait_of(call)`: steps follow one another, calls of a step overlap."""
        waits = {call.call.call_id: wait_of(call) for call in figures.calls}
        steps = [step for turn in self.turns for step in turn]
        calls = sum(pause + max(offset + waits[call_id] for call_id, offset in asks.items()) for pause, asks in steps)
        return figures.decode_seconds + calls


longest = st.integers(10, 5000).map(lambda milliseconds: milliseconds / 1000)


@st.composite
def schedules(draw):
    """One to three turns; each has steps: a write alone, or reads side by side, some of them served ahead."""
    log, now, turns = WrittenLog().started(), 0.0, []
    for number in range(1, draw(st.integers(1, 3)) + 1):
        began, now = now, now + draw(longest)
        log.turn(number, began, now)
        steps, index = [], 0
        for step, is_write in enumerate(draw(st.lists(st.booleans(), min_size=1, max_size=3))):
            if step and not is_write and not steps[-1][2]:
                continue
            pause = draw(longest) if step else 0.0
            now += pause
            asks, last_return = {}, now
            for offset in [0.0] if is_write else [0.0, *draw(st.lists(st.sampled_from([0.0, 0.001, 0.5]), max_size=2))]:
                call_id, asked, run_seconds = f"{number}.{index}", now + offset, draw(longest)
                last_return = max(last_return, _one_call(draw, log, call_id, asked, run_seconds, is_write))
                asks[call_id], index = offset, index + 1
            steps.append((pause, asks, is_write))
            now = last_return
        turns.append([(pause, asks) for pause, asks, _ in steps])
    return Schedule(in_order(log.ended(now), key=lambda entry: (entry.at, ORDER.index(entry.kind))), turns)


def _one_call(draw, log, call_id, asked, run_seconds, is_write) -> float:
    """Write one call into the log; returns when it returned."""
    job, arguments = f"g{call_id}", {"id": call_id}
    if is_write or draw(st.booleans()):
        start = asked + draw(longest)
        log.requested(call_id, "read", asked, start, start + run_seconds, arguments=arguments, effect="write" if is_write else "none")
        return start + run_seconds
    start = max(0.0, asked - draw(longest))
    end = start + run_seconds
    log.guess(job, start, "read", arguments, start=start).ends(job, end)
    log.asks(call_id, asked, "read", job, "used" if end <= asked else "joined", arguments)
    log.returns(call_id, max(asked, end), "read", job)
    return max(asked, end)


ORDER = [
    "session_queued", "session_started", "user_said", "turn_started", "first_token", "job_queued", "job_started",
    "turn_ended", "call_asked", "job_ended", "call_returned", "session_ended",
]  # fmt: skip


@given(schedules())
def test_actual_plus_net_saved_is_the_same_schedule_without_speculation(schedule):
    figures = compute(Story(schedule.log))
    assert figures.task_seconds == near(schedule.seconds(figures, lambda call: call.waited_seconds))
    assert figures.without_speculation_seconds == near(schedule.seconds(figures, lambda call: call.without_seconds))


@given(schedules())
def test_hidden_lies_between_nothing_and_the_run_and_the_lead(schedule):
    for call in compute(Story(schedule.log)).calls:
        lead = max(0.0, call.call.asked_at - (call.run.started_at if call.run else 0.0))
        assert -1e-6 <= call.hidden_seconds <= min(call.run_seconds, lead) + 1e-6


@given(schedules(), st.integers(0, 200))
def test_a_story_told_in_two_parts_is_the_same_story(schedule, cut):
    log = schedule.log
    story = Story(log[:cut])
    for entry in log[max(0, cut - 3) :]:  # some entries come twice, as they do after a reconnect
        story.add(entry)
    assert compute(story).to_json() == compute(Story(log)).to_json()
