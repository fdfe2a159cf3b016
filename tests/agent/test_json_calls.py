"""JSON mode, for models without tool calls: the schema, the conversation, and reading an object while it grows."""

from contextlib import closing

import jsonschema
import pytest
from openai.types.chat.chat_completion_chunk import ChoiceDelta

from speculation.agent.json_calls import JsonTurn, request_body, turn_schema
from speculation.agent.llm import OpenAIModel
from speculation.agent.native_calls import read_call
from speculation.agent.types import (
    ArgumentsDelta,
    ArgumentsSealed,
    FirstToken,
    Message,
    ModelEvent,
    RequestedCall,
    TextDelta,
    ToolNamed,
    ToolSpec,
    TurnEnded,
)
from tests.agent.endpoint import end, running_endpoint, text

PATH = {"type": "string", "pattern": "^[a-z]", "maxLength": 99}
READ = ToolSpec("read_file", "Read a file.", {"type": "object", "properties": {"path": PATH}, "required": ["path"]})
CALL = '{"thought": "I \\"look\\".", "tool": "read_file", "arguments": {"path": "a{}"}, "x": 1}'


def grow(whole: str, size: int = 1) -> tuple[list[ModelEvent], JsonTurn]:
    turn = JsonTurn(2)
    events = [
        event
        for start in range(0, len(whole), size)
        for event in turn.add(ChoiceDelta(content=whole[start : start + size]))
    ]
    return events, turn


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_a_call_is_named_and_sealed_while_the_object_still_grows(size: int) -> None:
    events, turn = grow(CALL, size)
    requested = RequestedCall("2.0", "read_file", {"path": "a{}"})
    assert [event for event in events if isinstance(event, ToolNamed)] == [ToolNamed(0, "read_file")]
    assert [event for event in events if isinstance(event, ArgumentsSealed)] == [ArgumentsSealed(0, requested)]
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == 'I "look".'
    assert [event.text for event in events if isinstance(event, ArgumentsDelta)][-1] == '{"path": "a{}"}'
    assert (turn.text, turn.calls) == ('I "look".', (requested,))


def test_the_seal_comes_with_the_closing_brace_of_the_arguments() -> None:
    events, _ = grow(CALL.partition(', "x"')[0])
    assert isinstance(events[-1], ArgumentsSealed)


def test_an_answer_streams_as_text_and_calls_nothing() -> None:
    events, turn = grow('{"thought": "Easy. ", "tool": "answer", "answer": "The sun."}')
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Easy. The sun."
    assert (turn.text, turn.calls) == ("The sun.", ())


def test_an_object_that_is_cut_in_its_arguments_becomes_a_problem() -> None:
    _, turn = grow(CALL[:70])
    (requested,) = turn.calls
    assert requested.tool == "read_file"
    assert "JSON" in requested.problem


def test_words_from_a_server_that_ignores_the_schema_are_the_answer() -> None:
    _, turn = grow("It is the sun.")
    assert (turn.text, turn.calls) == ("It is the sun.", ())


def test_a_name_within_the_thought_is_not_mistaken_for_the_arguments() -> None:
    _, turn = grow('{"thought": "\\"arguments\\": {\\"path\\": 1}", "tool": "read_file", "arguments": {"path": "b"}}')
    assert turn.calls[0].arguments == {"path": "b"}


def test_the_schema_ties_the_arguments_to_the_tool_and_leaves_out_what_grammars_cannot_hold() -> None:
    schema = turn_schema([READ])
    jsonschema.validate({"thought": "x", "tool": "read_file", "arguments": {"path": "A"}}, schema)
    jsonschema.validate({"tool": "answer", "answer": "x"}, schema)
    for wrong in ({"tool": "read_file", "arguments": {}}, {"tool": "rm", "arguments": {}}, {"tool": "answer"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_earlier_turns_and_results_are_told_in_the_form_that_is_asked_for() -> None:
    conversation = [
        Message("system", "Be brief."),
        Message("user", "Look."),
        Message("assistant", "Hm.", calls=[RequestedCall("1.0", "read_file", {"path": "a"})]),
        Message("tool", "gone", call_id="1.0", tool="read_file", ok=False),
        Message("assistant", "It is gone."),
    ]
    chat = request_body(conversation, [READ])["messages"]
    assert [entry["role"] for entry in chat] == ["system", "user", "assistant", "user", "assistant"]
    assert chat[0]["content"].startswith("Be brief.")
    assert "read_file" in chat[0]["content"]
    assert chat[2]["content"] == '{"thought": "Hm.", "tool": "read_file", "arguments": {"path": "a"}}'
    assert chat[3]["content"] == "Result of read_file (failed):\ngone"
    assert chat[4]["content"] == '{"tool": "answer", "answer": "It is gone."}'


def test_the_client_speaks_json_mode_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with running_endpoint() as endpoint:
        endpoint.pieces = [*(text(CALL[start : start + 9]) for start in range(0, len(CALL), 9)), end()]
        with closing(OpenAIModel(endpoint.url, "", "tiny", "json")) as model:
            events = list(model.stream(1, [Message("user", "Look.")], [READ]))
    assert events[0] == FirstToken()
    last = events[-1]
    assert isinstance(last, TurnEnded)
    assert last.calls == (RequestedCall("1.0", "read_file", {"path": "a{}"}),)
    (body,) = endpoint.requests
    assert body["response_format"]["json_schema"]["schema"] == turn_schema([READ])
    assert "tools" not in body


@pytest.mark.parametrize("deep", ['{"path": ' + "[" * 2_000, '{"path": ' + "[" * 2_000 + "]" * 2_000 + "}"])
def test_arguments_nested_too_deep_to_be_read_are_a_problem_that_is_told(deep: str) -> None:
    asked = read_call("1.0", "read_file", deep)
    assert "The arguments of read_file are no JSON" in asked.problem and not asked.arguments
    _, turn = grow(CALL.replace('{"path": "a{}"}', deep), size=8)
    (called,) = turn.calls
    assert "are no JSON" in called.problem and not called.arguments
