"""What the loop, the models and their host say to each other. Plain Python; times are the host's business.

A model is asked with the whole conversation and answers with a stream of `ModelEvent`s that ends in exactly one
`TurnEnded`. The host (speculation/runtime.py, or a test) hears every event while it streams, runs the calls, and
remembers everything: the loop itself keeps only the conversation.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol


@dataclass(frozen=True)
class RequestedCall:
    """One call as the model asked for it. `call_id` is ours: "turn.index"; the provider's is kept beside it."""

    call_id: str
    tool: str
    arguments: Mapping[str, Any]
    provider_call_id: str = ""
    problem: str = ""
    """Why the arguments could not be read (no JSON object); such a call is answered with this, never run."""


@dataclass(frozen=True)
class Message:
    """One entry of the conversation. Roles as in chat completions; a "tool" message answers one call."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    calls: Sequence[RequestedCall] = ()
    call_id: str = ""
    tool: str = ""
    ok: bool = True
    structured: Any = None
    attached: bool = False
    """The answer has content blocks that are no text; they stay with its job."""


@dataclass(frozen=True)
class ToolSpec:
    """A tool as a model sees it."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class FirstToken:
    """The prompt has been read; decoding began."""


@dataclass(frozen=True)
class TextDelta:
    text: str


@dataclass(frozen=True)
class ThinkingDelta:
    """What the model thinks before it speaks, from servers that stream it. It is no part of the conversation."""

    text: str


@dataclass(frozen=True)
class ToolNamed:
    """The tool's name of the call at `index` is known."""

    index: int
    tool: str


@dataclass(frozen=True)
class ArgumentsDelta:
    """`text` is all of the arguments' JSON that has streamed so far, not the increment."""

    index: int
    tool: str
    text: str


@dataclass(frozen=True)
class ArgumentsSealed:
    """The arguments of the call at `index` are complete, while other output may still stream."""

    index: int
    call: RequestedCall


@dataclass(frozen=True)
class TurnEnded:
    """The whole assistant turn. No calls means that it is an answer (or a question to the user)."""

    text: str
    calls: Sequence[RequestedCall] = ()
    finish_reason: str = "stop"
    usage: Mapping[str, int] = field(default_factory=dict)


ModelEvent = FirstToken | TextDelta | ThinkingDelta | ToolNamed | ArgumentsDelta | ArgumentsSealed | TurnEnded

ModelStream = Generator[ModelEvent, None, None]
"""One turn as it streams. Closing it stops the request."""


class Model(Protocol):
    """Anything that continues a conversation."""

    name: str
    is_scripted: bool

    def stream(self, turn: int, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> ModelStream:
        """Raises ModelError. `turn` counts from 1."""
        ...


class User(Protocol):
    """Who answers when the model speaks without calling a tool."""

    def reply(self, messages: Sequence[Message]) -> str | None:
        """The user's next words, or None: the session ends with the model's last text as its answer."""
        ...


class Host(Protocol):
    """Whoever remembers the session and runs its calls. Each method may raise SessionStopped."""

    def user_said(self, text: str) -> None: ...

    def turn_started(self, turn: int) -> None: ...

    def streamed(self, turn: int, event: ModelEvent) -> None:
        """Every event but the last, as it arrives."""
        ...

    def turn_ended(self, turn: int, ended: TurnEnded) -> None:
        """Stored before any of its calls is requested."""
        ...

    def answer_calls(self, turn: int, calls: Sequence[RequestedCall]) -> Sequence[Message]:
        """One "tool" message a call, in the calls' order."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How a session ended: with an answer, or failed with an error that says what to do.

    `over_at`: when, where that was before now: what came after was only a wait for more.
    """

    status: Literal["succeeded", "failed"]
    answer: str | None = None
    error: str | None = None
    over_at: datetime | None = None


class ModelError(Exception):
    """The model endpoint failed; the message says what to do. `retry_after_seconds` where it is worth waiting."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class SessionStopped(Exception):
    """The host wants the loop to end now: cancelled, timed out, or another worker owns the session."""
