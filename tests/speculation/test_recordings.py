import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from speculation.agent.loop import AgentLoop
from speculation.agent.recorded import RecordedModel, RecordedUser
from speculation.agent.types import Message, ModelEvent, RequestedCall, TurnEnded
from speculation.recordings import answer_of, make_recording, task_of
from speculation.traces import Effects, TraceSession, parse
from tools.base import ToolContext
from tools.recorded import RecordedTool

EFFECTS = Effects({"shop": {"read": ["get"], "local": ["think"]}})


def user(text: str) -> dict[str, Any]:
    return {"type": "user", "text": text}


def llm(turn: int, text: str = "", duration_s: float | None = 1.0) -> dict[str, Any]:
    return {"type": "llm", "turn": turn, "text": text, "duration_s": duration_s}


def tool(turn: int, name: str, result: Any, ok: bool = True, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool", "turn": turn, "name": name, "arguments": arguments, "result": result, "ok": ok}


def trace(*events: dict[str, Any], **fields: Any) -> TraceSession:
    line = {"session_id": "s", "source": "shop", "task_id": "t", "task": "the task", "model": "m", "events": events}
    return parse(json.loads(json.dumps(line | fields)))


SHOPPING = trace(
    user("Cancel my order"),
    llm(1, "Which one?"),
    user("#1"),
    llm(2),
    tool(2, "get", "open", id=1),
    tool(2, "think", "", thought="hm"),
    tool(2, "get", "open", id=1),
    llm(3, "Cancelling."),
    tool(3, "cancel", {"status": "cancelled"}, id=1),
    tool(3, "get", "cancelled", id=1),
    llm(4, "Done."),
    user("Thanks, bye"),
)


def recording_of(recorded: TraceSession) -> dict[str, Any]:
    return make_recording(recorded, EFFECTS, seed=3, time_scale=1e6)


def test_an_answer_is_kept_by_the_changes_before_it_and_by_its_repeat() -> None:
    answers = recording_of(SHOPPING)["answers"]
    assert [(each["changes"], each["repeat"], each["content"]) for each in answers] == [
        (0, 0, "open"),
        (0, 0, ""),
        (0, 1, "open"),
        (0, 0, '{"status": "cancelled"}'),
        (1, 2, "cancelled"),
    ]
    assert answers[3]["structured"] == {"status": "cancelled"}


def test_two_texts_of_a_model_in_a_row_are_one_turn() -> None:
    [turn] = recording_of(trace(user("a"), llm(1, "One."), llm(2, "Two.", None)))["turns"]
    assert (turn["text"], turn["seconds"]) == ("One.\n\nTwo.", 4.0)


def test_a_user_who_speaks_after_a_result_speaks_into_a_turn_without_words() -> None:
    turns = recording_of(trace(user("a"), llm(1), tool(1, "get", ""), user("wait"), user("no"), llm(2, "b")))["turns"]
    assert [(turn["text"], len(turn["calls"]), turn["user"]) for turn in turns] == [
        ("", 1, None),
        ("", 0, "wait\n\nno"),
        ("b", 0, None),
    ]


def test_the_task_is_what_the_user_said_before_the_model_spoke() -> None:
    assert task_of(trace(user("a"), user("b"), llm(1))) == "a\n\nb"
    assert task_of(trace(llm(1), user("b"))) == "the task"


class World:
    """Runs the loop's calls with recorded tools, one after the other, and keeps everything."""

    def __init__(self, root: Path) -> None:
        self.root, self.said, self.contents, self.asked = root, [], [], []  # type: ignore[var-annotated]

    def user_said(self, text: str) -> None:
        self.said.append(text)

    def turn_started(self, turn: int) -> None: ...

    def streamed(self, turn: int, event: ModelEvent) -> None: ...

    def turn_ended(self, turn: int, ended: TurnEnded) -> None: ...

    def answer_calls(self, turn: int, calls: Sequence[RequestedCall]) -> list[Message]:
        return list(self._answer(calls))

    def _answer(self, calls: Sequence[RequestedCall]) -> Iterator[Message]:
        for call in calls:
            repeat = self.asked.count((call.tool, call.arguments))
            self.asked.append((call.tool, call.arguments))
            recorded = RecordedTool(call.tool, EFFECTS.of_tool("shop", call.tool))
            result = recorded.run(call.arguments, ToolContext(self.root, repeat=repeat))
            self.contents.append(result.content)
            yield Message("tool", result.content, call_id=call.call_id, tool=call.tool, ok=result.ok)


def test_a_recording_lived_again_asks_hears_and_answers_the_same(tmp_path: Path) -> None:
    recording = recording_of(SHOPPING)
    (tmp_path / "recording.json").write_text(json.dumps(recording))
    world = World(tmp_path)
    loop = AgentLoop(RecordedModel(recording, 1e6), RecordedUser(recording), world, [], "", max_turns=9)
    outcome = loop.run([Message("user", task_of(SHOPPING))])
    assert world.contents == [answer["content"] for answer in recording["answers"]]
    assert world.said == ["#1"]
    assert outcome.answer == answer_of(recording) == "Done."


def test_a_recording_that_stops_after_a_result_ends_without_an_answer(tmp_path: Path) -> None:
    recording = recording_of(trace(user("a"), llm(1), tool(1, "get", "x")))
    (tmp_path / "recording.json").write_text(json.dumps(recording))
    loop = AgentLoop(RecordedModel(recording, 1e6), RecordedUser(recording), World(tmp_path), [], "", max_turns=9)
    assert loop.run([Message("user", "a")]).answer == answer_of(recording) == ""
