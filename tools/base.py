"""What a tool is: its call, its declared policy, its result, and the world it may touch.

Errors::

    ToolError               anything a tool refuses or fails at; the agent is told its message
    ├── InvalidArguments    the arguments do not fit the tool's schema
    ├── UnknownTool         no tool of that name; the message lists those there are
    ├── Forbidden           outside the working directory, a private address, a shell, a write by SQL
    └── ToolFailed          the tool is out of order, whatever it was asked for; the errors breaker counts these alone
        ├── NotAuthorized   the other side refused our credentials; guesses of the tool stop, calls go on
        ├── ToolTimeout     the tool used up its own time limit
        └── Unreachable     what the tool depends on does not answer
    ToolStopped             should_stop() became true; nobody waits for a result any more
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from tools.canonical import canonical_json
from tools.mcp_servers import CommandHost


class ToolError(Exception):
    """A tool's own refusal or failure. The agent sees the message as the call's result, ok=False."""


class InvalidArguments(ToolError):
    """The arguments do not fit the tool's schema; the message names the argument and what is expected."""


class UnknownTool(ToolError):
    """There is no tool of that name; the message lists those there are."""


class Forbidden(ToolError):
    """The call asks for something the tool's guard does not allow; the message says what is."""


class ToolFailed(ToolError):
    """The tool is out of order: an error that says nothing about what was asked for."""

    failure: ClassVar[str] = "failed"
    """One word for `ToolResult.failure`."""


class NotAuthorized(ToolFailed):
    """The other side refused what the tool signs in with."""

    failure = "auth"


class ToolTimeout(ToolFailed):
    """The tool used up its own time limit."""

    failure = "timeout"


class Unreachable(ToolFailed):
    """What the tool depends on does not answer: a server that is down, a world that is not there."""

    failure = "unreachable"


class ToolStopped(Exception):
    """Raised by a cooperative tool once `should_stop()` is true. It never reaches an agent."""


class SideEffect(StrEnum):
    """What a call may do to the world. Only NONE may ever run before it is asked for."""

    NONE = "none"
    IDEMPOTENT_WRITE = "idempotent_write"
    WRITE = "write"
    UNKNOWN = "unknown"

    @property
    def may_repeat(self) -> bool:
        """True if running the call again after a crash cannot change the world a second time."""
        return self in (SideEffect.NONE, SideEffect.IDEMPOTENT_WRITE)


@dataclass(frozen=True)
class ToolPolicy:
    """What a tool declares about itself. Times in seconds."""

    effect: SideEffect = SideEffect.UNKNOWN
    open_world: bool = False
    """True if the arguments leave this machine: speculating then tells an outside party something."""
    cosmetic_arguments: frozenset[str] = frozenset()
    """Arguments that do not change the work. All others are identity arguments, also those nobody classified."""
    covers: frozenset[str] = frozenset()
    """A call without these arguments (the whole) covers one with them (a part), as far as the tool's `project` says."""
    shell_argument: str = ""
    """The argument that holds a shell command line: guesses of it are compared after parsing."""
    expected_seconds: float = 1.0
    timeout_seconds: float = 60.0
    max_parallel: int = 4
    """So many calls the other side bears at once; guesses see the tool as busy from then on."""
    reserved: int = 1
    """Of those, how many guesses leave to real calls."""
    min_interval_seconds: float = 0.0
    scope: str = ""
    """The name of a state that calls of this tool read or change beyond their session's own world, in whatever session:
    tools of one scope share it. A change in one session ends what others have guessed about it."""
    ttl_seconds: float = 60.0
    """How long a speculated result may be held before it is too old to serve."""
    warm_up_seconds: float = 0.05
    """About how long a warm-up takes, and about what it spares the call that follows. Of no matter without one."""


@dataclass(frozen=True)
class ToolCall:
    """A tool's name, as the model says it, and its arguments (a JSON object)."""

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def fingerprint(self, policy: ToolPolicy) -> str:
        """Hex SHA-256 over tool and canonical JSON of the identity arguments: equal exactly for identical work."""
        identity = {name: value for name, value in self.arguments.items() if name not in policy.cosmetic_arguments}
        return hashlib.sha256(f"{self.tool}\n{canonical_json(identity)}".encode()).hexdigest()


@dataclass(frozen=True)
class Quota:
    """How many calls the other side still takes, and after how many seconds it counts anew; None where it did not say."""

    left: float
    resets_in_seconds: float | None = None


