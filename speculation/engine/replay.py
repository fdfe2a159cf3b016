"""Offline replay of recorded sessions: what speculation would have hidden, launched and wasted. Pure.

The rules are those of section 4 of the engine's design. At each model turn's start the guesser names calls, and while the
model writes, or when a run has ended, it may name others; those admitted start as slots become free, until the turn ends.
Calls of a turn come in listed order: reads between two changes start together, and the longest wait among them is exposed.
A call that may change something waits for all before it, ends what is held and stops what runs; one that touches nothing a
read sees does neither. A result serves one call; one that still runs is joined.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from speculation.engine.guessing import Guesser
from speculation.engine.identity import Identity
from speculation.engine.scheduling import Refused, Slack, admit
from speculation.engine.script import Ask, Nature, Script, Turn, World, seconds_of
from speculation.engine.types import Event, Prediction
from speculation.engine.utility import Bid, bid_for
from tools.base import ToolCall

LEAST_REMAINING_SECONDS = 0.5
"""What is left of a turn that already took longer than expected."""


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
    launched: list[list[int]] = field(default_factory=list)
    """Calls started: a list a session, a number a model turn."""
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def launches(self) -> int:
        return sum(map(sum, self.launched))

    @property
    def wasted_calls(self) -> int:
        return self.launches - self.hits

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


def replay(scripts: Iterable[Script], guesser: Callable[[int], Guesser], world: World) -> Totals:
    """All sessions, each with a guesser of its own, made of the session's number."""
    totals = Totals()
    for number, script in enumerate(scripts):
        _Run(script, guesser(number), world, totals).run()
    return totals


@dataclass(frozen=True)
class _Launch:
    """A speculative run, in seconds of the session."""

    started_at: float
    ends_at: float


