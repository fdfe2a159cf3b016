"""A dry run of an edit: the agent's last sessions, predicted and replayed with the patterns as stored and as edited.

Nothing is stored and nothing runs: logs are read, and the engine's own replay (engine/replay.py) launches what either
side would have guessed, on as many slots as it always has, each call as long as its tool usually takes. Whether a tool is
approved is not looked at. The stored patterns have learned from these very sessions: the sides can be compared with each
other, neither is a forecast.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from speculation.engine.guessing import PatternGuesser
from speculation.engine.identity import Identity
from speculation.engine.prediction import Predictor
from speculation.engine.replay import Totals, replay
from speculation.engine.scheduling import is_likely_enough
from speculation.engine.script import RecordedSession, Script, Turn, World, write_script
from speculation.engine.steps import Step
from speculation.engine.types import Event, EventKind, Prediction
from speculation.history import events_of
from speculation.learning import as_decided
from speculation.models import Origin, PatternRecord, Session
from speculation.pattern_edits import Word
from speculation.toolbox import Toolbox
from tools.base import ToolCall, ToolError

SESSIONS_OFFERED = (5, 10, 20)
LONGEST_LOG = 2000
"""Entries; sessions with more are left out, since somebody waits for the answer."""
MOST_CHANGES = 40
LEAST_MOVE = 0.005
"""A probability that moved by less is as it was."""


class TrialRefused(Exception):
    """It cannot be tried; the message says why."""


@dataclass(frozen=True)
class Side:
    """One session as one side would have guessed it. Seconds: of the agent waiting, of workers for nothing."""

    launches: int
    hits: int
    exposed_seconds: float
    wasted_seconds: float

    @property
    def misses(self) -> int:
        return self.launches - self.hits


@dataclass(frozen=True)
class Moved:
    """A guess that the edit changes, at the start of a turn, and that is likely enough to be run on one side at least.

    None: that side does not name it among its five best. `came`: it was asked for in this turn, or in a later one before the world changed.
    """

    turn: int
    call: ToolCall
    before: float | None
    after: float | None
    came: bool
    was_launched: bool
    is_launched: bool


@dataclass(frozen=True)
class Tried:
    """One session, both sides."""

    session: Session
    before: Side
    after: Side
    moved: Sequence[Moved]


@dataclass(frozen=True)
class Trial:
    """The newest session first."""

    tried: Sequence[Tried]

    @property
    def before(self) -> Side:
        return _sum([one.before for one in self.tried])

    @property
    def after(self) -> Side:
        return _sum([one.after for one in self.tried])

    @property
    def moved(self) -> int:
        return sum(len(one.moved) for one in self.tried)

    @property
    def shown(self) -> list[tuple[Tried, Moved]]:
        """The first of what moved."""
        return [(one, moved) for one in self.tried for moved in one.moved][:MOST_CHANGES]


def _sum(sides: Sequence[Side]) -> Side:
    return Side(
        sum(side.launches for side in sides),
        sum(side.hits for side in sides),
        sum(side.exposed_seconds for side in sides),
        sum(side.wasted_seconds for side in sides),
    )


def try_edit(pattern: PatternRecord, word: Word, most_sessions: int) -> Trial:
    """What these override columns would change. Raises TrialRefused where a tool of the agent is not there any more."""
    try:
        traits = Toolbox.of(pattern.agent).traits()
    except ToolError as missing:
        raise TrialRefused(f"It cannot be tried: {missing}") from missing
    stored, edited = _both(pattern, word)
    world = World(traits, lambda key: traits[key[0]].expected_seconds if key[0] in traits else 1.0)
    sides = Predictor(stored, traits), Predictor(edited, traits)
    return Trial([_try(session, *sides, world) for session in _latest(pattern, most_sessions)])


def _both(pattern: PatternRecord, word: Word) -> tuple[list[Any], list[Any]]:
    """All patterns of the agent, as they are and with this one edited."""
    rows = list(PatternRecord.objects.filter(agent=pattern.agent_id).order_by("pk"))
    stored = [as_decided(row) for row in rows]
    for row in rows:
        if row.pk == pattern.pk:
            row.enabled, row.probability_override = word.enabled, word.probability_override
            row.mapping_override = word.mapping_override
    return stored, [as_decided(row) for row in rows]


def _latest(pattern: PatternRecord, most: int) -> list[Session]:
    ended = Session.objects.filter(agent=pattern.agent_id, ended_at__isnull=False, last_seq__lte=LONGEST_LOG)
    return list(ended.exclude(origin=Origin.REPLAY).order_by("-ended_at", "pk")[:most])


def _try(session: Session, before: Predictor, after: Predictor, world: World) -> Tried:
    script = _script(events_of(session), world)
    was, old = _replay(script, before, world)
    is_now, new = _replay(script, after, world)
    turns = zip(script.turns, old, new, strict=True)
    moved = [one for turn, olds, news in turns for one in _moved(script, turn, olds, news, world)]
    return Tried(session, was, is_now, moved)


def _script(events: Sequence[Event], world: World) -> Script:
    thought = {
        index: event.ended_at - event.started_at
        for index, event in enumerate(events)
        if event.kind == EventKind.LLM and event.ended_at > event.started_at
    }
    return write_script(RecordedSession(events, thought), world)


class _Noting(PatternGuesser):
    """Remembers what it guessed, a list a turn."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__(predictor)
        self.noted: list[list[Prediction]] = []

    def guess(self, step: Step, k: int) -> list[Prediction]:
        self.noted.append(super().guess(step, k))
        return self.noted[-1]


def _replay(script: Script, predictor: Predictor, world: World) -> tuple[Side, list[list[Prediction]]]:
    guesser = _Noting(predictor)
    totals: Totals = replay([script], lambda number: guesser, world)
    return Side(totals.launches, totals.hits, totals.exposed_tool_seconds, totals.wasted_seconds), guesser.noted


def _moved(
    script: Script, turn: Turn, old: Sequence[Prediction], new: Sequence[Prediction], world: World
) -> Iterator[Moved]:
    number = _number(script, turn)
    before, after = ({_identity(p, world): p for p in side} for side in (old, new))
    for key, guess in (before | after).items():
        was, would_be = before.get(key), after.get(key)
        one = Moved(
            number,
            guess.call,
            was and was.probability_before_write,
            would_be and would_be.probability_before_write,
            _came(guess.call, turn, world),
            _is_launched(was, world),
            _is_launched(would_be, world),
        )
        has_moved = one.before is None or one.after is None or abs(one.before - one.after) >= LEAST_MOVE
        if has_moved and (one.was_launched or one.is_launched):
            yield one


def _identity(guess: Prediction, world: World) -> Identity:
    return world.traits(guess.call.tool).identity(guess.call.arguments)


def _is_launched(guess: Prediction | None, world: World) -> bool:
    return guess is not None and is_likely_enough(guess, world.traits(guess.call.tool))


def _number(script: Script, turn: Turn) -> int:
    """The turn's, as its session counts."""
    return script.session.events[turn.step.start].turn


def _came(call: ToolCall, turn: Turn, world: World) -> bool:
    traits = world.traits(call.tool)
    return any(
        asked.tool == call.tool and traits.is_answered_by(asked.arguments, call.arguments)
        for _, asked in turn.step.soon
    )
