"""The engine's values. All frozen; times are seconds; nothing here knows a clock, a database or a thread."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from speculation.engine.identity import Identity, identity
from tools.base import ToolCall
from tools.shell import head_of


class EventKind(StrEnum):
    USER = "user"
    LLM = "llm"
    TOOL = "tool"


class EventSignature(NamedTuple):
    """An event without its payload: what contexts are made of (PASTE, arXiv 2603.18897)."""

    kind: EventKind
    tool: str = ""
    status: str = ""

    def __str__(self) -> str:
        return f"{self.kind}" if self.kind != EventKind.TOOL else f"{self.tool}:{self.status}"


@dataclass(frozen=True)
class Event:
    """One thing that happened in a session, in the order of its end.

    `text` is what the user or the model wrote; `result` is a tool's answer as text or JSON value.
    `turn` ties tool events to the LLM turn that asked for them; calls of one turn ran side by side.
    """

    kind: EventKind
    turn: int = 0
    text: str = ""
    thinking: str = ""
    """What the model thought before it spoke, where the recording or the model shows it."""
    tool: str = ""
    status: str = ""
    """"ok" or "error" for a tool event, empty otherwise."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    result: Any = None
    started_at: float = 0.0
    ended_at: float = 0.0

    @property
    def signature(self) -> EventSignature:
        return EventSignature(self.kind, self.tool, self.status)


