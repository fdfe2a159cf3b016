from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from speculation.recordings import make_recording
from speculation.replay_figures import Compared, difference, read_arm, reason, summarise
from speculation.traces import Effects
from tests.speculation.test_recordings import llm, tool, trace, user

EFFECTS = Effects({"shop": {"read": ["get"], "local": ["think"]}})
RUN = trace(
    user("Look"),
    llm(1),
    tool(1, "get", "a", id=1),
    tool(1, "get", "b", id=2),
    tool(1, "think", "", thought="hm"),
    llm(2),
    tool(2, "cancel", "done", id=1),
    llm(3, "Bye."),
)
RECORDING = make_recording(RUN, EFFECTS, seed=1, time_scale=1.0)
LOCAL = frozenset({"think"})


@dataclass
class Entry:
    seq: int
    kind: str
    at: datetime
    payload: dict[str, Any] = field(default_factory=dict)


def log(*told: tuple[float, str, dict[str, Any]]) -> list[Entry]:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        Entry(i, kind, start + timedelta(seconds=at), payload) for i, (at, kind, payload) in enumerate(told, start=1)
    ]


def asked(at: float, call_id: str, name: str, effect: str = "none", outcome: str = "requested") -> Any:
    facts = {
        "call_id": call_id,
        "turn": int(call_id[0]),
        "tool": name,
        "arguments": {},
        "effect": effect,
        "job": call_id,
    }
    return at, "call_asked", facts | {"outcome": outcome, "reason": "not predicted" if outcome == "requested" else ""}


def returned(at: float, call_id: str, name: str, content: str) -> Any:
    facts = {"call_id": call_id, "turn": int(call_id[0]), "tool": name, "job": call_id, "ok": True, "content": content}
    return at, "call_returned", facts | {"structured": None, "unknown_outcome": False}


def arm(read_seconds: float, first: str = "a", answer: str = "Bye.", outcome: str = "requested") -> list[Entry]:
    """Two reads and a thought side by side, then a change of 2 s; the model takes no time."""
    end = read_seconds + 3.0
    return log(
        (0.0, "session_started", {"attempt": 1, "owner": "x"}),
        (0.0, "turn_started", {"turn": 1, "attempt": 1}),
        (0.0, "turn_ended", {"turn": 1, "text": "", "calls": [], "finish_reason": "tool_calls", "usage": {}}),
        asked(0.0, "1.0", "get", outcome=outcome),
        asked(0.0, "1.1", "get"),
        asked(0.0, "1.2", "think"),
        returned(read_seconds / 2, "1.0", "get", first),
        returned(read_seconds, "1.1", "get", "b"),
        returned(read_seconds + 1.0, "1.2", "think", ""),
        asked(read_seconds + 1.0, "2.0", "cancel", "write"),
        returned(end, "2.0", "cancel", "done"),
        (end, "session_ended", {"status": "succeeded", "answer": answer, "error": None}),
    )


def compare(off: list[Entry], on: list[Entry]) -> Compared:
    return Compared("r", read_arm("off", off, RECORDING, LOCAL), read_arm("on", on, RECORDING, LOCAL))


def test_exposed_seconds_are_the_longest_of_a_turns_reads_without_changes_and_thoughts() -> None:
    assert read_arm("s", arm(4.0), RECORDING, LOCAL).exposed_seconds == pytest.approx(4.0)


def test_a_session_that_went_as_recorded_differs_in_nothing() -> None:
    assert difference(arm(1.0), RECORDING) == ""


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        (arm(1.0, first="stale"), "call 1.0 was answered 'stale', recorded 'a'"),
        (arm(1.0, answer="Hi."), "the last words differ"),
        (arm(1.0)[:7], "call 1.1 was never answered"),
        (arm(1.0)[:-1], "the session ended never: None"),
    ],
)
def test_every_way_to_differ_from_the_recording_is_named(entries: list[Entry], problem: str) -> None:
    assert difference(entries, RECORDING) == problem


def test_a_source_is_summed_up_from_its_sessions() -> None:
    document = summarise("shop", 7, [compare(arm(4.0), arm(1.0)), compare(arm(2.0), arm(2.0))])
    assert document["task_seconds"] == {"off": 12.0, "on": 9.0}
    assert document["exposed_tool_seconds"] == {"off": 6.0, "on": 3.0}
    assert document["exposed_reduction"] == 0.5
    assert document["mean_paired_ratio"] == round((4 / 7 + 1) / 2, 4)
    assert document["answers_equal"] is True
    assert [one["ratio"] for one in document["worst"]] == [1.0, round(4 / 7, 4)]


def test_one_wrong_answer_in_either_arm_makes_a_source_unequal() -> None:
    assert summarise("shop", 0, [compare(arm(1.0, first="x"), arm(1.0))])["answers_equal"] is False
    assert summarise("shop", 0, [compare(arm(1.0), arm(1.0, first="x"))])["answers_equal"] is False


def test_the_reason_names_wrong_answers_first_then_the_guesses_and_where_the_time_went() -> None:
    assert reason(compare(arm(1.0), arm(1.0, first="x"))).startswith("call 1.0 was answered")
    said = reason(compare(arm(1.0), arm(2.0, outcome="used")))
    assert said == "1 of 2 reads served (1 not predicted); reads +1.00 s, model +0.00 s, everything else +0.00 s"
