"""Guessers that the predictor is measured against: oracles above it, n-grams, chance and plain error below. Pure, seeded."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from speculation.engine.guessing import NoGuesses
from speculation.engine.script import Nature, Script, Turn, World
from speculation.engine.steps import Step
from speculation.engine.types import Event, EventKind, Prediction
from tools.base import ToolCall

LONGEST_NGRAM = 3
"""Names of earlier tools that an n-gram looks back on."""
START = "start"
"""Stands before a session's first tool."""
TRIES = 8
"""Draws for one random guess before it is given up as known."""


class Recalled(NoGuesses):
    """Guesses that were made before: one list a model turn, in order."""

    def __init__(self, guesses: Sequence[list[Prediction]]) -> None:
        self._guesses = iter(guesses)

    def guess(self, step: Step, k: int) -> list[Prediction]:
        return next(self._guesses)[:k]


class Oracle(NoGuesses):
    """Knows the calls of this turn, or with `sees_all` every call until the next change of the world."""

    def __init__(self, script: Script, sees_all: bool) -> None:
        self._turns = script.turns
        self._sees_all = sees_all
        self._number = -1

    def guess(self, step: Step, k: int) -> list[Prediction]:
        self._number += 1
        end = len(self._turns) if self._sees_all else self._number + 1
        return [_certain(call) for call in _reads_until_change(self._turns[self._number : end])]


def _reads_until_change(turns: Iterable[Turn]) -> Iterator[ToolCall]:
    for turn in turns:
        for ask in turn.asks:
            if ask.nature is Nature.CHANGES:
                return
            if ask.nature is Nature.READS:
                yield ask.call


def _certain(call: ToolCall) -> Prediction:
    return Prediction(call, 1.0, 1.0, expected_use_seconds=60.0)


class NgramCounts:
    """Which tool follows which names of tools, and the latest value of every argument, over the training sessions."""

    def __init__(self, scripts: Iterable[Script]) -> None:
        self._after: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        self.names: dict[str, tuple[str, ...]] = {}
        """Tool to its usual arguments' names: those of its latest call."""
        self.values: dict[str, Any] = {}
        for script in scripts:
            self._count(script)

    def _count(self, script: Script) -> None:
        names = [START]
        for turn in script.turns:
            for length in range(min(LONGEST_NGRAM, len(names)) + 1):
                self._after[tuple(names[len(names) - length :])][turn.step.tool] += 1
            for ask in turn.asks:
                names.append(ask.call.tool)
                self.names[ask.call.tool] = tuple(ask.call.arguments)
                self.values.update(ask.call.arguments)

    def next(self, names: Sequence[str]) -> list[tuple[str, float]]:
        """(tool, share) after the longest known end of `names`, the likeliest first; an answer has no name."""
        for length in range(min(LONGEST_NGRAM, len(names)), -1, -1):
            known = self._after.get(tuple(names[len(names) - length :]))
            if known:
                total = known.total()
                return [(tool, count / total) for tool, count in known.most_common()]
        return []


class Ngram(NoGuesses):
    """The likeliest tools by name, each argument with the last value that an argument of that name had."""

    def __init__(self, counts: NgramCounts, world: World) -> None:
        self._counts, self._world = counts, world
        self._names = [START]
        self._values = dict(counts.values)
        self._usual = dict(counts.names)

    def observe(self, event: Event) -> None:
        if event.kind == EventKind.TOOL:
            self._names.append(event.tool)
            self._values.update(event.arguments)
            self._usual[event.tool] = tuple(event.arguments)

    def guess(self, step: Step, k: int) -> list[Prediction]:
        found = [(self._call(tool), share) for tool, share in self._counts.next(self._names) if tool in self._usual]
        reads = [(call, share) for call, share in found if self._world.nature(call) is Nature.READS]
        return [Prediction(call, share, share, expected_use_seconds=60.0) for call, share in reads[:k]]

    def _call(self, tool: str) -> ToolCall:
        return ToolCall(tool, {name: self._values[name] for name in self._usual[tool]})


class Chance(NoGuesses):
    """As many calls a turn as somebody else launched, drawn from the reads of training and of this session so far."""

    def __init__(self, pool: Sequence[ToolCall], counts: Sequence[int], world: World, rng: random.Random) -> None:
        self._pool, self._counts, self._world, self._rng = list(pool), iter(counts), world, rng
        self._guessed: set[object] = set()

    def observe(self, event: Event) -> None:
        if event.kind != EventKind.TOOL:
            return
        call = ToolCall(event.tool, event.arguments)
        nature = self._world.nature(call)
        if nature is Nature.READS:
            self._pool.append(call)
        elif nature is Nature.CHANGES:
            self._guessed.clear()

    def guess(self, step: Step, k: int) -> list[Prediction]:
        return [_certain(call) for _ in range(next(self._counts)) if (call := self._draw()) is not None]

    def _draw(self) -> ToolCall | None:
        """A call not guessed since the last change, which would still be held."""
        for _ in range(TRIES if self._pool else 0):
            call = self._rng.choice(self._pool)
            key = self._world.traits(call.tool).identity(call.arguments)
            if key not in self._guessed:
                self._guessed.add(key)
                return call
        return None


class Wrong(Chance):
    """As many calls as somebody else launched, none of which anybody will ask for."""

    def guess(self, step: Step, k: int) -> list[Prediction]:
        drawn = [self._rng.choice(self._pool) for _ in range(next(self._counts)) if self._pool]
        return [_certain(ToolCall(call.tool, self._spoiled(call.arguments))) for call in drawn]

    def _spoiled(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """An argument no call has: reads as the call does, and is another one."""
        return {**arguments, "never asked for": self._rng.random()}


def reads_of(scripts: Iterable[Script]) -> list[ToolCall]:
    """Every read that was asked for, repeats and all: a frequent call is drawn often."""
    return [ask.call for script in scripts for turn in script.turns for ask in turn.asks if ask.nature is Nature.READS]
