"""Scoring predictions on recorded sessions by the protocol of the engine's design, section 4. Pure; the clock is an argument.

`judge` follows a session and predicts before each model turn; what the turn then called is looked at only afterwards.
`Scores` adds up any number of judged turns. A turn that calls a tool is a hit at k if its *first listed* call is among the
top k: the tool, and a guess that answers the call (identity arguments, or the whole that it is a part of).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from speculation.engine.lookback import Lookback
from speculation.engine.reliability import Point, brier_skill, equal_mass_bins, expected_calibration_error
from speculation.engine.script import Nature, Script, Turn, World
from speculation.engine.types import Abstention, Event, Prediction
from tools.base import ToolCall

RANKS = (1, 3, 5)
GUESSES = 5
LOSS_GUESSES = 20
"""A call beyond this rank counts as not derived."""
MISSED_AT = 3


class Follower(Protocol):
    """What is judged: a SessionPredictor, or anything that behaves like one."""

    def observe(self, event: Event) -> None: ...

    def predict(self, k: int, only_reads: bool = False) -> tuple[list[Prediction], list[Abstention]]: ...


@dataclass(frozen=True)
class Judged:
    """One model turn: what was predicted before it, what it called, and how the two compare."""

    turn: Turn
    number: int
    """The turn's number in the recording."""
    predictions: Sequence[Prediction]
    launchable: list[Prediction]
    """The calls that may run early, as the replay is to launch them."""
    abstentions: Sequence[Abstention]
    rank: int | None
    """Place of the first listed call among the predictions, from 1."""
    any_rank: int | None
    """The best place of any call of the turn."""
    loss: str = ""
    """Why the first call was missed at three; empty where it was not."""

    @property
    def first(self) -> ToolCall | None:
        return self.turn.asks[0].call if self.turn.asks else None

    @property
    def is_read(self) -> bool:
        """True if the first listed call may run before it is asked for."""
        return bool(self.turn.asks) and self.turn.asks[0].nature is Nature.READS

    @property
    def point(self) -> Point:
        """The top prediction's P(next), 0 where there is none, and whether that call came."""
        return (self.predictions[0].probability if self.predictions else 0.0), self.rank == 1


def judge(
    follower: Follower, script: Script, world: World, clock: Callable[[], float], took: Callable[[float], object]
) -> Iterator[Judged]:
    """Every model turn of the session. `took` is told the seconds of each prediction."""
    events, observed, past = script.session.events, 0, Lookback()
    for turn in script.turns:
        for event in events[observed : turn.step.start]:
            follower.observe(event)
            past.observe(event)
        observed = turn.step.start
        started_at = clock()
        predictions, abstentions = follower.predict(GUESSES)
        predicted_at = clock()
        launchable, _ = follower.predict(world.guesses, only_reads=True)
        took(predicted_at - started_at)
        took(clock() - predicted_at)
        yield _compare(turn, events[turn.step.start].turn, predictions, launchable, abstentions, follower, world, past)


def _compare(
    turn: Turn,
    number: int,
    predictions: Sequence[Prediction],
    launchable: list[Prediction],
    abstentions: Sequence[Abstention],
    follower: Follower,
    world: World,
    past: Lookback,
) -> Judged:
    ranks = [rank_of(ask.call, predictions, world) for ask in turn.asks]
    rank = ranks[0] if ranks else None
    is_missed = bool(ranks) and (rank is None or rank > MISSED_AT)
    loss = _loss(turn.asks[0].call, follower, world, past) if is_missed else ""
    best = min((each for each in ranks if each is not None), default=None)
    return Judged(turn, number, predictions, launchable, abstentions, rank, best, loss)


def rank_of(call: ToolCall, predictions: Sequence[Prediction], world: World) -> int | None:
    """Place, from 1, of the first prediction whose result would serve the call."""
    traits = world.traits(call.tool)
    for rank, guess in enumerate((prediction.call for prediction in predictions), start=1):
        if guess.tool == call.tool and traits.is_answered_by(call.arguments, guess.arguments):
            return rank
    return None


def _loss(call: ToolCall, follower: Follower, world: World, past: Lookback) -> str:
    predictions, abstentions = follower.predict(LOSS_GUESSES)
    if rank_of(call, predictions, world) is not None:
        return "derived, but ranked below"
    if call.tool not in {*(p.call.tool for p in predictions), *(a.tool for a in abstentions)}:
        return "tool not predicted"
    cosmetic = world.traits(call.tool).cosmetic_arguments
    values = [value for name, value in call.arguments.items() if name not in cosmetic]
    return (
        "arguments not derived, all stood somewhere before" if past.holds(values) else "arguments not derived, some new"
    )


@dataclass
class Tally:
    """Turns that call a tool, and how many of them were met."""

    turns: int = 0
    named: int = 0
    hits: Counter[int] = field(default_factory=Counter)
    any_hits: Counter[int] = field(default_factory=Counter)

    def add(self, judged: Judged) -> None:
        assert judged.first is not None
        self.turns += 1
        self.named += bool(judged.predictions) and judged.predictions[0].call.tool == judged.first.tool
        for k in RANKS:
            self.hits[k] += judged.rank is not None and judged.rank <= k
            self.any_hits[k] += judged.any_rank is not None and judged.any_rank <= k

    def to_json(self) -> dict[str, Any]:
        """Rates as fractions of `turns`; 0 where there are none."""
        turns = self.turns or 1
        hits = {f"hit@{k}": self.hits[k] / turns for k in RANKS}
        any_hits = {f"any@{k}": self.any_hits[k] / turns for k in RANKS}
        return {"turns": self.turns, "name@1": self.named / turns, **hits, **any_hits}


@dataclass
class Losses:
    """Turns missed at three, by reason."""

    by_reason: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        return {"missed": self.by_reason.total(), **dict(self.by_reason.most_common())}


class Scores:
    """Sums over the judged turns of one source."""

    def __init__(self) -> None:
        self.model_turns = 0
        self.all, self.read_only = Tally(), Tally()
        self.by_tool: dict[str, Tally] = {}
        self.points: list[Point] = []
        self.abstained: Counter[str] = Counter()
        self.losses, self.read_only_losses = Losses(), Losses()

    def add_all(self, turns: Iterable[Judged]) -> None:
        for judged in turns:
            self.add(judged)

    def add(self, judged: Judged) -> None:
        self.model_turns += 1
        self.points.append(judged.point)
        self.abstained.update(abstention.reason for abstention in judged.abstentions)
        if judged.first is None:
            return
        self.all.add(judged)
        self.by_tool.setdefault(judged.first.tool, Tally()).add(judged)
        if judged.is_read:
            self.read_only.add(judged)
        if judged.loss:
            self.losses.by_reason[judged.loss] += 1
            if judged.is_read:
                self.read_only_losses.by_reason[judged.loss] += 1

    def to_json(self) -> dict[str, Any]:
        bins = equal_mass_bins(self.points)
        by_use = sorted(self.by_tool.items(), key=lambda item: (-item[1].turns, item[0]))
        return {
            **self.all.to_json(),
            "model_turns": self.model_turns,
            "calibration_error": expected_calibration_error(bins),
            "brier_skill": brier_skill(self.points),
            "reliability": [vars(each) for each in bins],
            "read_only": self.read_only.to_json(),
            "per_tool": {tool: tally.to_json() for tool, tally in by_use},
            "losses": {"all": self.losses.to_json(), "read_only": self.read_only_losses.to_json()},
        }
