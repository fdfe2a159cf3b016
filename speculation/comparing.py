"""Two sessions beside each other: their figures, turn by turn, and in a sentence what differs. Pure; seconds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from speculation.figures import Figures, TurnFigures
from speculation.spans import WorkKey


@dataclass(frozen=True)
class Side:
    """One session as a comparison needs it. `task` and `agent` are compared as they are."""

    name: str
    agent: str
    task: str
    is_over: bool
    figures: Figures


@dataclass(frozen=True)
class TurnPair:
    """One turn on both sides; None where a side has no such turn. Differences are second minus first.

    `is_open`: a side that still runs is in this turn, or has not come to it.
    """

    turn: int
    first: TurnFigures | None
    second: TurnFigures | None
    is_open: bool = False

    @property
    def decode_difference_seconds(self) -> float | None:
        return self.second.decode_seconds - self.first.decode_seconds if self.first and self.second else None

    @property
    def waited_difference_seconds(self) -> float | None:
        return self.second.waited_seconds - self.first.waited_seconds if self.first and self.second else None

    @property
    def has_same_calls(self) -> bool:
        """Order aside: calls of one turn may run side by side."""
        return _calls_of(self.first) == _calls_of(self.second)

    @property
    def has_parted(self) -> bool:
        """True if they made different calls; of a turn that is open nobody knows."""
        return not self.is_open and not self.has_same_calls


@dataclass(frozen=True)
class Comparison:
    """`turns`: every turn that either side has, in order. `warnings`: why the two may not be comparable."""

    first: Side
    second: Side
    turns: Sequence[TurnPair]
    warnings: Sequence[str]

    @property
    def difference_seconds(self) -> float:
        """How much longer the second took."""
        return self.second.figures.task_seconds - self.first.figures.task_seconds

    @property
    def decode_difference_seconds(self) -> float:
        return self.second.figures.decode_seconds - self.first.figures.decode_seconds

    @property
    def waited_difference_seconds(self) -> float:
        return self.second.figures.waited_seconds - self.first.figures.waited_seconds

    @property
    def parted_at(self) -> int | None:
        """The first turn in which they made different calls; None if they never did."""
        return next((pair.turn for pair in self.turns if pair.has_parted), None)


def compare(first: Side, second: Side) -> Comparison:
    mine, theirs = _by_number(first.figures), _by_number(second.figures)
    open_from = min([max(_by_number(side.figures), default=1) for side in (first, second) if not side.is_over], default=inf)
    turns = [
        TurnPair(number, mine.get(number), theirs.get(number), is_open=number >= open_from)
        for number in sorted({*mine, *theirs})
    ]
    return Comparison(first, second, turns, _warnings(first, second))


def _warnings(first: Side, second: Side) -> list[str]:
    warnings = []
    if first.agent != second.agent:
        warnings.append(f"Different agents: {first.agent} and {second.agent}.")
    if first.task != second.task:
        warnings.append("Different tasks: the times say little about speculation.")
    running = [side.name for side in (first, second) if not side.is_over]
    if running:
        warnings.append(f"Still running: {' and '.join(running)}. Figures are those of this moment.")
    return warnings


def _by_number(figures: Figures) -> Mapping[int, TurnFigures]:
    return {turn.turn: turn for turn in figures.turns}


def _calls_of(turn: TurnFigures | None) -> Counter[WorkKey]:
    return Counter(call.call.key for call in turn.calls) if turn else Counter()
