"""The client against a real HTTP server that streams, stumbles and breaks off like real ones do."""

from collections.abc import Iterator
from typing import Any

import pytest

from speculation.agent.llm import OpenAIModel, retry_after_seconds
from speculation.agent.types import (
    ArgumentsDelta,
    ArgumentsSealed,
    FirstToken,
    Message,
    ModelError,
    ModelEvent,
    RequestedCall,
    TextDelta,
    ThinkingDelta,
    ToolNamed,
    ToolSpec,
    TurnEnded,
)
from tests.agent.endpoint import CUT, WAIT, Endpoint, call, chunk, end, running_endpoint, text, usage

KEY = "sk-very-secret-4711"
READ = ToolSpec("read_file", "Read a file.", {"type": "object", "properties": {"path": {"type": "string"}}})
TASK = [Message("system", "Be brief."), Message("user", "Look.")]


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with running_endpoint() as server:
        yield server
    while made:
        made.pop().close()


made: list[OpenAIModel] = []
"""Models of the present test, whose connections end with it."""


def model_of(endpoint: Endpoint, style: Any = "native", *, url: str = "", **options: float) -> OpenAIModel:
    made.append(OpenAIModel(url or endpoint.url, KEY, "small-1", style, **options))
    return made[-1]


def stream(endpoint: Endpoint, *pieces: Any, style: Any = "native", turn: int = 1) -> list[ModelEvent]:
    endpoint.pieces = pieces
    return list(model_of(endpoint, style).stream(turn, TASK, [READ]))


def failure(endpoint: Endpoint, *pieces: Any, **options: float) -> ModelError:
    endpoint.pieces = pieces
    with pytest.raises(ModelError) as caught:
        list(model_of(endpoint, **options).stream(1, TASK, [READ]))
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


def ended(events: list[ModelEvent]) -> TurnEnded:
    last = events[-1]
    assert isinstance(last, TurnEnded)
    assert not any(isinstance(event, TurnEnded) for event in events[:-1])
    return last


def test_text_streams_and_ends_with_its_usage(endpoint: Endpoint) -> None:
    events = stream(endpoint, chunk({"role": "assistant"}), text("The "), text("sun."), end(), usage(12, 3))
    assert events == [
        FirstToken(),
        TextDelta("The "),
        TextDelta("sun."),
        TurnEnded("The sun.", (), "stop", {"prompt_tokens": 12, "completion_tokens": 3}),
    ]


def test_a_server_that_counts_nothing_is_fine(endpoint: Endpoint) -> None:
    assert ended(stream(endpoint, text("Yes."), end())).usage == {}


def test_a_call_streams_in_pieces_and_is_sealed_by_the_end(endpoint: Endpoint) -> None:
    pieces = [call(0, name="read_file", identity="p1"), call(0, arguments='{"pa'), call(0, arguments='th": "a"}')]
    events = stream(endpoint, *pieces, end("tool_calls"), turn=4)
    requested = RequestedCall("4.0", "read_file", {"path": "a"}, "p1")
    assert events == [
        FirstToken(),
        ToolNamed(0, "read_file"),
        ArgumentsDelta(0, "read_file", '{"pa'),
        ArgumentsDelta(0, "read_file", '{"path": "a"}'),
        ArgumentsSealed(0, requested),
        TurnEnded("", (requested,), "tool_calls", {}),
    ]


def test_a_call_is_sealed_as_soon_as_the_next_one_begins(endpoint: Endpoint) -> None:
    events = stream(
        endpoint,
        call(0, name="read_file", arguments='{"path": "a"}', identity="p1"),
        call(1, name="read_file", identity="p2"),
        call(1, arguments='{"path": "b"}'),
        end("tool_calls"),
    )
    kinds = [(type(event).__name__, event.index) for event in events if isinstance(event, (ToolNamed, ArgumentsSealed))]
    assert kinds == [("ToolNamed", 0), ("ArgumentsSealed", 0), ("ToolNamed", 1), ("ArgumentsSealed", 1)]
    assert [(each.call_id, each.arguments["path"]) for each in ended(events).calls] == [("1.0", "a"), ("1.1", "b")]


