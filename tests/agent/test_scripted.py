"""The scripted model: what streams, in which order, and when."""

import itertools
from collections.abc import Sequence

import pytest

from speculation.agent.scripted import ScriptedModel, Turn
from speculation.agent.types import (
    ArgumentsDelta,
    ArgumentsSealed,
    FirstToken,
    Message,
    TextDelta,
    ToolNamed,
    TurnEnded,
)
from tools.base import ToolCall


class Clock:
    """Time that passes only by sleeping, or when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def look_then_answer(messages: Sequence[Message]) -> Turn:
    if messages[-1].role == "tool":
        return Turn(f"It says {messages[-1].content}.")
    return Turn("I look.", [ToolCall("read_file", {"path": "notes.txt"}), ToolCall("list_files", {})])


def model_at(clock: Clock) -> ScriptedModel:
    return ScriptedModel(
        look_then_answer, tokens_per_second=10, prefill_seconds=2, sleep=clock.sleep, clock=lambda: clock.now
    )


def test_text_comes_first_then_each_call_is_named_filled_and_sealed() -> None:
    events = list(model_at(Clock()).stream(3, [Message("user", "Look.")], ()))
    assert isinstance(events[0], FirstToken)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "I look."
    assert [event.tool for event in events if isinstance(event, ToolNamed)] == ["read_file", "list_files"]
    filled = [event.text for event in events if isinstance(event, ArgumentsDelta) and event.index == 0]
    assert filled[-1] == '{"path": "notes.txt"}'
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(filled))
    sealed = [event.call for event in events if isinstance(event, ArgumentsSealed)]
    assert [call.call_id for call in sealed] == ["3.0", "3.1"]
    assert events[-1] == TurnEnded("I look.", tuple(sealed), "tool_calls", {"completion_tokens": 11})


def test_the_script_decides_from_what_the_tools_returned() -> None:
    *_, ended = model_at(Clock()).stream(2, [Message("tool", "seven")], ())
    assert isinstance(ended, TurnEnded)
    assert (ended.text, ended.finish_reason) == ("It says seven.", "stop")


def test_tokens_come_at_the_stated_pace_after_the_prefill() -> None:
    clock = Clock()
    moments = [clock.now for _ in model_at(clock).stream(1, [Message("tool", "seven")], ())]
    assert moments[0] == 2.0
    assert moments[1:5] == pytest.approx([2.1, 2.2, 2.3, 2.4])


def test_a_slow_listener_does_not_slow_the_model_down() -> None:
    clock = Clock()
    for event in model_at(clock).stream(1, [Message("tool", "seven")], ()):
        clock.sleep(0.05 if not isinstance(event, TurnEnded) else 0)
    assert clock.now == pytest.approx(2.45, abs=0.06)


def test_a_scripted_model_says_that_it_is_one() -> None:
    model = model_at(Clock())
    assert model.is_scripted
    assert "scripted" in model.name
