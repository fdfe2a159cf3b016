"""A real model's recorded turns and its user's recorded words, re-lived at the recorded pace.

A recording is a JSON object with the `model`'s name and its `turns`, a list of {"text", "seconds", "calls": [{"tool",
"arguments"}], "user"}: what the model wrote and called, how long that took, and what the user said next (null: nothing).
How many assistant messages the conversation has decides which turn comes next, so a session can be resumed anywhere.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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

PREFILL_SHARE = 0.2
"""The part of a turn before its first token: no recording tells it."""
PIECES_PER_SECOND = 10.0
"""Coarser than tokens, so that many sessions at once cost little."""


@dataclass
class RecordedModel:
    """Streams recorded turns, `time_scale` times as fast as they were. After the last one it has nothing to say."""

    recording: Mapping[str, Any]
    time_scale: float = 1.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    name: str = field(init=False)
    is_scripted: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.name = f"recorded {self.recording['model']}"

    def stream(self, turn: int, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> ModelStream:
        started_at = self.clock()
        said = _turn(self.recording, _turns_so_far(messages))
        seconds = said["seconds"] / self.time_scale
        calls = [
            RequestedCall(f"{turn}.{index}", call["tool"], call["arguments"])
            for index, call in enumerate(said["calls"])
        ]
        for share, event in _paced(said["text"], calls, pieces=max(1, round(seconds * PIECES_PER_SECOND))):
            self._wait_until(started_at + seconds * (PREFILL_SHARE + (1 - PREFILL_SHARE) * share))
            yield event
        yield TurnEnded(said["text"], tuple(calls), finish_reason="tool_calls" if calls else "stop")

    def _wait_until(self, due_at: float) -> None:
        if (seconds := due_at - self.clock()) > 0:
            self.sleep(seconds)


@dataclass(frozen=True)
class RecordedUser:
    """Says what the user said after each turn; once no further turn was recorded, the session has its answer."""

    recording: Mapping[str, Any]

    def reply(self, messages: Sequence[Message]) -> str | None:
        done = _turns_so_far(messages)
        if done >= len(self.recording["turns"]):
            return None
        words: str | None = _turn(self.recording, done - 1)["user"]
        return words


def _turns_so_far(messages: Sequence[Message]) -> int:
    return sum(message.role == "assistant" for message in messages)


def _turn(recording: Mapping[str, Any], index: int) -> Mapping[str, Any]:
    turns: Sequence[Mapping[str, Any]] = recording["turns"]
    return turns[index] if index < len(turns) else {"text": "", "seconds": 0.0, "calls": (), "user": None}


def _paced(text: str, calls: Sequence[RequestedCall], pieces: int) -> Iterator[tuple[float, ModelEvent]]:
    """Every event of a turn but the last, with the share of the decoding time after which it is due."""
    arguments = [json.dumps(call.arguments, ensure_ascii=False) for call in calls]
    total = len(text) + sum(map(len, arguments))
    step = max(1, -(-total // pieces))
    done = 0
    yield 0.0, FirstToken()
    for start in range(0, len(text), step):
        piece = text[start : start + step]
        done += len(piece)
        yield done / total, TextDelta(piece)
    for index, (call, written) in enumerate(zip(calls, arguments, strict=True)):
        yield done / total, ToolNamed(index, call.tool)
        for end in range(step, len(written) + step, step):
            yield (done + min(end, len(written))) / total, ArgumentsDelta(index, call.tool, written[:end])
        done += len(written)
        yield done / total, ArgumentsSealed(index, call)
