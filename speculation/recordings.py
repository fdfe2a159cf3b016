"""A recorded run made ready to be lived again: the model's turns, the user's words, and every tool's answer.

The JSON object that `tools/recorded.py` (`seed`, `time_scale`, `answers`) and `speculation/agent/recorded.py` (`model`,
`turns`) read. `answers` stand in the order of the calls of `turns`. Pure.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from speculation.traces import Effects, TraceSession, result_of, thinking_seconds, tool_seconds
from tools.base import SideEffect, ToolCall
from tools.recorded import RecordedTool, drawn_seconds

PARAGRAPH = "\n\n"


def task_of(trace: TraceSession) -> str:
    """What the user said before the model first spoke."""
    words = []
    for event in trace.opened_events():
        if event["type"] != "user":
            break
        words.append(event["text"])
    return PARAGRAPH.join(words).strip() or trace.task


def make_recording(trace: TraceSession, effects: Effects, *, seed: int, time_scale: float) -> dict[str, Any]:
    """Times in it are unscaled; whoever reads it divides by `time_scale`."""
    return {
        "session_id": trace.session_id,
        "source": trace.source,
        "model": trace.model or trace.source,
        "seed": seed,
        "time_scale": time_scale,
        "turns": _turns(trace),
        "answers": list(_answers(trace, effects, seed)),
    }


def answer_of(recording: Mapping[str, Any]) -> str:
    """The text the session ends with: empty where the recording ends in the middle."""
    last = recording["turns"][-1]
    return "" if last["calls"] else str(last["text"])


def _turns(trace: TraceSession) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    for event in trace.opened_events():
        if event["type"] == "llm":
            _begin_turn(turns, event)
        elif turns and event["type"] == "tool":
            turns[-1]["calls"].append({"tool": event["name"], "arguments": event["arguments"]})
        elif turns:
            _hear_user(turns, event["text"])
    return turns


def _begin_turn(turns: list[dict[str, Any]], event: Mapping[str, Any]) -> None:
    """A model that wrote twice without a call or a word of the user in between wrote one turn."""
    text, seconds = event["text"], thinking_seconds(event)
    if turns and not turns[-1]["calls"] and turns[-1]["user"] is None:
        before = turns.pop()
        text, seconds = before["text"] + PARAGRAPH + text, before["seconds"] + seconds
    turns.append({"text": text, "seconds": seconds, "calls": [], "user": None})


def _hear_user(turns: list[dict[str, Any]], text: str) -> None:
    """A user who spoke right after a tool's result spoke into a pause, which is a turn without words."""
    if turns[-1]["calls"]:
        turns.append({"text": "", "seconds": 0.0, "calls": [], "user": text})
    else:
        before = turns[-1]["user"]
        turns[-1]["user"] = text if before is None else before + PARAGRAPH + text


def _answers(trace: TraceSession, effects: Effects, seed: int) -> Iterator[dict[str, Any]]:
    """One entry a call: `changes` counts the changing calls before it, `repeat` the same calls before it."""
    changes, asked = 0, Counter[str]()
    for event in trace.events:
        if event["type"] != "tool":
            continue
        tool, arguments = RecordedTool(event["name"], effects.of_tool(trace.source, event["name"])), event["arguments"]
        fingerprint = ToolCall(tool.name, arguments).fingerprint(tool.policy)
        seconds = tool_seconds(event, trace.source)
        yield {
            "fingerprint": fingerprint,
            "changes": changes,
            "repeat": asked[fingerprint],
            "seconds": drawn_seconds(tool.name, fingerprint, seed) if seconds is None else seconds,
            **result_of(event["ok"], event["result"]).to_json(),
        }
        asked[fingerprint] += 1
        changes += tool.effect_of(arguments) is not SideEffect.NONE