@dataclass(frozen=True)
class ToolTraits:
    """What the engine must know of a tool: whether guesses of it may be worth anything, and how long it takes."""

    name: str
    reads_only: bool
    """True if a call of it may run before it is asked for (an operator approved it, or effects say so)."""
    changes_world: bool
    """True if a call of it ends the life of held results."""
    expected_seconds: float = 1.0
    cosmetic_arguments: frozenset[str] = frozenset()
    covers: frozenset[str] = frozenset()
    """A call without these arguments (the whole) covers one with them (a part)."""
    shell_argument: str = ""
    """The argument that holds a shell command line: such calls are compared after parsing."""
    reads_call: Callable[[Mapping[str, Any]], bool] | None = field(default=None, compare=False)
    """Judges single calls, where some of the tool's only read and some do not, as those of a shell."""

    @property
    def repeats(self) -> bool:
        """True for tools whose calls come again as a matter of course: files read anew, commands given again."""
        return bool(self.covers or self.shell_argument)

    @cached_property
    def unimportant(self) -> frozenset[str]:
        """Arguments that a guess leaves out: those that change nothing, and those without which it covers more."""
        return self.cosmetic_arguments | self.covers

    def may_run_early(self, arguments: Mapping[str, Any]) -> bool:
        """True if this very call only reads."""
        return self.reads_only and (self.reads_call is None or self.reads_call(arguments))

    def may_change_world(self, arguments: Mapping[str, Any]) -> bool:
        """True unless this very call only reads, or the tool touches nothing that a read sees."""
        return self.changes_world and (self.reads_call is None or not self.reads_call(arguments))

    def signature(self, event: "Event") -> str:
        """The event without its payload; of a command line the kind is kept, without which all would look alike."""
        command = event.arguments.get(self.shell_argument) if self.shell_argument else None
        if not isinstance(command, str):
            return str(event.signature)
        return f"{event.tool} {head_of(command)}:{event.status}"

    def identity(self, arguments: Mapping[str, Any]) -> Identity:
        """What makes two calls of the tool the same work."""
        return identity(self.name, arguments, self.cosmetic_arguments, self.shell_argument)

    def whole_of(self, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The arguments of the call that covers this one, or None: it is a whole itself."""
        if self.covers.isdisjoint(arguments):
            return None
        return {name: value for name, value in arguments.items() if name not in self.covers}

    def is_answered_by(self, asked: Mapping[str, Any], guess: Mapping[str, Any]) -> bool:
        """True if a result of `guess` serves the call `asked`: the same work, or the whole that it is a part of."""
        wanted, whole = self.identity(guess), self.whole_of(asked)
        return self.identity(asked) == wanted or (whole is not None and self.identity(whole) == wanted)


@dataclass(frozen=True)
class Prediction:
    """One concrete call that may come next. `sources` says, per argument, where its value was taken from."""

    call: ToolCall
    probability: float
    """P(the next call of the session is this one)."""
    probability_before_write: float
    """P(this call is asked for before the next call that changes the world): what a held result is worth."""
    pattern: str = ""
    """Key of the Pattern that led to it, for the operator to read and the statistics to count."""
    expected_use_seconds: float = 0.0
    """Seconds from now until it will probably be asked for."""
    sources: Mapping[str, str] = field(default_factory=dict)
    after: tuple[ToolCall, ...] = ()
    """The calls that were supposed to come before it, with results that are known already (chains.py)."""


@dataclass(frozen=True)
class Abstention:
    """A tool that was likely but could not be made concrete, and why."""

    tool: str
    probability: float
    reason: str


class Calibration(NamedTuple):
    """Slope and offset of the log-odds, for P(next) and for P(used before the next write); see calibration.py."""

    slope: float = 1.0
    offset: float = 0.0
    soon_slope: float = 1.0
    soon_offset: float = 0.0

    def next(self, probability: float, shift: float = 0.0) -> float:
        """`shift`: of the log-odds, on top."""
        return _moved(probability, self.slope, self.offset + shift)

    def soon(self, probability: float, shift: float = 0.0) -> float:
        return _moved(probability, self.soon_slope, self.soon_offset + shift)


class Shift(NamedTuple):
    """What is added to the log-odds of P(next), and of P(used before the next write)."""

    next: float = 0.0
    soon: float = 0.0


@dataclass(frozen=True)
class Calibrations:
    """What an agent's predictions need to keep their word: by tool, "" for every other, and by the last signature."""

    tools: Mapping[str, Calibration] = field(default_factory=dict)
    situations: Mapping[str, Shift] = field(default_factory=dict)

    def of(self, tool: str, situation: str) -> Calibration:
        """For calls of the tool, of a session whose last signature is `situation`."""
        found = self.tools.get(tool) or self.tools.get("") or Calibration()
        shift = self.situations.get(situation)
        if shift is None:
            return found
        return Calibration(found.slope, found.offset + shift.next, found.soon_slope, found.soon_offset + shift.soon)

    def shown(self, tool: str) -> dict[str, Any]:
        """What stands in the statistics of the tool's row without context; situations stand in that of answering in words."""
        found: dict[str, Any] = {}
        if tool in self.tools:
            found["calibration"] = [round(number, 4) for number in self.tools[tool]]
        if not tool and self.situations:
            found["situations"] = {one: [round(number, 4) for number in shift] for one, shift in self.situations.items()}
        return found


def _moved(probability: float, slope: float, offset: float) -> float:
    if probability <= 0.0 or probability >= 1.0 or (slope == 1.0 and offset == 0.0):
        return probability
    odds = slope * (math.log(probability) - math.log1p(-probability)) + offset
    return 1.0 / (1.0 + math.exp(-max(-700.0, odds)))


@dataclass(frozen=True)
class SourceCount:
    """One symbolic source of an argument's value: how often it had a value, and how often that was the right one."""

    source: str
    """The source as text, e.g. `result(get_user).orders[*]`; parsed by mapping.py. The operator reads and edits it."""
    right: float
    available: float


@dataclass(frozen=True)
class Pattern:
    """(C, T, f, p): in context C the tool T comes next with probability p, its arguments made by mapping f.

    Counts are decayed sums, so they need not be whole. `context` is a suffix of signature texts, oldest first; the
    empty one is the unconditional row. The empty tool is the outcome "no tool: it answered".
    """

    agent: str
    context: tuple[str, ...]
    tool: str
    occurrences: float
    """How often the context was seen."""
    support: float
    """How often the tool came next in it."""
    mapping: Mapping[str, tuple[SourceCount, ...]] = field(default_factory=dict)
    statistics: Mapping[str, Any] = field(default_factory=dict)
    """Further counts that the predictor needs, as JSON: use before the next write, spread, calibration."""
    enabled: bool = True
    probability_override: float | None = None
    has_own_mapping: bool = False
    """True if an operator gave the mapping: in this context it holds alone, whatever was learned of the tool."""

    @property
    def key(self) -> str:
        """Unique within an agent; stable over minings."""
        return f"{' > '.join(self.context) or '*'} => {self.tool or 'answer'}"

    @property
    def probability(self) -> float:
        if self.probability_override is not None:
            return self.probability_override
        return self.support / self.occurrences if self.occurrences else 0.0