def test_calls_that_all_have_index_zero_are_told_apart_by_their_ids(endpoint: Endpoint) -> None:
    pieces = [call(0, name="read_file", arguments=f'{{"path": "{name}"}}', identity=name) for name in "ab"]
    events = stream(endpoint, *pieces, end("tool_calls"))
    assert [(each.call_id, each.provider_call_id) for each in ended(events).calls] == [("1.0", "a"), ("1.1", "b")]


def test_an_id_that_is_repeated_in_every_piece_is_still_one_call(endpoint: Endpoint) -> None:
    pieces = [call(0, name="read_file", identity="p"), call(0, arguments='{"path":', identity="p")]
    events = stream(endpoint, *pieces, call(0, arguments='"a"}', identity="p"), end("tool_calls"))
    assert [each.arguments for each in ended(events).calls] == [{"path": "a"}]


def test_no_arguments_at_all_are_an_empty_object(endpoint: Endpoint) -> None:
    events = stream(endpoint, call(0, name="read_file", identity="p"), end("tool_calls"))
    assert ended(events).calls == (RequestedCall("1.0", "read_file", {}, "p"),)


@pytest.mark.parametrize("arguments", ['{"path": ', '["a"]', "read it"])
def test_arguments_that_are_no_object_become_a_problem_and_are_never_sealed(endpoint: Endpoint, arguments: str) -> None:
    events = stream(endpoint, call(0, name="read_file", arguments=arguments, identity="p"), end("length"))
    (requested,) = ended(events).calls
    assert "read_file" in requested.problem
    assert "JSON" in requested.problem
    assert not any(isinstance(event, ArgumentsSealed) for event in events)


def test_reasoning_that_is_streamed_apart_counts_as_the_first_token(endpoint: Endpoint) -> None:
    events = stream(endpoint, chunk({"reasoning_content": "Hm."}), text("Yes."), end())
    assert events[:3] == [FirstToken(), ThinkingDelta("Hm."), TextDelta("Yes.")]
    assert ended(events).text == "Yes.", "it is evidence, and no part of the conversation"


def test_the_request_holds_the_conversation_as_the_api_wants_it(endpoint: Endpoint) -> None:
    endpoint.pieces = [text("Done."), end()]
    conversation = [
        *TASK,
        Message("assistant", "Looking.", calls=[RequestedCall("1.0", "read_file", {"path": "a"}, "p1")]),
        Message("tool", "hello", call_id="1.0", tool="read_file"),
        Message("assistant", "", calls=[RequestedCall("2.0", "read_file", {"path": "b"})]),
        Message("tool", "no such file", call_id="2.0", tool="read_file", ok=False),
    ]
    list(model_of(endpoint).stream(3, conversation, [READ]))
    (body,) = endpoint.requests
    assert endpoint.keys == [f"Bearer {KEY}"]
    assert (body["model"], body["stream"], body["stream_options"]) == ("small-1", True, {"include_usage": True})
    assert body["tools"][0]["function"]["name"] == "read_file"
    first, second = (entry for entry in body["messages"] if entry["role"] == "assistant")
    assert first["tool_calls"][0]["function"] == {"name": "read_file", "arguments": '{"path": "a"}'}
    answers = [entry["tool_call_id"] for entry in body["messages"] if entry["role"] == "tool"]
    assert answers == [first["tool_calls"][0]["id"], second["tool_calls"][0]["id"]] == ["p1", "2.0"]


def test_without_tools_none_are_sent(endpoint: Endpoint) -> None:
    endpoint.pieces = [text("Done."), end()]
    list(model_of(endpoint).stream(1, TASK, []))
    assert "tools" not in endpoint.requests[0]


def refuse(endpoint: Endpoint, status: int, body: str, **headers: str) -> ModelError:
    endpoint.status, endpoint.body = status, body.encode()
    endpoint.headers = {"content-type": "application/json", **headers}
    return failure(endpoint)