@dataclass(frozen=True)
class ToolResult:
    """What came back: text for the model and, where there is one, the same as a JSON value.

    `failure`: the word of a ToolFailed, or "crashed"; empty where the tool did its work, an answer such as "there is no
    such record" included. `quota`: what the other side said is left of it. The model is told of neither.

    `blocks`: the content blocks of an MCP server's answer as they came, where some are no text, for whoever asked by MCP.
    `content` has their texts, and says of each other one that it is there.
    """

    ok: bool
    content: str
    structured: Any = None
    failure: str = ""
    quota: "Quota | None" = None
    blocks: Sequence[Mapping[str, Any]] = ()

    def to_json(self) -> dict[str, Any]:
        told = {"ok": self.ok, "content": self.content, "structured": self.structured}
        return {**told, "blocks": list(self.blocks)} if self.blocks else told

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "ToolResult":
        return ToolResult(
            ok=bool(value["ok"]),
            content=str(value["content"]),
            structured=value.get("structured"),
            blocks=tuple(value.get("blocks", ())),
        )


def _never_stop() -> bool:
    return False


@dataclass(frozen=True)
class ToolContext:
    """The world one call may touch, and how it learns that nobody waits any more."""

    root: Path
    """The session's working directory; files outside it do not exist for a tool."""
    database_url: str = ""
    """PostgreSQL URL of the records, empty where the world has none."""
    schema: str = ""
    """The schema that holds this session's own copy of records and documents."""
    repeat: int = 0
    """How often this session asked for the same call before this one."""
    network_latency_seconds: float = 0.0
    """Added by network-like tools where the demo stands for a network; 0 elsewhere. Stated beside the tool."""
    allowed_private_hosts: frozenset[str] = frozenset()
    """Pairs such as "127.0.0.1:8123" that fetch_page may reach although their address is private."""
    servers_file: Path | None = None
    """Where the MCP servers are told, for tools of those."""
    commands: CommandHost | None = None
    """What runs those of them that are commands."""
    should_stop: Callable[[], bool] = _never_stop
    """Cooperative tools ask this at least every 100 ms and raise ToolStopped."""


class Tool(ABC):
    """One tool. To add one, copy the nearest neighbour in tools/builtin/ and name it in catalog.py."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON Schema of the arguments object."""
    policy: ToolPolicy
    credentials: str = ""
    """Hex SHA-256 of what the tool signs in with; empty where it does not. Other credentials may be shown other things."""
    volatile: ClassVar[frozenset[str]] = frozenset()
    """Keys anywhere in `structured` whose values differ from run to run (timings, dates)."""
    warms_by: ClassVar[str] = ""
    """What its warm-up does, for whoever decides whether it may run before a call was asked for; empty without one."""

    @abstractmethod
    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Do it. Raises ToolError for the agent to read, ToolStopped when asked to stop."""

    def effect_of(self, arguments: Mapping[str, Any]) -> SideEffect:
        """The effect of this very call, never weaker than it may turn out: an `ls` is not an `rm`."""
        return self.policy.effect

    def project(
        self, whole: ToolResult, whole_arguments: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> ToolResult | None:
        """The result of a part out of the result of a whole, or None where that is not exact. Pure.

        `whole` is as it was stored, perhaps cut: see running.py. `arguments` fit the schema.
        """
        return None

    def warm_up_of(self, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Arguments of the warm-up for this call, which many calls may share; None where it has none. Pure.

        `arguments` fit the schema. Of what reaches an outside party the warm-up tells no more than it needs.
        """
        return None

    def warm_up(self, arguments: Mapping[str, Any], context: ToolContext) -> None:
        """Make a later `run` quicker and change nothing, given what `warm_up_of` returned. Raises what `run` raises."""
        raise NotImplementedError(f"{self.name} has no warm-up.")

    @property
    def projects(self) -> bool:
        """False if no part is ever had of a whole: then `covers` only tells how the tool is asked."""
        return type(self).project is not Tool.project

    @cached_property
    def definition(self) -> dict[str, Any]:
        """What an approval pins: name, description, schema and annotations."""
        annotations = {
            "effect": str(self.policy.effect),
            "open_world": self.policy.open_world,
            "cosmetic_arguments": sorted(self.policy.cosmetic_arguments),
        }
        if self.policy.covers:  # only there, so that the approvals of all other tools hold
            annotations["covers"] = sorted(self.policy.covers)
        if self.policy.scope:
            annotations["scope"] = self.policy.scope
        if self.warms_by:
            annotations["warms_by"] = self.warms_by
        return {
            "name": self.name,
            "description": self.description,
            "parameters": dict(self.parameters),
            "annotations": annotations,
        }

    @cached_property
    def definition_hash(self) -> str:
        """Hex SHA-256 of the canonical JSON of `definition`."""
        return hashlib.sha256(canonical_json(self.definition).encode()).hexdigest()


def without_volatile(value: Any, volatile: frozenset[str]) -> Any:
    """`value` with every volatile key removed at any depth: what must be equal between two runs."""
    if isinstance(value, Mapping):
        return {key: without_volatile(item, volatile) for key, item in value.items() if key not in volatile}
    if isinstance(value, (list, tuple)):
        return [without_volatile(item, volatile) for item in value]
    return value
