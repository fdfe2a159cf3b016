"""Offline replay of recorded sessions: what speculation would have hidden, launched and wasted. Pure and seeded.

At each model turn's start the guesser names calls; those that are admitted start as slots become free. Calls of a turn come
in listed order: reads between two writes start together, and the longest wait among them is exposed. A call that may change
something is a barrier, ends what is held and stops what runs. A result serves one call; a running one is joined.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from speculation.engine.prediction import Predictor, SessionPredictor
from speculation.engine.scheduling import Slack, admit
from speculation.engine.steps import Step, cut_into_steps
from speculation.engine.types import Event, Prediction, ToolTraits
from speculation.engine.utility import bid_for
from speculation.engine.values import identity
from tools.base import ToolCall, canonical_json

DEFAULT_TURN_SECONDS = 3.0
MAX_TURN_SECONDS = 20.0
DRAWN_SECONDS = {"search_pages": (1.0, 3.0), "read_section": (2.0, 8.0), "view_sections": (2.0, 8.0)}
"""Range of the stated durations by tool, for recordings whose tools took no time of their own."""
OTHER_DRAWN_SECONDS = (0.3, 1.5)


@dataclass(frozen=True)
class RecordedSession:
    """`turn_seconds`: how long the model took, one entry a model turn; what is missing or None took the default."""

    events: Sequence[Event]
    turn_seconds: Sequence[float | None] = ()


@dataclass(frozen=True)
class World:
    """What the replay knows of the tools. `seconds_of` is the duration of a call, asked for or guessed."""

    tools: dict[str, ToolTraits]
    seconds_of: Callable[[ToolCall], float]
    slots: int = 4
    guesses: int = 5
    min_probability: float = 0.23
    slot_price: float = 0.1
    """Nothing else competes for the slots here."""


@dataclass
class Totals:
    """Sums over sessions, in seconds and calls."""

    task_seconds: float = 0.0
    serial_tool_seconds: float = 0.0
    """Exposed seconds of read-only tools without speculation."""
    exposed_tool_seconds: float = 0.0
    wasted_seconds: float = 0.0
    reads: int = 0
    hits: int = 0
    launches: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def launches_per_hit(self) -> float:
        return self.launches / self.hits if self.hits else 0.0

    @property
    def covered(self) -> float:
        """Share of read-only calls that a speculation served."""
        return self.hits / self.reads if self.reads else 0.0

    @property
    def reduction(self) -> float:
        return 1.0 - self.exposed_tool_seconds / self.serial_tool_seconds if self.serial_tool_seconds else 0.0


class Guesser(Protocol):
    """One session's guesses: told every event, asked at each model turn's start."""

    def observe(self, event: Event) -> None: ...

    def guess(self, step: Step, k: int) -> list[Prediction]:
        """`step` is the turn that begins now; only oracles may look into it."""
        ...


class NoGuesses:
    """The serial arm."""

    def observe(self, event: Event) -> None:
        pass

    def guess(self, step: Step, k: int) -> list[Prediction]:
        return []


class PatternGuesser:
    """The arm of the predictor."""

    def __init__(self, predictor: Predictor) -> None:
        self._session: SessionPredictor = predictor.session()

    def observe(self, event: Event) -> None:
        self._session.observe(event)

    def guess(self, step: Step, k: int) -> list[Prediction]:
        return self._session.predict(k, only_reads=True)[0]


class Oracle(NoGuesses):
    """Knows the calls of this turn, or with `sees_all` every call until the next change of the world."""

    def __init__(self, sees_all: bool) -> None:
        self._sees_all = sees_all

    def guess(self, step: Step, k: int) -> list[Prediction]:
        calls = [call for turns, call in step.soon if self._sees_all or turns == 0]
        return [Prediction(ToolCall(c.tool, c.arguments), 1.0, 1.0, expected_use_seconds=60.0) for c in calls]


def drawn_seconds(seed: int) -> Callable[[ToolCall], float]:
    """Durations drawn once per distinct call, uniform in the tool's stated range."""

    def seconds_of(call: ToolCall) -> float:
        low, high = DRAWN_SECONDS.get(call.tool, OTHER_DRAWN_SECONDS)
        text = f"{seed}\n{call.tool}\n{canonical_json(dict(call.arguments))}"
        return low + (high - low) * int(hashlib.sha256(text.encode()).hexdigest()[:12], 16) / 16**12

    return seconds_of