def test_a_refused_key_says_what_to_set_and_is_not_told(endpoint: Endpoint) -> None:
    error = refuse(endpoint, 401, f'{{"error": {{"message": "Incorrect API key provided: {KEY}"}}}}')
    assert "PASTE_LLM_KEY" in str(error)
    assert error.retry_after_seconds is None


def test_a_key_in_any_other_message_is_blotted_out(endpoint: Endpoint) -> None:
    assert "***" in str(refuse(endpoint, 400, f'{{"error": {{"message": "key {KEY} may not do this"}}}}'))


def test_an_unknown_model_is_named(endpoint: Endpoint) -> None:
    error = refuse(endpoint, 404, '{"error": {"message": "model not found"}}')
    assert "small-1" in str(error)
    assert "/v1" in str(error)
    assert error.retry_after_seconds is None


def test_too_many_requests_say_how_long_to_wait(endpoint: Endpoint) -> None:
    error = refuse(endpoint, 429, '{"error": {"message": "slow down"}}', **{"retry-after": "7"})
    assert error.retry_after_seconds == 7
    assert "slow down" in str(error)


def test_a_quota_that_is_used_up_is_not_worth_waiting_for(endpoint: Endpoint) -> None:
    error = refuse(endpoint, 429, '{"error": {"message": "no money", "code": "insufficient_quota"}}')
    assert error.retry_after_seconds is None


def test_a_failing_server_is_worth_another_try(endpoint: Endpoint) -> None:
    assert refuse(endpoint, 503, "overloaded").retry_after_seconds == 2


def test_a_web_page_in_place_of_a_stream_points_to_the_address(endpoint: Endpoint) -> None:
    error = refuse(endpoint, 200, "<html><body>It works</body></html>", **{"content-type": "text/html"})
    assert "PASTE_LLM_BASE_URL" in str(error)
    assert error.retry_after_seconds is None


def test_an_endpoint_that_is_not_there_is_named_without_its_password(endpoint: Endpoint) -> None:
    endpoint.server_close()
    address = endpoint.url.replace("http://", "http://me:hush@")
    with pytest.raises(ModelError) as caught:
        list(model_of(endpoint, url=address).stream(1, TASK, []))
    assert endpoint.url in str(caught.value)
    assert "hush" not in str(caught.value)
    assert caught.value.retry_after_seconds == 2


@pytest.mark.parametrize("pieces", [(text("The "), CUT), (text("The "),), (call(0, name="read_file"), CUT)])
def test_a_stream_that_breaks_off_is_an_error_worth_another_try(endpoint: Endpoint, pieces: tuple[Any, ...]) -> None:
    assert failure(endpoint, *pieces).retry_after_seconds == 2


def test_an_error_within_the_stream_is_told(endpoint: Endpoint) -> None:
    error = failure(endpoint, text("The "), {"error": {"message": f"out of memory {KEY}"}})
    assert "out of memory" in str(error)


def test_a_piece_that_is_no_json_is_an_error(endpoint: Endpoint) -> None:
    assert "no JSON" in str(failure(endpoint, text("The "), "{half"))


def test_a_silent_server_is_given_up(endpoint: Endpoint) -> None:
    assert "silent" in str(failure(endpoint, text("The "), WAIT, timeout_seconds=0.2))


def test_closing_the_stream_closes_the_connection(endpoint: Endpoint) -> None:
    endpoint.pieces = [text("The "), WAIT]
    events = model_of(endpoint).stream(1, TASK, [READ])
    assert next(events) == FirstToken()
    events.close()
    assert endpoint.client_has_gone.wait(5)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("3", 3), ("1.5", 1.5), ("Thu, 01 Jan 1970 00:01:40 GMT", 60), ("soon", 2), ("", 2), ("-4", 0)],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str, seconds: float) -> None:
    assert retry_after_seconds({"retry-after": value}, now=lambda: 40.0) == seconds
