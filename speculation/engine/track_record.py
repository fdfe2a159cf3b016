"""How well guesses of each kind did in this session so far, and by how much that moves the next ones.

A kind is a tool and the sources of its arguments. An agent that asks the same again and again, or never takes the first
hit of a search, does so for a whole session, which counts over all sessions cannot tell. So each kind has a shift of its
log-odds in each session, as in a logistic model with random effects: known beforehand is only that it is about 0, with
the variance SPREAD. After each turn it takes one step of an extended Kalman filter (a Laplace approximation of Bayes' rule).
"""

from collections.abc import Iterable
from typing import NamedTuple

SPREAD = 0.5
"""Variance of the shifts between sessions; in log-odds squared."""
MAX_KINDS = 200
"""Kinds of one tool that are kept; those that were not seen for longest go first."""

Sources = tuple[str, ...]
"""The texts of the sources of a call's arguments, in a fixed order."""


class Shift(NamedTuple):
    """Of the log-odds: what is expected of it, and its variance."""

    mean: float = 0.0
    variance: float = SPREAD

    def after(self, given: float, came_true: bool) -> "Shift":
        """What is known of it after a guess that was given this probability, with the shift of then."""
        variance = 1.0 / (1.0 / self.variance + given * (1.0 - given))
        return Shift(self.mean + variance * (came_true - given), variance)


class TrackRecord:
    """Of one session. Append-only but for what is forgotten."""

    def __init__(self) -> None:
        self._shifts: dict[str, dict[Sources, Shift]] = {}
        self._most: dict[str, float] = {}
        """By tool its largest shift, where that was asked for since the tool's last guess."""

    def fork(self) -> "TrackRecord":
        """One that knows the same and learns on apart."""
        fork = TrackRecord()
        fork._shifts = {tool: dict(shifts) for tool, shifts in self._shifts.items()}
        return fork

    def knows(self, tool: str) -> bool:
        """True if some guess of the tool was compared."""
        return tool in self._shifts

    def shift(self, tool: str, sources: Sources) -> float:
        """By how much the log-odds of such a guess are to be moved."""
        known = self._shifts.get(tool)
        return known[sources].mean if known and sources in known else 0.0

    def most(self, tool: str) -> float:
        """The largest shift of a guess of the tool."""
        known = self._most.get(tool)
        if known is None:
            means = [shift.mean for shift in self._shifts.get(tool, {}).values()]
            known = self._most[tool] = max(0.0, max(means, default=0.0))
        return known

    def learn(self, guesses: Iterable[tuple[str, Sources, float, bool]]) -> None:
        """One turn's likeliest guesses, each with the probability that it was given and whether it came true."""
        for tool, sources, given, came_true in guesses:
            shifts = self._shifts.setdefault(tool, {})
            self._most.pop(tool, None)
            shifts[sources] = shifts.pop(sources, UNKNOWN).after(given, came_true)
            if len(shifts) > MAX_KINDS:
                del shifts[next(iter(shifts))]


UNKNOWN = Shift()
