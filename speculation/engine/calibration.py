"""Probabilities that keep their word: of what is given 0.7, about 70 % comes true.

Predictions are as good as counts and weights make them, and these are a little too sure of tasks they have seen and too
modest of long products. How much is measured on sessions that were not learned from: the sessions are split into folds, a
miner learns all but one, and what it says of that one is compared with what happened. Sessions that begin with the same
words are the same task and stay together. To that are fitted (Platt 1999) a slope and an offset of the log-odds, and for
each tool and for each last signature a shift of its own, all drawn towards changing nothing: a tool whose guesses promise
too much steps back, and so do all guesses in a situation where none comes true.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from speculation.engine.mining import Miner
from speculation.engine.prediction import Predictor, SessionPredictor
from speculation.engine.steps import Step, cut_into_steps
from speculation.engine.types import Calibration, Calibrations, Event, EventKind, Prediction, Shift, ToolTraits

FOLDS = 4
LIKELIEST = 2
"""Likeliest calls of a step that are compared."""
CANDIDATES = 5
MOST_STEPS = 2000
"""Steps of one fold that are compared."""
EVENTS_A_STEP = 2
FEWEST_STEPS = 60
"""With fewer steps to compare there is nothing to correct."""
TRUST = 30.0
"""What is fitted must have so many outcomes to move half the way from changing nothing."""
SHIFT_TRUST, SITUATION_TRUST = 4.0, 1.0
"""A tool's own shift, or a situation's, is drawn towards nothing as if by so many outcomes of even chances, times four."""
MAX_SITUATIONS, FEWEST_OF_SITUATION = 200, 3
"""Situations with a shift of their own, the commonest ones, and the outcomes that each must have."""
ROUNDS = 2
MAX_STEPS = 30
MAX_STEP = 0.5
"""Newton's steps are cut to this: far from the minimum they lead astray."""
LEAST_SLOPE, MAX_OFFSET = 0.2, 4.0
LEAST = 1e-4


class Outcome(NamedTuple):
    """A probability that was given for a call of the tool, and whether it came true."""

    tool: str
    given: float
    came_true: bool
    situation: str = ""
    """The last signature of the session."""


class Fit(NamedTuple):
    """Log-odds are moved by slope and offset, and for some tools and situations by a shift of their own."""

    slope: float = 1.0
    offset: float = 0.0
    shifts: Mapping[str, float] = {}
    situations: Mapping[str, float] = {}

    def of(self, tool: str) -> tuple[float, float]:
        return self.slope, bounded(self.offset + self.shifts.get(tool, 0.0), MAX_OFFSET)


def cross_fit(
    sessions: Sequence[Sequence[Event]], tools: Mapping[str, ToolTraits], *, folds: int = FOLDS, seed: int = 0
) -> Calibrations:
    """What predictions for unseen tasks need to keep their word. Mines `folds` times all but one fold; empty where there is
    too little to compare."""
    fold_of = [_fold(events, folds, seed) for events in sessions]
    after: list[Outcome] = []
    soon: list[Outcome] = []
    for fold in range(folds):
        miner = Miner("", (), tools)
        held_out = []
        for events, its_fold in zip(sessions, fold_of, strict=True):
            if its_fold == fold:
                held_out.append(events)
            else:
                miner.observe_session(events)
        _compare_some(Predictor(miner.patterns(), tools, keeps_record=False), held_out, after, soon)
    if len(after) < FEWEST_STEPS:
        return Calibrations()
    of_next, of_soon = fit(after), fit(soon)
    names = sorted({"", *of_next.shifts, *of_soon.shifts})
    situations = sorted({*of_next.situations, *of_soon.situations})
    return Calibrations(
        {name: Calibration(*of_next.of(name), *of_soon.of(name)) for name in names},
        {one: Shift(of_next.situations.get(one, 0.0), of_soon.situations.get(one, 0.0)) for one in situations},
    )


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
    """The likeliest calls at each step, and the calls worth holding, with what became of them."""
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
    situation = session.situation
    for prediction in session.predict(LIKELIEST)[0]:
        came_true = bool(step.calls) and _is(prediction, step.calls[0], tools)
        after.append(Outcome(prediction.call.tool, prediction.probability, came_true, situation))
    for prediction in session.predict(CANDIDATES, only_reads=True)[0]:
        came_true = any(_is(prediction, call, tools) for _, call in step.soon)
        soon.append(Outcome(prediction.call.tool, prediction.probability_before_write, came_true, situation))


