"""Admission: the best bids that fit the slack, a named reason for each of the others, and none of the known mistakes."""

from dataclasses import replace
from itertools import pairwise

import pytest

from speculation.engine.scheduling import (
    LEAST_SHARE,
    MIN_PROBABILITY,
    MUCH_SECONDS,
    QueuedJob,
    Refused,
    Slack,
    Verdict,
    admit,
    is_likely_enough,
    least_probability,
)
from speculation.engine.types import Prediction, ToolTraits
from speculation.engine.utility import Bid, bid_for
from tools.base import ToolCall

TOOLS = {
    "fetch": ToolTraits("fetch", reads_only=True, changes_world=False, expected_seconds=2.0),
    "update": ToolTraits("update", reads_only=False, changes_world=True),
}


def bid(name: str, p: float = 0.8, tool: str = "fetch", use_seconds: float = 10.0) -> Bid:
    prediction = Prediction(ToolCall(tool, {"id": name}), p / 2, p, expected_use_seconds=use_seconds)
    return bid_for(prediction, TOOLS[tool], name)


def verdict(one: Bid, slack: Slack) -> Verdict:
    (found,) = admit([one], slack, TOOLS)
    return found


def test_hidden_seconds_end_where_the_tool_does_or_where_it_is_asked_for() -> None:
    assert bid("a", use_seconds=10.0).hidden_seconds == 2.0
    assert bid("a", use_seconds=0.5).hidden_seconds == 0.5


def test_a_wrong_guess_costs_its_slot_and_the_tools_own_price() -> None:
    prediction = Prediction(ToolCall("fetch"), 0.1, 0.5, expected_use_seconds=10.0)
    priced = bid_for(prediction, TOOLS["fetch"], "x", slot_price=0.5, tool_price_seconds=0.1)
    assert priced.cost_seconds == pytest.approx(0.5 * (2.0 * 0.5 + 0.1))
    assert priced.utility_seconds == pytest.approx(0.5 * 2.0 - priced.cost_seconds)


def test_a_certain_guess_costs_no_price_since_its_call_would_have_been_paid_for_anyway() -> None:
    prediction = Prediction(ToolCall("fetch"), 1.0, 1.0, expected_use_seconds=10.0)
    assert bid_for(prediction, TOOLS["fetch"], "x", tool_price_seconds=1e6).utility_seconds == 2.0


def test_a_guess_whose_price_is_more_than_it_can_save_is_refused_as_useless() -> None:
    """At p 0.8 it hides 1.6 s and its slot costs 0.04 s: it bears a price of up to 7.8 s."""
    prediction = Prediction(ToolCall("fetch"), 0.4, 0.8, expected_use_seconds=10.0)
    dear = bid_for(prediction, TOOLS["fetch"], "dear", tool_price_seconds=7.9)
    cheap = bid_for(prediction, TOOLS["fetch"], "cheap", tool_price_seconds=7.7)
    assert verdict(dear, Slack(4)).refused == Refused.LOW_UTILITY
    assert verdict(cheap, Slack(4)).admitted


def test_the_most_useful_bid_is_served_first_whatever_order_bids_come_in() -> None:
    """Known mistake: the sign of the priority inverted."""
    for bids in ([bid("low", 0.4), bid("high", 0.9)], [bid("high", 0.9), bid("low", 0.4)]):
        first, second = admit(bids, Slack(free_slots=1), TOOLS)
        assert (first.bid.fingerprint, first.admitted) == ("high", True)
        assert (second.bid.fingerprint, second.refused) == ("low", Refused.NO_FREE_SLOT)


def test_finished_results_hold_no_slot() -> None:
    """Known mistake: finished results counted as pending. Held fingerprints bar only their own repetition."""
    slack = Slack(free_slots=1, held=frozenset(f"finished {n}" for n in range(50)))
    assert verdict(bid("new"), slack).admitted
    assert verdict(bid("finished 7"), slack).refused == Refused.ALREADY_HELD


def test_waiting_in_the_queue_does_not_make_a_bid_worth_less() -> None:
    """Known mistake: time-to-live running while queued. Nothing in a bid or a queued job carries a clock."""
    queued = QueuedJob("job", bid("old", 0.9).utility_seconds)
    assert verdict(bid("new", 0.9), Slack(free_slots=0, queued=[queued])).refused == Refused.NO_FREE_SLOT


def test_a_better_guess_replaces_the_worst_queued_one() -> None:
    """Known mistake: no replacement when full."""
    slack = Slack(free_slots=0, queued=[QueuedJob("good", 1.9), QueuedJob("worst", 0.1), QueuedJob("fair", 1.0)])
    found = verdict(bid("new", 0.9), slack)
    assert found.admitted and found.preempt == "worst"


def test_each_queued_job_is_replaced_at_most_once() -> None:
    found = admit([bid("a", 0.9), bid("b", 0.9)], Slack(free_slots=0, queued=[QueuedJob("only", 0.1)]), TOOLS)
    assert [v.preempt for v in found] == ["only", None]
    assert found[1].refused == Refused.NO_FREE_SLOT


def test_replacing_a_job_gives_its_tools_capacity_back() -> None:
    slack = Slack(free_slots=0, queued=[QueuedJob("worst", 0.1, tool="fetch")], tool_free={"fetch": 1})
    assert verdict(bid("a", 0.9), slack).admitted