def with_drawn_means(tools: Iterable[ToolTraits]) -> dict[str, ToolTraits]:
    """Traits whose expected seconds are the means of `drawn_seconds`."""
    return {t.name: replace(t, expected_seconds=sum(DRAWN_SECONDS.get(t.name, OTHER_DRAWN_SECONDS)) / 2) for t in tools}


def replay(sessions: Iterable[RecordedSession], guesser: Callable[[], Guesser], world: World) -> Totals:
    """All sessions, each with a guesser of its own."""
    totals = Totals()
    for session in sessions:
        _Run(session, guesser(), world, totals).run()
    return totals


@dataclass
class _Launch:
    """A speculative run; `ends_at` is in seconds of the session."""

    call: ToolCall
    started_at: float
    ends_at: float


class _Run:
    """One session on a clock of its own."""

    def __init__(self, session: RecordedSession, guesser: Guesser, world: World, totals: Totals) -> None:
        self._session, self._guesser, self._world, self._totals = session, guesser, world, totals
        self._now = 0.0
        self._held: dict[object, _Launch] = {}
        self._slots_free_at = [0.0] * world.slots

    def run(self) -> None:
        steps = cut_into_steps(self._session.events, lambda event: self._traits(event.tool).changes_world)
        observed = 0
        for number, step in enumerate(steps):
            for event in self._session.events[observed : step.start]:
                self._guesser.observe(event)
            observed = step.start
            self._live(step, self._turn_seconds(number))
        for launch in self._held.values():
            self._totals.wasted_seconds += launch.ends_at - launch.started_at
        self._totals.task_seconds += self._now

    def _turn_seconds(self, number: int) -> float:
        recorded = self._session.turn_seconds[number] if number < len(self._session.turn_seconds) else None
        return DEFAULT_TURN_SECONDS if recorded is None else min(recorded, MAX_TURN_SECONDS)

    def _traits(self, tool: str) -> ToolTraits:
        return self._world.tools.get(tool) or ToolTraits(tool, reads_only=False, changes_world=True)

    def _live(self, step: Step, seconds: float) -> None:
        self._launch(self._guesser.guess(step, self._world.guesses), self._now + seconds)
        self._now += seconds
        reads: list[ToolCall] = []
        for call in (ToolCall(event.tool, event.arguments) for event in step.calls):
            if self._traits(call.tool).reads_only:
                reads.append(call)
                continue
            self._ask(reads)
            reads = []
            if self._traits(call.tool).changes_world:
                self._drop_all()
            self._now += self._world.seconds_of(call)
        self._ask(reads)

    def _launch(self, predictions: Sequence[Prediction], until: float) -> None:
        """Admit, then start each as a slot becomes free, as long as the model still thinks."""
        held = frozenset(str(key) for key in self._held)
        bids = [
            bid_for(p, self._traits(p.call.tool), str(self._key(p.call)), slot_price=self._world.slot_price)
            for p in predictions
        ]
        slack = Slack(free_slots=len(bids), held=held)
        for verdict in admit(bids, slack, self._world.tools, min_probability=self._world.min_probability):
            if verdict.refused is not None:
                self._totals.refused[verdict.refused] = self._totals.refused.get(verdict.refused, 0) + 1
                continue
            slot = min(range(len(self._slots_free_at)), key=self._slots_free_at.__getitem__)
            start = max(self._now, self._slots_free_at[slot])
            if start >= until:
                break
            call = verdict.bid.prediction.call
            self._slots_free_at[slot] = start + self._world.seconds_of(call)
            self._held[self._key(call)] = _Launch(call, start, self._slots_free_at[slot])
            self._totals.launches += 1

    def _key(self, call: ToolCall) -> object:
        cosmetic = self._traits(call.tool).cosmetic_arguments
        return identity(call.tool, call.arguments, cosmetic)

    def _ask(self, reads: Sequence[ToolCall]) -> None:
        """Reads side by side: the longest wait is exposed."""
        waits, serial = [0.0], [0.0]
        for call in reads:
            launch = self._held.pop(self._key(call), None)
            serial.append(self._world.seconds_of(call))
            waits.append(serial[-1] if launch is None else max(0.0, launch.ends_at - self._now))
            self._totals.hits += launch is not None
            self._totals.reads += 1
        self._now += max(waits)
        self._totals.exposed_tool_seconds += max(waits)
        self._totals.serial_tool_seconds += max(serial)

    def _drop_all(self) -> None:
        for launch in self._held.values():
            self._totals.wasted_seconds += max(0.0, min(launch.ends_at, self._now) - launch.started_at)
        self._held.clear()
        self._slots_free_at = [min(at, self._now) for at in self._slots_free_at]
