"""The spans that a session's log tells of: turns of the model, runs of tools, calls that asked for them.

Moments are seconds since the session started. Filled by story.py, read by figures.py and timeline.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tools.canonical import canonical_json

WorkKey = tuple[str, str]
FREE = Decimal(0)


def work_key(tool: str, arguments: Any) -> WorkKey:
    """Equal for calls that a reader of the log can see to be the same."""
    return tool, canonical_json(arguments)


@dataclass
class Turn:
    """One request to the model. `is_abandoned`: its worker died, and a later attempt asked again.

    `is_queued`: its endpoint was full, and it waited, until `seated_at` (None: it waits still, or was given up).
    """

    number: int
    started_at: float
    is_queued: bool = False
    seated_at: float | None = None
    first_token_at: float | None = None
    ended_at: float | None = None
    named: list[tuple[float, int, str]] = field(default_factory=list)
    sealed: list[tuple[float, int, str]] = field(default_factory=list)
    text: str = ""
    tools: list[str] = field(default_factory=list)
    finish_reason: str = ""
    is_abandoned: bool = False


@dataclass
class Run:
    """One job: queued, perhaps started, perhaps asked for, ended in some way. `started_at` is its last attempt's."""

    job: str
    tool: str
    arguments: Mapping[str, Any]
    is_guess: bool
    queued_at: float
    probability: float | None = None
    utility: float | None = None
    pattern: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    is_warm_up: bool = False
    """True if it is no run of the call: it makes the call quicker and answers nobody."""
    price: Decimal = FREE
    """What a call of its tool cost when the guess was admitted."""
    first_started_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    given_up_at: float | None = None
    asked_at: float | None = None
    call_id: str = ""
    status: str = "queued"
    reason: str = ""
    attempts: int = 0

    @property
    def key(self) -> WorkKey:
        return work_key(self.tool, self.arguments)

    @property
    def is_unasked(self) -> bool:
        return self.is_guess and self.asked_at is None

    @property
    def ran_ahead(self) -> bool:
        """True if it started before anybody asked for it."""
        if not self.is_guess or self.first_started_at is None:
            return False
        return self.asked_at is None or self.first_started_at < self.asked_at

    def let_go_at(self, now: float) -> float:
        """When its worker let go of the slot, or `now` while it has not."""
        return self.ended_at if self.ended_at is not None else now


@dataclass
class Call:
    """One tool call of the agent, from asking to its answer. `foreseen_at`: first predicted exactly, in this epoch."""

    call_id: str
    turn: int
    tool: str
    arguments: Mapping[str, Any]
    effect: str
    job: str
    outcome: str
    reason: str
    asked_at: float
    returned_at: float | None = None
    ok: bool | None = None
    is_outcome_unknown: bool = False
    foreseen_at: float | None = None
    part_of: Mapping[str, Any] | None = None
    """Arguments of the whole that served it, where it asked for a part."""

    @property
    def key(self) -> WorkKey:
        return work_key(self.tool, self.arguments)

    @property
    def is_eligible(self) -> bool:
        """Only a call without effect may ever run ahead."""
        return self.effect == "none"


@dataclass
class Prediction:
    """What was expected at one moment: candidates with their verdicts, and tools that could not be made concrete."""

    at: float
    turn: int
    candidates: list[Mapping[str, Any]]
    abstained: list[Mapping[str, Any]]
