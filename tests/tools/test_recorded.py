import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tools.base import SideEffect, ToolCall, ToolContext, ToolError, ToolStopped
from tools.recorded import RecordedEffects, RecordedTool, count_changes, drawn_seconds, from_definition

GET = RecordedTool("get_order", RecordedEffects("read", cosmetic=frozenset({"why"})))
UPDATE = RecordedTool("update_order", RecordedEffects())


def answer(
    tool: RecordedTool, arguments: Mapping[str, Any], changes: int, repeat: int, content: str, seconds: float = 0.0
) -> dict[str, Any]:
    fingerprint = ToolCall(tool.name, arguments).fingerprint(tool.policy)
    return {
        "fingerprint": fingerprint, "changes": changes, "repeat": repeat, "ok": True, "content": content, "seconds": seconds
    }  # fmt: skip


def make_world(root: Path, *answers: Mapping[str, Any], time_scale: float = 1000.0) -> None:
    recording = {"seed": 1, "time_scale": time_scale, "answers": answers}
    (root / "recording.json").write_text(json.dumps(recording))


def test_a_call_returns_what_was_recorded_of_it_and_a_cosmetic_argument_makes_no_difference(tmp_path: Path) -> None:
    make_world(tmp_path, answer(GET, {"id": 1}, 0, 0, "pending"))
    result = GET.run({"id": 1, "why": "to see"}, ToolContext(tmp_path))
    assert (result.ok, result.content) == (True, "pending")


def test_a_changing_call_changes_what_later_calls_return(tmp_path: Path) -> None:
    make_world(
        tmp_path,
        answer(GET, {"id": 1}, 0, 0, "pending"),
        answer(UPDATE, {"id": 1}, 0, 0, "done"),
        answer(GET, {"id": 1}, 1, 1, "cancelled"),
    )
    assert GET.run({"id": 1}, ToolContext(tmp_path)).content == "pending"
    assert UPDATE.run({"id": 1}, ToolContext(tmp_path)).content == "done"
    assert count_changes(tmp_path) == 1
    assert GET.run({"id": 1}, ToolContext(tmp_path, repeat=1)).content == "cancelled"


def test_a_repeat_returns_its_own_recording_and_one_too_many_the_last(tmp_path: Path) -> None:
    make_world(tmp_path, answer(GET, {}, 0, 0, "first"), answer(GET, {}, 0, 1, "second"))
    seen = [GET.run({}, ToolContext(tmp_path, repeat=repeat)).content for repeat in range(3)]
    assert seen == ["first", "second", "second"]


def test_a_recording_from_another_state_of_the_world_is_never_returned(tmp_path: Path) -> None:
    make_world(tmp_path, answer(GET, {}, 1, 0, "after"))
    assert GET.run({}, ToolContext(tmp_path)).content == "not recorded"


def test_a_call_that_was_never_recorded_fails_after_its_drawn_time(tmp_path: Path) -> None:
    make_world(tmp_path, time_scale=10.0)
    fingerprint = ToolCall("get_order", {"id": 9}).fingerprint(GET.policy)
    started_at = time.monotonic()
    result = GET.run({"id": 9}, ToolContext(tmp_path))
    assert not result.ok
    assert time.monotonic() - started_at >= drawn_seconds("get_order", fingerprint, 1) / 10


def test_a_drawn_time_is_the_same_for_the_same_call_and_within_the_tools_range() -> None:
    drawn = [drawn_seconds("read_section", str(number), 7) for number in range(200)]
    assert drawn == [drawn_seconds("read_section", str(number), 7) for number in range(200)]
    assert 2 <= min(drawn) < 2.5 and 7.5 < max(drawn) <= 8
    assert all(0.3 <= drawn_seconds("get_order", str(number), 7) <= 1.5 for number in range(200))


def test_a_running_call_stops_when_nobody_waits_and_changes_nothing(tmp_path: Path) -> None:
    make_world(tmp_path, answer(UPDATE, {}, 0, 0, "done", seconds=60.0), time_scale=1.0)
    with pytest.raises(ToolStopped):
        UPDATE.run({}, ToolContext(tmp_path, should_stop=lambda: True))
    assert count_changes(tmp_path) == 0


def test_a_world_without_a_recording_is_named_as_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"recording\.json"):
        GET.run({}, ToolContext(tmp_path))


@pytest.mark.parametrize(
    ("effects", "arguments", "effect"),
    [
        (RecordedEffects("read"), {}, SideEffect.NONE),
        (RecordedEffects("local"), {}, SideEffect.NONE),
        (RecordedEffects(), {}, SideEffect.WRITE),
        (RecordedEffects("shell", argument="cmd"), {"cmd": "ls"}, SideEffect.NONE),
        (RecordedEffects("shell", argument="cmd"), {"cmd": "rm x"}, SideEffect.WRITE),
        (RecordedEffects("shell", argument="cmd"), {"command": "ls"}, SideEffect.WRITE),
        (RecordedEffects("by_argument", values={"command": ("view",)}), {"command": "view"}, SideEffect.NONE),
        (RecordedEffects("by_argument", values={"command": ("view",)}), {"command": "create"}, SideEffect.WRITE),
        (RecordedEffects("by_argument"), {"command": "view"}, SideEffect.WRITE),
    ],
)
def test_the_effect_of_a_call_follows_its_entry(
    effects: RecordedEffects, arguments: Mapping[str, Any], effect: SideEffect
) -> None:
    assert effects.effect_of(arguments) is effect


def test_a_tool_made_from_its_stored_definition_is_the_same_tool() -> None:
    effects = RecordedEffects(
        "by_argument", values={"c": ("view",)}, cosmetic=frozenset({"why"}), covers=frozenset({"range"})
    )
    tool = RecordedTool("edit", effects, expected_seconds=0.2)
    again = from_definition("edit", json.loads(json.dumps(tool.definition)))
    assert again.effects == tool.effects
    assert again.policy.expected_seconds == 0.2
    assert again.definition_hash == tool.definition_hash
    assert again.policy.covers == {"range"} and tool.definition["annotations"]["covers"] == ["range"]


def test_a_definition_without_effects_counts_as_changing_the_world() -> None:
    assert from_definition("anything", {}).effect_of({}) is SideEffect.WRITE
