import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from speculation.engine.types import EventKind
from speculation.traces import BadLine, Effects, NotATrace, TraceSession, parse, read_lines
from tools.base import SideEffect

SHARED = Path(__file__).parents[2].parent / "shared" / "traces"


def session(**changed: Any) -> dict[str, Any]:
    events = [
        {"type": "user", "text": "My order?"},
        {"type": "llm", "turn": 1, "text": "", "text_chars": 0, "duration_s": None, "completion_tokens": None},
        {
            "type": "tool", "turn": 1, "name": "get_order", "arguments": {"id": "#W1"}, "result": '{"status": "sent"}',
            "ok": True, "duration_s": 0.0004,
        },
        {"type": "llm", "turn": 2, "text": "It was sent.", "duration_s": 99.0},
    ]  # fmt: skip
    line = {
        "session_id": "s/1", "source": "tau2_bench", "family": "customer_service", "task_id": "retail:1",
        "task": "My order?", "model": "gpt-4o", "meta": {}, "events": events,
    }  # fmt: skip
    return line | changed


def write(path: Path, *lines: Any) -> Path:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["plain.jsonl", "packed.jsonl.gz"])
def test_plain_and_compressed_files_read_alike(tmp_path: Path, name: str) -> None:
    [trace] = read_lines(write(tmp_path / name, session()))
    assert isinstance(trace, TraceSession)
    assert (trace.session_id, trace.source, trace.task_id) == ("s/1", "tau2_bench", "retail:1")


def test_a_bad_line_is_reported_with_its_number_and_the_next_one_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", session(), "{broken", "", session(task_id=7), "[1]", session(session_id="s/2"))
    first, *bad, last = read_lines(path)
    assert isinstance(first, TraceSession)
    assert isinstance(last, TraceSession)
    assert [(each.line, each.file) for each in bad if isinstance(each, BadLine)] == [(2, path), (4, path), (5, path)]
    assert str(bad[1]) == f"{path}:4: 'task_id' is missing or not a string"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"events": []}, "'events'"),
        ({"events": [1]}, "event 0"),
        ({"events": [{"type": []}]}, "event 0"),
        ({"events": [{"type": "user"}]}, "'text'"),
        ({"events": [{"type": "llm", "turn": "1", "text": ""}]}, "'turn'"),
        ({"events": [{"type": "tool", "turn": 1, "name": "x", "arguments": [], "ok": True}]}, "'arguments'"),
        ({"events": [{"type": "tool", "turn": 1, "name": "x", "arguments": {}, "ok": True}]}, "'result'"),
        ({"events": [{"type": "llm", "turn": 1, "text": "", "duration_s": "long"}]}, "'duration_s'"),
        ({"events": [{"type": "llm", "turn": 1, "text": "", "duration_s": float("nan")}]}, "'duration_s'"),
        ({"meta": 1}, "'meta'"),
    ],
)
def test_whatever_is_wrong_with_a_session_is_said(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotATrace, match=reason):
        parse(session(**changed))


def test_a_file_cut_short_gives_what_can_be_read_and_says_so(tmp_path: Path) -> None:
    whole = write(tmp_path / "t.jsonl.gz", *[session(session_id=str(number)) for number in range(50)])
    whole.write_bytes(whole.read_bytes()[:-20])
    *_, last = read_lines(whole)
    assert isinstance(last, BadLine)
    assert "damaged" in last.reason


def test_bytes_that_are_no_text_are_a_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"session_id": "\xff\xfe"}\n')
    [bad] = read_lines(path)
    assert isinstance(bad, BadLine)


def test_characters_that_a_database_cannot_store_are_taken_out(tmp_path: Path) -> None:
    [trace] = read_lines(write(tmp_path / "t.jsonl", session(task="a\0b\ud800c")))
    assert isinstance(trace, TraceSession)
    assert trace.task == "ab?c"


def test_a_missing_file_is_an_error_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read_lines(tmp_path / "none.jsonl"))


def test_events_follow_each_other_in_time_with_stated_times_where_none_mean_anything() -> None:
    user, thinking, tool, answer = parse(session()).to_events()
    assert [user.kind, thinking.kind, tool.kind, answer.kind] == [
        EventKind.USER, EventKind.LLM, EventKind.TOOL, EventKind.LLM,
    ]  # fmt: skip
    assert thinking.ended_at == 3.0, "no recorded time: 3 s"
    assert 0.3 <= tool.ended_at - tool.started_at <= 1.5, "a stand-in's time means nothing"
    assert answer.ended_at - answer.started_at == 20.0, "at most 20 s"
    assert (tool.tool, tool.status, tool.arguments) == ("get_order", "ok", {"id": "#W1"})


def test_a_recording_that_begins_with_the_model_begins_with_its_task() -> None:
    first, *_ = parse(session(events=session()["events"][1:])).to_events()
    assert (first.kind, first.text) == (EventKind.USER, "My order?")


EFFECTS = Effects(
    {
        "shop": {
            "read": ["get"],
            "local": ["think"],
            "shell": {"bash": "command"},
            "by_argument": {"edit": {"command": ["view"]}},
            "cosmetic": {"bash": ["description"]},
            "covers": {"Read": ["limit"]},
        }
    }
)


@pytest.mark.parametrize(
    ("tool", "arguments", "effect"),
    [
        ("get", {}, SideEffect.NONE),
        ("think", {}, SideEffect.NONE),
        ("bash", {"command": "ls"}, SideEffect.NONE),
        ("bash", {"command": "rm x"}, SideEffect.WRITE),
        ("edit", {"command": "view"}, SideEffect.NONE),
        ("edit", {"command": "create"}, SideEffect.WRITE),
        ("cancel", {}, SideEffect.WRITE),
    ],
)
def test_what_is_not_listed_as_harmless_changes_the_world(
    tool: str, arguments: dict[str, Any], effect: SideEffect
) -> None:
    assert EFFECTS.effect_of("shop", tool, arguments) is effect
    assert EFFECTS.effect_of("elsewhere", tool, arguments) is SideEffect.WRITE


def test_what_only_the_agent_sees_is_never_guessed_and_ends_no_held_result() -> None:
    traits = EFFECTS.traits("shop", "think")
    assert not traits.reads_only
    assert not traits.changes_world


def test_a_shell_may_be_guessed_and_may_change_the_world() -> None:
    traits = EFFECTS.traits("shop", "bash")
    assert traits.reads_only
    assert traits.changes_world
    assert traits.cosmetic_arguments == {"description"}
    assert EFFECTS.covers("shop", "Read") == EFFECTS.of_tool("shop", "Read").covers == {"limit"}


@pytest.mark.skipif(not SHARED.exists(), reason="the recorded runs are not beside the project")
def test_every_recorded_run_can_be_read_and_becomes_events() -> None:
    for name in ("tau_bench", "tau2_bench", "wiki_search"):
        traces = list(read_lines(SHARED / f"{name}.jsonl.gz"))
        assert all(isinstance(trace, TraceSession) and trace.to_events() for trace in traces)