def test_guesses_do_not_use_up_a_tools_rate() -> None:
    """Known mistake: quota tokens burned by guesses."""
    assert verdict(bid("a"), Slack(free_slots=4, tool_wait_seconds={"fetch": 0.2})).refused == Refused.TOOL_RATE


def test_a_tools_capacity_is_shared_by_the_bids_of_one_round() -> None:
    found = admit([bid("a", 0.9), bid("b", 0.8)], Slack(free_slots=4, tool_free={"fetch": 1}), TOOLS)
    assert [v.refused for v in found] == [None, Refused.TOOL_AT_CAPACITY]


def test_budgets_are_spent_by_admitted_bids_only() -> None:
    bids = [bid("a", 0.9), bid("b", 0.8)]
    assert [v.refused for v in admit(bids, Slack(4, session_budget_seconds=3.0), TOOLS)] == [
        None,
        Refused.OVER_SESSION_BUDGET,
    ]
    assert [v.refused for v in admit(bids, Slack(4, budget_seconds=3.0), TOOLS)] == [None, Refused.OVER_BUDGET]
    assert [v.refused for v in admit(bids, Slack(1, budget_seconds=3.0), TOOLS)] == [None, Refused.OVER_BUDGET]


@pytest.mark.parametrize(
    ("one", "slack", "reason"),
    [
        (bid("a", 0.99, tool="update"), Slack(4), Refused.WRITES),
        (bid("a"), Slack(4, approved=frozenset()), Refused.NOT_APPROVED),
        (bid("a"), Slack(4, paused=True), Refused.PAUSED),
        (bid("a", 0.1), Slack(4), Refused.LOW_PROBABILITY),
        (bid("a", 0.3, use_seconds=0.01), Slack(4), Refused.LOW_UTILITY),
        (bid("a"), Slack(0), Refused.NO_FREE_SLOT),
    ],
)
def test_every_refusal_has_its_name(one: Bid, slack: Slack, reason: Refused) -> None:
    assert verdict(one, slack).refused == reason


def test_an_unlikely_call_is_worth_a_slot_where_it_would_hide_much() -> None:
    p = 0.9 * MIN_PROBABILITY
    assert verdict(bid("a", p, use_seconds=1.5), Slack(4)).admitted
    assert verdict(bid("a", p, use_seconds=1.0), Slack(4)).refused == Refused.LOW_PROBABILITY
    assert verdict(bid("a", 0.99 * LEAST_SHARE * MIN_PROBABILITY), Slack(4)).refused == Refused.LOW_PROBABILITY


def test_how_likely_a_call_must_be_falls_without_a_step_and_not_for_ever() -> None:
    asked = [least_probability(seconds / 100) for seconds in range(1000)]
    assert asked == sorted(asked, reverse=True)
    assert all(one - following < 0.002 for one, following in pairwise(asked))
    assert (asked[0], asked[-1]) == (MIN_PROBABILITY, LEAST_SHARE * MIN_PROBABILITY)
    assert least_probability(MUCH_SECONDS, usual=0.5) == 0.5


def test_who_asks_beforehand_what_is_too_unlikely_hears_what_admission_would_say() -> None:
    for p in (0.14, 0.16, 0.17, 0.2):
        for seconds in (0.5, 1.25, 1.4, 9.0):
            one = bid("a", p, use_seconds=seconds)
            told = is_likely_enough(one.prediction, TOOLS["fetch"])
            assert told == (verdict(one, Slack(4)).refused != Refused.LOW_PROBABILITY)


def test_the_same_call_is_not_admitted_twice_in_one_round() -> None:
    found = admit([bid("a"), replace(bid("a"))], Slack(4), TOOLS)
    assert [v.refused for v in found] == [None, Refused.DUPLICATE]


def test_a_tool_nobody_described_is_never_speculated() -> None:
    prediction = Prediction(ToolCall("unheard_of"), 0.9, 0.9, expected_use_seconds=5.0)
    (found,) = admit([bid_for(prediction, TOOLS["fetch"], "x")], Slack(4), TOOLS)
    assert found.refused == Refused.WRITES


def test_guesses_that_compute_are_refused_where_real_work_leaves_no_processors_and_those_that_wait_are_not() -> None:
    slack = Slack(free_slots=9, processors=0.2, processors_of={"fetch": 0.3})
    assert verdict(bid("computes"), slack).refused == Refused.PROCESSORS_BUSY
    assert verdict(bid("waits"), replace(slack, processors_of={"fetch": 0.0})).admitted
    assert verdict(bid("not measured on this machine"), replace(slack, processors=float("inf"))).admitted


def test_each_admitted_guess_takes_its_processors_from_the_next_one() -> None:
    slack = Slack(free_slots=9, processors=0.7, processors_of={"fetch": 0.3})
    found = admit([bid("a", 0.9), bid("b", 0.8), bid("c", 0.7)], slack, TOOLS)
    assert [one.refused for one in found] == [None, None, Refused.PROCESSORS_BUSY]


def test_a_guess_that_needs_no_processor_is_refused_where_real_work_uses_more_than_its_share() -> None:
    assert verdict(bid("a"), Slack(free_slots=9, processors=-0.1)).refused == Refused.PROCESSORS_BUSY
