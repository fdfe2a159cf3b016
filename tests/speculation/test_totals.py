"""Sums and intervals over many sessions."""

import random

import numpy as np
import pytest

from speculation.totals import LEAST_SESSIONS_AN_ARM, Share, Totals, binned, measured_effect, weighted_medians, wilson


def test_wilsons_interval_is_the_one_of_the_textbook() -> None:
    low, high = wilson(371, 612)
    assert (round(low, 3), round(high, 3)) == (0.567, 0.644)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 10)[0] == 0.0 and wilson(10, 10)[1] == pytest.approx(1.0)


def test_a_share_of_nothing_is_no_share() -> None:
    assert Share(0, 0).value is None
    assert Share(1, 4).value == 0.25


def test_saved_less_interference_is_net_saved_and_without_is_what_it_would_have_taken() -> None:
    totals = Totals(task_seconds=18.4, net_saved_seconds=5.2, interference_seconds=0.3, wasted_seconds=2.75)
    assert totals.saved_seconds == pytest.approx(5.5)
    assert totals.without_seconds - totals.saved_seconds + totals.interference_seconds == pytest.approx(18.4)
    assert totals.wasted_a_saved_second == pytest.approx(0.5)
    assert Totals(net_saved_seconds=-1.0).wasted_a_saved_second is None


def test_the_weighted_median_of_equal_weights_is_the_median() -> None:
    assert weighted_medians(np.array([[4.0, 1.0, 3.0], [9.0, 9.0, 2.0]]), np.ones(3)).tolist() == [3, 9]
    assert weighted_medians(np.array([[4.0, 1.0, 3.0, 2.0]]), np.full(4, 2.0)).tolist() == [2.5]
    assert weighted_medians(np.array([[1.0, 2.0, 3.0]]), np.array([1.0, 1.0, 10.0])).tolist() == [3]


def test_an_effect_that_is_there_is_found_with_an_interval_around_it() -> None:
    rng = random.Random(5)
    ours = [rng.gauss(19, 2) for _ in range(120)]
    theirs = [rng.gauss(25, 2) for _ in range(40)]
    effect = measured_effect({"support": ours}, {"support": theirs})
    assert effect.answer == "yes"
    assert effect.less == pytest.approx(0.24, abs=0.03)
    assert effect.low is not None and effect.high is not None and effect.low < effect.less < effect.high
    assert measured_effect({"support": theirs}, {"support": ours}).answer == "no"


def test_where_nothing_is_different_the_answer_is_that_one_cannot_tell() -> None:
    rng = random.Random(6)
    samples = [rng.gauss(20, 3) for _ in range(160)]
    assert measured_effect({"a": samples[:80]}, {"a": samples[80:]}).answer == "cannot tell"


def test_fewer_than_thirty_sessions_in_an_arm_are_too_early() -> None:
    few = [20.0] * (LEAST_SESSIONS_AN_ARM - 1)
    effect = measured_effect({"a": few * 4}, {"a": few})
    assert (effect.answer, effect.without_count) == ("too early", 29)
    assert measured_effect({}, {}).answer == "too early"


def test_a_slow_agent_with_more_holdout_does_not_pass_for_an_effect() -> None:
    """Pooled medians would say that speculation halves the time; no agent is any faster with it."""
    rng = random.Random(7)
    fast = [rng.gauss(10, 1) for _ in range(150)]
    slow = [rng.gauss(40, 4) for _ in range(150)]
    ours = {"fast": fast[:110], "slow": slow[:40]}
    theirs = {"fast": fast[110:], "slow": slow[40:]}
    assert measured_effect(ours, theirs).answer == "cannot tell"


def test_an_agent_without_a_holdout_counts_for_nothing() -> None:
    rng = random.Random(8)
    both = [rng.gauss(20, 1) for _ in range(80)]
    effect = measured_effect({"both": both[:40], "only": [1.0] * 500}, {"both": both[40:]})
    assert (effect.with_count, effect.answer) == (40, "cannot tell")


def test_an_estimate_outside_of_what_was_measured_contradicts_it() -> None:
    rng = random.Random(9)
    effect = measured_effect({"a": [rng.gauss(15, 1) for _ in range(60)]}, {"a": [rng.gauss(20, 1) for _ in range(60)]})
    assert not effect.contradicts(0.25)
    assert effect.contradicts(0.6)
    assert not effect.contradicts(None)


def test_bins_hold_all_that_lies_in_their_range_and_say_seconds_a_minute() -> None:
    rows = [[100, 6.0, 2.0, 1.0, 0.5], [101, 2.0, 0.0, 1.0, 0.0], [130, 9.0, 0.0, 0.0, 3.0], [99, 5.0, 0.0, 0.0, 0.0]]
    bins = binned(rows, 100 * 60, 140 * 60, 4)
    assert [round(one.saved * one.minutes, 6) for one in bins] == [10.0, 0.0, 0.0, 9.0]
    assert bins[0].saved == pytest.approx(1.0) and bins[0].interference == pytest.approx(0.2)
    assert sum(one.wasted * one.minutes for one in bins) == pytest.approx(3.5)
