"""Probabilities that keep their word: of what is given 0.7, about 70 % comes true.

Predictions are as good as counts and weights make them, and these are a little too sure of tasks they have seen and too
modest of long products. How much is measured on sessions that were not learned from: the sessions are split into folds, a
miner learns all but one, and what it says of that one is compared with what happened. Sessions that begin with the same
words are the same task and stay together. Two numbers a probability are fitted to that (Platt 1999): a slope and an
offset of the log-odds, both drawn towards changing nothing. The order of predictions stays as it was.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from speculation.engine.mining import Miner
from speculation.engine.prediction import Predictor, SessionPredictor
from speculation.engine.steps import Step, cut_into_steps
from speculation.engine.types import Calibration, Event, EventKind, Prediction, ToolTraits

FOLDS = 4
CANDIDATES = 5
MOST_STEPS = 1000
"""Steps of one fold that are compared."""
EVENTS_A_STEP = 2
FEWEST_STEPS = 60
"""With fewer steps to compare there is nothing to correct."""
TRUST = 30.0
"""What is fitted must have so many steps to move half the way from changing nothing."""
MAX_ROUNDS = 60
MAX_STEP = 0.5
"""Newton's steps are cut to this: far from the minimum they lead astray."""
LEAST_SLOPE, MAX_OFFSET = 0.2, 4.0
LEAST = 1e-4


class Outcome(NamedTuple):
    """A probability that was given, and whether it came true."""

    given: float
    came_true: bool


def cross_fit(
    sessions: Sequence[Sequence[Event]], tools: Mapping[str, ToolTraits], *, folds: int = FOLDS, seed: int = 0
) -> Calibration:
    """What predictions for unseen tasks need to keep their word. Mines `folds` times all but one fold."""
    fold_of = [_fold(events, folds, seed) for events in sessions]
    after: list[Outcome] = []
    soon: list[Outcome] = []
    for fold in range(folds):
        miner = Miner("", (), tools)
        for events, its_fold in zip(sessions, fold_of, strict=True):
            if its_fold != fold:
                miner.observe_session(events)
        predictor = Predictor(miner.patterns(), tools)
        _compare_some(
            predictor, [e for e, its_fold in zip(sessions, fold_of, strict=True) if its_fold == fold], after, soon
        )
    return Calibration(*fit(after), *fit(soon))


def _fold(events: Sequence[Event], folds: int, seed: int) -> int:
    words = next((event.text for event in events if event.kind == EventKind.USER), "")
    return int(hashlib.sha256(f"{seed}\n{words}".encode()).hexdigest()[:8], 16) % folds


def _compare_some(
    predictor: Predictor, sessions: Sequence[Sequence[Event]], after: list[Outcome], soon: list[Outcome]
) -> None:
    """Sessions from all over the fold, as many as it takes."""
    every = max(1, round(sum(map(len, sessions)) / (EVENTS_A_STEP * MOST_STEPS)))
    for events in sessions[::every]:
        _compare(predictor, events, after, soon)


def _compare(predictor: Predictor, events: Sequence[Event], after: list[Outcome], soon: list[Outcome]) -> None:
    """The likeliest call at each step, and the calls worth holding, with what became of them."""
    session = predictor.session()
    observed = 0
    for step in cut_into_steps(events, _changes_world(predictor.tools)):
        for event in events[observed : step.start]:
            session.observe(event)
        observed = step.start
        _look(session, step, predictor.tools, after, soon)


def _look(
    session: SessionPredictor,
    step: Step,
    tools: Mapping[str, ToolTraits],
    after: list[Outcome],
    soon: list[Outcome],
) -> None:
    best, _ = session.predict(1)
    if best:
        after.append(Outcome(best[0].probability, bool(step.calls) and _is(best[0], step.calls[0], tools)))
    for prediction in session.predict(CANDIDATES, only_reads=True)[0]:
        came_true = any(_is(prediction, call, tools) for _, call in step.soon)
        soon.append(Outcome(prediction.probability_before_write, came_true))


def _is(prediction: Prediction, call: Event, tools: Mapping[str, ToolTraits]) -> bool:
    if prediction.call.tool != call.tool:
        return False
    traits = tools.get(call.tool) or ToolTraits(call.tool, reads_only=False, changes_world=True)
    return traits.is_answered_by(call.arguments, prediction.call.arguments)


def _changes_world(tools: Mapping[str, ToolTraits]) -> Callable[[Event], bool]:
    return lambda event: (traits := tools.get(event.tool)) is None or traits.may_change_world(event.arguments)


def fit(outcomes: Iterable[Outcome]) -> tuple[float, float]:
    """(slope, offset) of the log-odds by Newton's method; (1, 0) where there is too little to compare."""
    points = [(log_odds(one.given), one.came_true) for one in outcomes]
    if len(points) < FEWEST_STEPS:
        return 1.0, 0.0
    slope, offset = 1.0, 0.0
    for _ in range(MAX_ROUNDS):
        gradient, curvature = _derivatives(points, slope, offset)
        determinant = curvature[0] * curvature[2] - curvature[1] ** 2
        by_slope = _bounded((curvature[2] * gradient[0] - curvature[1] * gradient[1]) / determinant, MAX_STEP)
        by_offset = _bounded((curvature[0] * gradient[1] - curvature[1] * gradient[0]) / determinant, MAX_STEP)
        slope, offset = slope - by_slope, offset - by_offset
        if abs(by_slope) + abs(by_offset) < 1e-6:
            break
    trust = len(points) / (len(points) + TRUST)
    return max(LEAST_SLOPE, 1.0 + trust * (slope - 1.0)), _bounded(trust * offset, MAX_OFFSET)


def _bounded(number: float, most: float) -> float:
    return max(-most, min(most, number))


def _derivatives(
    points: Sequence[tuple[float, bool]], slope: float, offset: float
) -> tuple[tuple[float, float], tuple[float, float, float]]:
    """Of the negative log-likelihood, with a little curvature added so that it has one minimum."""
    by_slope, by_offset = slope - 1.0, offset
    second, mixed, second_offset = 1.0, 0.0, 1.0
    for odds, came_true in points:
        chance = 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, slope * odds + offset))))
        wrong, weight = chance - came_true, chance * (1.0 - chance)
        by_slope += wrong * odds
        by_offset += wrong
        second += weight * odds * odds
        mixed += weight * odds
        second_offset += weight
    return (by_slope, by_offset), (second, mixed, second_offset)


def log_odds(probability: float) -> float:
    """Of a probability, kept away from 0 and 1."""
    bounded = min(max(probability, LEAST), 1.0 - LEAST)
    return math.log(bounded / (1.0 - bounded))
