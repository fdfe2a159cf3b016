"""A recorded session made ready to be replayed: cut into turns, every call judged and timed once for all arms. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from speculation.engine.identity import Identity
from speculation.engine.scheduling import MIN_PROBABILITY
from speculation.engine.steps import Step, cut_into_steps
from speculation.engine.types import Event, ToolTraits
from tools import recorded
from tools.base import ToolCall

DEFAULT_TURN_SECONDS = 3.0
MAX_TURN_SECONDS = 20.0


class Nature(StrEnum):
    """What a call does: reads may run early and wait together, changes are barriers, local ones are neither."""

    READS = "reads"
    CHANGES = "changes"
    LOCAL = "local"


@dataclass(frozen=True)
class RecordedSession:
    """`turn_seconds`: how long the model took, by the number of the event its turn begins with; others took the default.

    `call_seconds`: how long calls took here; those that are absent take what the world says.
    """

    events: Sequence[Event]
    turn_seconds: Mapping[int, float] = field(default_factory=dict)
    call_seconds: Mapping[Identity, float] = field(default_factory=dict)


@dataclass(frozen=True)
class World:
    """What the replay knows of the tools. `seconds_of` is the duration of a call, asked for or guessed."""

    tools: Mapping[str, ToolTraits]
    seconds_of: Callable[[Identity], float]
    slots: int = 4
    guesses: int = 5
    min_probability: float = MIN_PROBABILITY
    slot_price: float = 0.1
    """Nothing else competes for the slots here."""
    is_priced: bool = True
    """False: every read that is guessed starts, in the guesser's own order, as long as a slot is free."""

    def traits(self, tool: str) -> ToolTraits:
        """What is not known changes the world."""
        return self.tools.get(tool) or ToolTraits(tool, reads_only=False, changes_world=True)

    def nature(self, call: ToolCall) -> Nature:
        traits = self.traits(call.tool)
        if traits.may_change_world(call.arguments):
            return Nature.CHANGES
        return Nature.READS if traits.may_run_early(call.arguments) else Nature.LOCAL


@dataclass(frozen=True)
class Ask:
    """A call as it was asked for. `whole`: the call that covers it, where it is a part."""

    call: ToolCall
    nature: Nature
    key: Identity
    whole: Identity | None
    seconds: float


@dataclass(frozen=True)
class Turn:
    """One model turn and what it asks for, in listed order."""

    step: Step
    seconds: float
    asks: Sequence[Ask]


@dataclass(frozen=True)
class Script:
    """A recorded session made ready for any number of replays."""

    session: RecordedSession
    turns: Sequence[Turn]


def drawn_seconds(seed: int) -> Callable[[Identity], float]:
    """Durations drawn once per distinct call, uniform in the tool's stated range."""
    known: dict[Identity, float] = {}

    def draw(key: Identity) -> float:
        if key not in known:
            known[key] = recorded.drawn_seconds(key[0], repr(key), seed)
        return known[key]

    return draw


def write_script(session: RecordedSession, world: World) -> Script:
    """Cut the session into turns and judge its calls, once for all arms."""
    steps = cut_into_steps(session.events, lambda event: world.traits(event.tool).may_change_world(event.arguments))
    return Script(session, [_turn(step, session, world) for step in steps])


def _turn(step: Step, session: RecordedSession, world: World) -> Turn:
    seconds = min(session.turn_seconds.get(step.start, DEFAULT_TURN_SECONDS), MAX_TURN_SECONDS)
    return Turn(step, seconds, [_ask(ToolCall(c.tool, c.arguments), session, world) for c in step.calls])


def _ask(call: ToolCall, session: RecordedSession, world: World) -> Ask:
    traits = world.traits(call.tool)
    key, whole = traits.identity(call.arguments), traits.whole_of(call.arguments)
    whole_key = None if whole is None else traits.identity(whole)
    return Ask(call, world.nature(call), key, whole_key, seconds_of(key, session, world))


def seconds_of(key: Identity, session: RecordedSession, world: World) -> float:
    """How long the call takes in this session, asked for or guessed."""
    here = session.call_seconds.get(key)
    return world.seconds_of(key) if here is None else here
