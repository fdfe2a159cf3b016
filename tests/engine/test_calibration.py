"""Probabilities are moved to what came true on sessions that were not learned from, and never out of order."""

import random

from hypothesis import given
from hypothesis import strategies as st

from speculation.engine.calibration import Fit, Outcome, cross_fit, fit
from speculation.engine.mining import Miner
from speculation.engine.prediction import Predictor
from speculation.engine.types import Calibration, Calibrations, Shift
from tests.engine.sessions import TOOLS, support


def outcomes(given_to_true: dict[float, float], count: int) -> list[Outcome]:
    """`count` outcomes of each probability that was given, coming true as often as stated."""
    rng = random.Random(1)
    return [Outcome("look", given, rng.random() < true) for given, true in given_to_true.items() for _ in range(count)]


def test_what_was_given_too_low_is_raised_to_what_came_true() -> None:
    calibration = Calibration(*fit(outcomes({0.05: 0.15, 0.2: 0.45, 0.5: 0.75, 0.8: 0.92}, 400)).of("look"))
    for given_probability, came_true in ((0.05, 0.15), (0.2, 0.45), (0.5, 0.75), (0.8, 0.92)):
        assert abs(calibration.next(given_probability) - came_true) < 0.06


def test_what_keeps_its_word_is_hardly_moved() -> None:
    calibration = Calibration(*fit(outcomes({p: p for p in (0.1, 0.3, 0.5, 0.7, 0.9)}, 400)).of("look"))
    for probability in (0.1, 0.3, 0.5, 0.7, 0.9):
        assert abs(calibration.next(probability) - probability) < 0.05


def test_a_tool_that_promises_too_much_steps_back_behind_the_others() -> None:
    modest, loud = outcomes({0.3: 0.3, 0.6: 0.6}, 300), outcomes({0.3: 0.05, 0.6: 0.2}, 300)
    found = fit([*modest, *(one._replace(tool="shout") for one in loud)])
    assert Calibration(*found.of("shout")).next(0.6) < 0.3 < Calibration(*found.of("look")).next(0.5)


def test_where_no_guess_comes_true_all_step_back_and_their_order_stays() -> None:
    fitting = [one._replace(situation="search:ok") for one in outcomes({0.3: 0.5, 0.6: 0.8}, 200)]
    vain = [one._replace(situation="tests:ok") for one in outcomes({0.3: 0.02, 0.6: 0.04}, 200)]
    found = fit([*fitting, *vain])
    known = Calibrations({"look": Calibration(*found.of("look"))}, {s: Shift(n) for s, n in found.situations.items()})
    searched, tested = known.of("look", "search:ok"), known.of("look", "tests:ok")
    assert abs(searched.next(0.6) - 0.8) < 0.1
    assert tested.next(0.3) < tested.next(0.6) < 0.12
    assert known.of("look", "never seen:ok") == known.tools["look"]


def test_a_situation_met_a_few_times_has_no_shift_of_its_own() -> None:
    rare = [one._replace(situation="seldom") for one in outcomes({0.5: 1.0}, 2)]
    assert "seldom" not in fit([*outcomes({0.3: 0.3, 0.6: 0.6}, 100), *rare]).situations


def test_too_few_outcomes_change_nothing() -> None:
    assert fit(outcomes({0.1: 0.9}, 20)) == Fit()


def test_outcomes_that_never_come_true_are_fitted_without_running_away() -> None:
    slope, offset = fit(outcomes({0.2: 0.0, 0.6: 0.0}, 500)).of("look")
    assert abs(slope) < 10 and abs(offset) <= 4.0
    assert Calibration(slope, offset).next(0.6) < 0.2


@given(st.floats(0.2, 3.0), st.floats(-4.0, 4.0), st.lists(st.floats(0.0, 1.0), min_size=2, max_size=20).map(sorted))
def test_the_order_of_predictions_stays(slope: float, offset: float, probabilities: list[float]) -> None:
    calibration = Calibration(slope, offset, slope, offset)
    moved = [calibration.next(probability) for probability in probabilities]
    assert moved == sorted(moved)
    assert all(0.0 <= probability <= 1.0 for probability in moved)


def test_a_calibration_is_kept_in_the_patterns_and_moves_what_they_predict() -> None:
    sessions = [support(f"user_{n}", [f"W{n}{i}" for i in range(3)]) for n in range(12)]
    miner = Miner("agent", tools=TOOLS)
    for events in sessions:
        miner.observe_session(events)
    before = Predictor(miner.patterns(), TOOLS).session()
    miner.calibrate(Calibrations({"": Calibration(1.0, -2.0, 1.0, -2.0)}))
    after = Predictor(miner.patterns(), TOOLS).session()
    for session in (before, after):
        session.observe(support("user_x", ["W1"])[0])
    (one, *_), (other, *_) = before.predict(1)[0], after.predict(1)[0]
    assert other.call == one.call
    assert other.probability < one.probability


def test_what_a_situation_adds_is_kept_in_the_patterns_and_moves_what_is_predicted_there_alone() -> None:
    sessions = [support(f"user_{n}", [f"W{n}{i}" for i in range(3)]) for n in range(12)]
    miner = Miner("agent", tools=TOOLS)
    for events in sessions:
        miner.observe_session(events)
    plain = Predictor(miner.patterns(), TOOLS)
    situation = plain.session().situation
    seen = plain.session()
    seen.observe(support("user_x", ["W1"])[0])
    miner.calibrate(Calibrations({"": Calibration()}, {seen.situation: Shift(-2.0, -2.0)}))
    moved = Predictor(miner.patterns(), TOOLS).session()
    moved.observe(support("user_x", ["W1"])[0])
    (one, *_), (other, *_) = seen.predict(1)[0], moved.predict(1)[0]
    assert situation != seen.situation
    assert other.call == one.call
    assert other.probability < one.probability
    elsewhere = Predictor(miner.patterns(), TOOLS).priors.calibration("get_user", "elsewhere:ok")
    assert elsewhere == Calibration()


def test_sessions_that_begin_alike_are_never_on_both_sides() -> None:
    """Forty runs of one task: nothing is left to compare once that task is held out."""
    runs = [support("user_1", ["W1", "W2"]) for _ in range(40)]
    assert cross_fit(runs, TOOLS) == Calibrations()


def test_the_same_sessions_give_the_same_calibration() -> None:
    sessions = [support(f"user_{n}", [f"W{n}{i}" for i in range(3)]) for n in range(24)]
    assert cross_fit(sessions, TOOLS) == cross_fit(sessions, TOOLS) != Calibrations()