class _Run:
    """One session on a clock of its own."""

    def __init__(self, script: Script, guesser: Guesser, world: World, totals: Totals) -> None:
        self._script, self._guesser, self._world, self._totals = script, guesser, world, totals
        self._now = self._began_at = 0.0
        """This moment, and the turn's start."""
        self._ahead: Sequence[Turn] = script.turns
        """This turn and those to come."""
        self._held: dict[Identity, _Launch] = {}
        self._running: list[Identity] = []
        """Launched, and not yet seen to have ended."""
        self._waiting: list[Identity] = []
        """Admitted, and without a slot."""
        self._slots_free_at = [0.0] * world.slots

    def run(self) -> None:
        self._totals.launched.append([])
        observed = 0
        for number, turn in enumerate(self._script.turns):
            self._ahead = self._script.turns[number:]
            for event in self._script.session.events[observed : turn.step.start]:
                self._guesser.observe(event)
            observed = turn.step.start
            self._think(turn)
            self._act(turn)
        self._drop_all()
        self._totals.task_seconds += self._now

    def _think(self, turn: Turn) -> None:
        """Launch what is guessed at the start and on the way, each list until the next or the end of the turn."""
        self._totals.launched[-1].append(0)
        self._began_at, ends_at = self._now, self._now + turn.seconds
        later = [o for o in self._guesser.during(turn.step, turn.seconds) if o[0] < turn.seconds]
        self._tell_ended()
        self._wait_with(self._guesser.guess(turn.step, self._world.guesses))
        for at, predictions in sorted(later, key=lambda o: o[0]):
            self._run_until(self._began_at + at, turn)
            self._wait_with(predictions)
        self._run_until(ends_at, turn)
        self._wait_with(())

    def _wait_with(self, predictions: Sequence[Prediction]) -> None:
        """What is admitted of these takes the place of what waits."""
        for _ in self._waiting:
            self._refuse(Refused.NO_FREE_SLOT)
        self._waiting = self._admitted(predictions, self._now - self._began_at)

    def _run_until(self, until: float, turn: Turn) -> None:
        """Start what waits as slots become free; what ends on the way may lead to other guesses."""
        self._start()
        while (moment := min([at for at in self._slots_free_at if at > self._now], default=until)) < until:
            self._now = moment
            if self._tell_ended():
                self._wait_with(self._guesser.guess(turn.step, self._world.guesses))
            self._start()
        self._now = until

    def _tell_ended(self) -> bool:
        """Hand the guesser the results of runs that have ended. True if it wants to guess again."""
        ended = [key for key in self._running if key in self._held and self._held[key].ends_at <= self._now]
        self._running = [key for key in self._running if key in self._held and key not in ended]
        wishes = [self._guesser.ended(event) for key in ended if (event := self._found_by(key)) is not None]
        return any(wishes)

    def _found_by(self, key: Identity) -> Event | None:
        """The call that will ask for just this before the world changes, and its recorded result."""
        for turn in self._ahead:
            for ask, event in zip(turn.asks, turn.step.calls, strict=True):
                if ask.nature is Nature.CHANGES:
                    return None
                if ask.key == key:
                    return event
        return None

    def _admitted(self, predictions: Sequence[Prediction], elapsed_seconds: float) -> list[Identity]:
        reads: dict[Identity, Prediction] = {}
        for prediction in filter(self._may_run, predictions):
            reads.setdefault(self._key(prediction.call), prediction)
        if not self._world.is_priced:
            return [key for key in reads if key not in self._held]
        keys = {repr(key): key for key in reads}
        bids = [self._bid(text, reads[key], elapsed_seconds) for text, key in keys.items()]
        slack = Slack(free_slots=len(bids), held=frozenset(map(repr, self._held)))
        verdicts = admit(bids, slack, self._world.tools, min_probability=self._world.min_probability)
        for verdict in verdicts:
            if verdict.refused is not None:
                self._refuse(verdict.refused)
        return [keys[verdict.bid.fingerprint] for verdict in verdicts if verdict.admitted]

    def _bid(self, fingerprint: str, prediction: Prediction, elapsed_seconds: float) -> Bid:
        if elapsed_seconds:
            remaining = max(LEAST_REMAINING_SECONDS, prediction.expected_use_seconds - elapsed_seconds)
            prediction = replace(prediction, expected_use_seconds=remaining)
        traits = self._world.traits(prediction.call.tool)
        return bid_for(prediction, traits, fingerprint, slot_price=self._world.slot_price)

    def _may_run(self, prediction: Prediction) -> bool:
        """False, and counted, for what may change something and for a part whose whole is held."""
        tool, arguments = prediction.call.tool, prediction.call.arguments
        traits = self._world.traits(tool)
        if not traits.may_run_early(arguments):
            self._refuse(Refused.WRITES)
            return False
        whole = traits.whole_of(arguments)
        if whole is not None and traits.identity(whole) in self._held:
            self._refuse(Refused.ALREADY_HELD)
            return False
        return True

    def _refuse(self, reason: Refused) -> None:
        self._totals.refused[reason] = self._totals.refused.get(reason, 0) + 1

    def _start(self) -> None:
        """Give free slots to what waits, in order."""
        slots = self._slots_free_at
        while self._waiting and min(slots) <= self._now:
            key = self._waiting.pop(0)
            ends_at = self._now + seconds_of(key, self._script.session, self._world)
            slots[slots.index(min(slots))] = ends_at
            self._held[key] = _Launch(self._now, ends_at)
            self._running.append(key)
            self._totals.launched[-1][-1] += 1

    def _key(self, call: ToolCall) -> Identity:
        return self._world.traits(call.tool).identity(call.arguments)

    def _act(self, turn: Turn) -> None:
        together: list[Ask] = []
        for ask in turn.asks:
            if ask.nature is not Nature.CHANGES:
                together.append(ask)
                continue
            self._wait_for(together)
            together = []
            self._drop_all()
            self._now += ask.seconds
        self._wait_for(together)

    def _wait_for(self, asks: Sequence[Ask]) -> None:
        """Side by side: the longest wait for a read is exposed."""
        reads = [ask for ask in asks if ask.nature is Nature.READS]
        exposed = max(map(self._wait, reads), default=0.0)
        self._now += max([exposed, *[ask.seconds for ask in asks if ask.nature is Nature.LOCAL]])
        self._totals.reads += len(reads)
        self._totals.exposed_tool_seconds += exposed
        self._totals.serial_tool_seconds += max((ask.seconds for ask in reads), default=0.0)

    def _wait(self, ask: Ask) -> float:
        launch = self._held.pop(ask.key, None)
        if launch is None and ask.whole is not None:
            launch = self._held.pop(ask.whole, None)
        if launch is None:
            return ask.seconds
        self._totals.hits += 1
        return min(ask.seconds, max(0.0, launch.ends_at - self._now))

    def _drop_all(self) -> None:
        for launch in self._held.values():
            self._totals.wasted_seconds += min(launch.ends_at, self._now) - launch.started_at
        self._held.clear()
        self._slots_free_at = [min(at, self._now) for at in self._slots_free_at]
