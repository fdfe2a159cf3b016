"""A model that is no model: a script decides, and its words stream at a stated pace. Labelled as scripted everywhere.

The script is a pure function of the conversation: it decides from what the tools really returned. Only the time that
decoding takes is acted out, so that a demo shows what speculation hides behind it.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from speculation.agent.types import (
    ArgumentsDelta,
    ArgumentsSealed,
    FirstToken,
    Message,
    ModelEvent,
    ModelStream,
    RequestedCall,
    TextDelta,
    ToolNamed,
    ToolSpec,
    TurnEnded,
)
from tools.base import ToolCall


@dataclass(frozen=True)
class Turn:
    """What the script says next. No calls: it is the answer."""

    text: str
    calls: Sequence[ToolCall] = ()


Script = Callable[[Sequence[Message]], Turn]

CHARACTERS_PER_TOKEN = 4
"""The usual rule of thumb for English text and JSON."""


@dataclass
class ScriptedModel:
    """Streams a script's turns. Pace: `prefill_seconds` before the first token, then `tokens_per_second`.

    Tokens come when they are due, however long the listener took over the last one, as they would from a real endpoint.
    """

    script: Script
    name: str = "scripted"
    tokens_per_second: float = 25.0
    prefill_seconds: float = 0.6
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    is_scripted: bool = field(default=True, init=False)

    def stream(self, turn: int, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> ModelStream:
        due_at = self.clock() + self.prefill_seconds
        said = self.script(messages)
        calls = [RequestedCall(f"{turn}.{i}", call.tool, call.arguments) for i, call in enumerate(said.calls)]
        self._wait_until(due_at)
        yield FirstToken()
        tokens = 0
        for event, is_token in _events(said.text, calls):
            tokens += is_token
            self._wait_until(due_at + tokens / self.tokens_per_second)
            yield event
        usage = {"completion_tokens": tokens}
        yield TurnEnded(said.text, tuple(calls), finish_reason="tool_calls" if calls else "stop", usage=usage)

    def _wait_until(self, due_at: float) -> None:
        if (seconds := due_at - self.clock()) > 0:
            self.sleep(seconds)


def _events(text: str, calls: Sequence[RequestedCall]) -> Iterator[tuple[ModelEvent, bool]]:
    """Every event of a turn but the first and the last, and whether decoding it took a token's time."""
    for piece in _tokens(text):
        yield TextDelta(piece), True
    for index, call in enumerate(calls):
        yield ToolNamed(index, call.tool), True
        so_far = ""
        for piece in _tokens(json.dumps(call.arguments, ensure_ascii=False)):
            so_far += piece
            yield ArgumentsDelta(index, call.tool, so_far), True
        yield ArgumentsSealed(index, call), False


def _tokens(text: str) -> list[str]:
    return re.findall(f".{{1,{CHARACTERS_PER_TOKEN}}}", text, flags=re.DOTALL)
