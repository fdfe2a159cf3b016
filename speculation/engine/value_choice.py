"""Which of the values that sources point to is meant: a log-linear choice among them, and "none of them".

A value's score is the log-odds of its most reliable source, from counts, and the weights of its marks: which sources
lead to it, and, for an element of a list, where it stands there and which words its record shares with what was asked.
"Next" is one of the values or none (conditional logit, McFadden 1974); "soon" is each value by itself. Learned like
tool_choice.py, by AdaGrad steps in one pass.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

STEP = 0.15
FIRST_SQUARES = 0.2
WORD_SQUARES = 4.0
"""Words start as if much had been learned of them: they are many, each is seen seldom, and their steps are small."""
LEAST_ODDS = -6.0
TOO_SMALL = 0.02
"""An error of a probability that is not worth a step."""
AS_GOOD_AS_SURE = 0.9
"""A call that was given this probability, and came, taught nothing."""
MAX_MARKS = 300
MIN_WEIGHT = 0.02
NONE = "none"
FOUND = "found"
"""Under this stand, beside the weights, how many calls were learned from and how many had their value among the options."""
PLACE_MARKS = frozenset({"r0", "r1", "r2", "r3", "r4", "r5", "r7", "r9", "last", "again", "c0", "c1", "c2", NONE})
_FIRST = {"s1": 0.5, "s2": 1.0, "s3": 1.6}
"""Weights before anything was learned: elements that share words with what was asked are likelier."""

Weights = dict[str, list[float]]
"""Mark to [next, soon, squares of next, squares of soon]."""


class Option:
    """One value: the indices of the sources that lead to it, and its marks."""

    __slots__ = ("is_shared", "key", "marks", "odds", "odds_soon", "records", "sources", "value")

    def __init__(
        self,
        value: Any,
        key: Hashable,
        sources: list[int] | None = None,
        marks: list[str] | None = None,
        odds: float = LEAST_ODDS,
        odds_soon: float = LEAST_ODDS,
    ) -> None:
        self.value = value
        self.key = key
        self.sources: list[int] = [] if sources is None else sources
        self.marks: list[str] = [] if marks is None else marks
        self.records: list[Any] = []
        """The records that hold it."""
        self.odds = odds
        self.odds_soon = odds_soon
        self.is_shared = False
        """True for one that others hold as well: to be copied before it is changed."""

    def copy(self) -> "Option":
        """One of its own, to be changed."""
        made = Option(self.value, self.key, self.sources[:], self.marks[:], self.odds, self.odds_soon)
        made.records = self.records[:]
        return made


class ValueChoice:
    """The weights of one argument of one tool."""

    def __init__(self, weights: Mapping[str, Sequence[float]] | None = None) -> None:
        self.calls, self.found = 0.0, 0.0
        """Calls learned from, and those whose value was among the options."""
        self.weights: Weights = {mark: list(weight) for mark, weight in (weights or {}).items()}
        if counts := self.weights.pop(FOUND, None):
            self.calls, self.found = counts[:2]
        for mark, first in _FIRST.items():
            self.weights.setdefault(mark, [first, first, FIRST_SQUARES, FIRST_SQUARES])

    def among_others(self) -> "ValueChoice":
        """The same choice among other sources: how often none of them was meant is not known of these."""
        return ValueChoice({mark: weight for mark, weight in self.weights.items() if mark.partition(" ")[0] != NONE})

    def chances(self, options: Sequence[Option], situation: str) -> list[tuple[float, float]]:
        """P(next) and P(soon) of each option, given that the tool is called."""
        after, soon = self._scores(options)
        highest = max([none := self._none(situation), *after])
        after = [math.exp(score - highest) for score in after]
        total = sum(after) + math.exp(none - highest)
        return [(a / total, 1.0 / (1.0 + math.exp(-s))) for a, s in zip(after, soon, strict=True)]

    def _none(self, situation: str) -> float:
        weights = self.weights
        return sum([weights[mark][0] for mark in (NONE, f"{NONE} {situation}") if mark in weights])

    def _scores(self, options: Sequence[Option]) -> tuple[list[float], list[float]]:
        weights = self.weights
        after, soon = [], []
        for option in options:
            score, score_soon = option.odds, option.odds_soon
            for mark in option.marks:
                weight = weights.get(mark)
                if weight is not None:
                    score += weight[0]
                    score_soon += weight[1]
            after.append(score)
            soon.append(score_soon if -30.0 < score_soon < 30.0 else math.copysign(30.0, score_soon))
        return after, soon

    def learn(
        self,
        options: Sequence[Option],
        situation: str,
        is_next: bool,
        wanted: Hashable,
        wanted_soon: set[Hashable],
        weight: float,
    ) -> bool:
        """One call. `is_next`: the call comes next and its value's key is `wanted`; soon ones are all in `wanted_soon`.

        Returns whether it taught nothing of what comes next: the value, or that it is none of these, was as good as sure.
        """
        chances = self.chances(options, situation)
        found, thought = False, 1.0
        for option, (after, soon) in zip(options, chances, strict=True):
            if is_next:
                is_right = option.key == wanted
                if is_right:
                    found, thought = True, after
                wrong = after - 1.0 if is_right else after
                if wrong > TOO_SMALL or wrong < -TOO_SMALL:
                    self._step(option.marks, 0, wrong, weight)
            wrong = soon - 1.0 if option.key in wanted_soon else soon
            if wrong > TOO_SMALL or wrong < -TOO_SMALL:
                self._step(option.marks, 1, wrong, weight)
        if is_next:
            self.calls += 1.0
            self.found += found
            none = 1.0 - sum([after for after, _ in chances])
            thought, wrong = (thought, none) if found else (none, none - 1.0)
            self._step((NONE, f"{NONE} {situation}"), 0, wrong, weight)
        if len(self.weights) > 2 * MAX_MARKS:
            self._forget_least()
        return thought > AS_GOOD_AS_SURE

    def _step(self, marks: Iterable[str], which: int, wrong: float, times: float) -> None:
        weights, squared = self.weights, wrong * wrong * times
        for mark in marks:
            weight = weights.get(mark)
            if weight is None:
                first = WORD_SQUARES if mark.isalnum() and mark not in PLACE_MARKS else FIRST_SQUARES
                weight = weights[mark] = [0.0, 0.0, first, first]
            squares = weight[which + 2] = weight[which + 2] + squared
            weight[which] -= STEP * wrong * times / math.sqrt(squares)

    def _forget_least(self) -> None:
        weights = self.weights
        for mark in sorted(weights, key=lambda m: (-weights[m][2] - weights[m][3], m))[MAX_MARKS:]:
            del weights[mark]

    @property
    def derivable(self) -> float:
        """Share of the calls whose value was one that some source led to."""
        return (self.found + 1.0) / (self.calls + 1.0)

    def shown(self) -> dict[str, list[float]]:
        """The weights that matter, for the pattern."""
        shown = {
            mark: [round(number, 4) for number in weight]
            for mark, weight in sorted(self.weights.items())
            if abs(weight[0]) >= MIN_WEIGHT or abs(weight[1]) >= MIN_WEIGHT
        }
        return shown | {FOUND: [round(self.calls, 4), round(self.found, 4)]}

    def age(self, scale: float) -> None:
        """Make what was learned count less: later calls weigh more against it."""
        self.calls, self.found = self.calls * scale, self.found * scale
        for weight in self.weights.values():
            weight[2] = FIRST_SQUARES + (weight[2] - FIRST_SQUARES) * scale
            weight[3] = FIRST_SQUARES + (weight[3] - FIRST_SQUARES) * scale


def log_odds(right: float, available: float) -> float:
    """The log-odds of being right, of a source that was right so often; unknown ones are right one time in five."""
    return math.log((right + 0.2) / (max(available - right, 0.0) + 0.8))