def _is(prediction: Prediction, call: Event, tools: Mapping[str, ToolTraits]) -> bool:
    if prediction.call.tool != call.tool:
        return False
    traits = tools.get(call.tool) or ToolTraits(call.tool, reads_only=False, changes_world=True)
    return traits.is_answered_by(call.arguments, prediction.call.arguments)


def _changes_world(tools: Mapping[str, ToolTraits]) -> Callable[[Event], bool]:
    return lambda event: (traits := tools.get(event.tool)) is None or traits.may_change_world(event.arguments)


def fit(outcomes: Sequence[Outcome]) -> Fit:
    """Slope, offset and shifts by Newton's method; what changes nothing where there is too little to compare."""
    if len(outcomes) < FEWEST_STEPS:
        return Fit()
    points = [(one, log_odds(one.given), float(one.came_true)) for one in outcomes]
    slope, offset = 1.0, 0.0
    shifts: dict[str, float] = {}
    for _ in range(ROUNDS):
        shifted = [(odds, shifts.get(one.tool, 0.0), true) for one, odds, true in points]
        slope, offset = _fit_line(shifted, slope, offset)
        shifts = _fit_shifts(((one.tool, slope * odds + offset, true) for one, odds, true in points), SHIFT_TRUST)
    moved = ((one.situation, slope * odds + offset + shifts[one.tool], true) for one, odds, true in points)
    situations = _fit_shifts(moved, SITUATION_TRUST)
    trust = len(points) / (len(points) + TRUST)
    line = max(LEAST_SLOPE, 1.0 + trust * (slope - 1.0)), trust * offset
    common = Counter([one.situation for one in outcomes]).most_common(MAX_SITUATIONS)
    return Fit(*line, shifts, {s: situations[s] for s, count in common if count >= FEWEST_OF_SITUATION})


def _fit_shifts(points: Iterable[tuple[str, float, float]], trust: float) -> dict[str, float]:
    """`points`: (whose shift, log-odds, 1.0 if true)."""
    gathered: dict[str, list[tuple[float, float]]] = {}
    for name, odds, true in points:
        gathered.setdefault(name, []).append((odds, true))
    return {name: _fit_shift(of_name, trust) for name, of_name in gathered.items()}


def _fit_line(points: Sequence[tuple[float, float, float]], slope: float, offset: float) -> tuple[float, float]:
    """`points`: (log-odds, shift, 1.0 if true). A little curvature is added, so that there is one minimum."""
    for _ in range(MAX_STEPS):
        by_slope, by_offset = slope - 1.0, offset
        second, mixed, second_offset = 1.0, 0.0, 1.0
        for odds, shift, true in points:
            chance = _chance(slope * odds + offset + shift)
            wrong, weight = chance - true, chance * (1.0 - chance)
            by_slope += wrong * odds
            by_offset += wrong
            second += weight * odds * odds
            mixed += weight * odds
            second_offset += weight
        determinant = second * second_offset - mixed * mixed
        step_slope = bounded((second_offset * by_slope - mixed * by_offset) / determinant, MAX_STEP)
        step_offset = bounded((second * by_offset - mixed * by_slope) / determinant, MAX_STEP)
        slope, offset = slope - step_slope, offset - step_offset
        if abs(step_slope) + abs(step_offset) < 1e-4:
            break
    return slope, offset


def _fit_shift(points: Sequence[tuple[float, float]], trust: float) -> float:
    """What one tool or situation needs beside the others, drawn towards nothing. `points`: (log-odds, 1.0 if true)."""
    shift = 0.0
    for _ in range(MAX_STEPS):
        gradient, curvature = shift * trust, trust
        for odds, true in points:
            chance = _chance(odds + shift)
            gradient += chance - true
            curvature += chance * (1.0 - chance)
        step = bounded(gradient / curvature, MAX_STEP)
        shift -= step
        if abs(step) < 1e-4:
            break
    return shift


def _chance(odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-bounded(odds, 30.0)))


def bounded(number: float, most: float) -> float:
    return max(-most, min(most, number))


def log_odds(probability: float) -> float:
    """Of a probability, kept away from 0 and 1."""
    kept = min(max(probability, LEAST), 1.0 - LEAST)
    return math.log(kept / (1.0 - kept))
