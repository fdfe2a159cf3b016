"""Whatever a tool does, its result can be stored and read."""

import json
import logging
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from tools.arguments import validate
from tools.base import (
    Forbidden,
    InvalidArguments,
    NotAuthorized,
    SideEffect,
    Tool,
    ToolContext,
    ToolError,
    ToolFailed,
    ToolPolicy,
    ToolResult,
    ToolStopped,
    ToolTimeout,
    UnknownTool,
    Unreachable,
)
from tools.catalog import BUILTIN, find
from tools.running import MAX_CONTENT_CHARACTERS, MAX_DEPTH, NOT_PASSED_ON, bounded_json, execute, storable
from tools.schema import arguments_schema, text, whole_number


class Acting(Tool):
    """Does what the test says."""

    name = "acting"
    description = "For tests."
    parameters = arguments_schema(required=["what"], what=text("What."), times=whole_number("How often.", minimum=1))
    policy = ToolPolicy()
    outcome: ClassVar[Any] = None

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return ToolResult(True, str(self.outcome), self.outcome)


def act(context: ToolContext, outcome: Any) -> ToolResult:
    tool = Acting()
    tool.outcome = outcome  # type: ignore[misc]
    return execute(tool, {"what": "x"}, context)


def test_a_tools_own_error_is_its_answer(context: ToolContext) -> None:
    assert act(context, ToolError("try b instead")) == ToolResult(False, "try b instead")


def test_a_stop_is_no_answer(context: ToolContext) -> None:
    with pytest.raises(ToolStopped):
        act(context, ToolStopped())


def test_an_unexpected_failure_names_its_class_only(context: ToolContext, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        result = act(context, KeyError("secret detail"))
    assert not result.ok and "KeyError" in result.content
    assert "secret" not in result.content and "Traceback" not in result.content
    assert caplog.records[0].exc_info is not None


@pytest.mark.parametrize(
    ("raised", "failure"),
    [
        (ToolError("There is no such record."), ""),
        (Forbidden("Not outside."), ""),
        (ToolFailed("Out of order."), "failed"),
        (ToolTimeout("Stopped after 10 s."), "timeout"),
        (Unreachable("The records cannot be reached."), "unreachable"),
        (NotAuthorized("It does not know us."), "auth"),
        (KeyError("a defect"), "crashed"),
    ],
)
def test_a_tool_that_is_out_of_order_is_told_from_one_that_answers_with_an_error(
    context: ToolContext, raised: Exception, failure: str
) -> None:
    result = act(context, raised)
    assert (result.ok, result.failure) == (False, failure)


def test_what_postgresql_refuses_is_removed(context: ToolContext) -> None:
    result = act(context, {"a\0b": "c\0d", "bad": "\udcff", "nan": float("nan"), "inf": [float("-inf")]})
    assert result.structured == {"ab": "cd", "bad": "?", "nan": "nan", "inf": ["-inf"]}
    assert "\0" not in result.content
    json.dumps(result.to_json(), allow_nan=False).encode()


def test_a_long_result_is_cut_with_a_statement(context: ToolContext) -> None:
    result = act(context, "x" * (MAX_CONTENT_CHARACTERS + 5))
    assert result.content.endswith("[cut: 5 more characters left out]")


def test_content_blocks_are_kept_as_they_are_but_for_what_cannot_be_stored_and_too_many_go_with_a_statement() -> None:
    picture = {"type": "image", "data": "A" * 1_000_000, "mimeType": "image/png"}
    kept = storable(ToolResult(ok=True, content="seen", blocks=(picture, {"type": "text", "text": "a\0b"})))
    assert kept.blocks == (picture, {"type": "text", "text": "ab"}) and kept.content == "seen"
    assert ToolResult.from_json(json.loads(json.dumps(kept.to_json()))) == kept
    dropped = storable(ToolResult(ok=True, content="seen", blocks=(picture,) * 5))
    assert dropped.blocks == () and dropped.content == f"seen\n{NOT_PASSED_ON}"
    assert "blocks" not in dropped.to_json()


@pytest.mark.parametrize(
    "value", [["word"] * 200_000, {str(n): "word" for n in range(200_000)}, "x" * 10**7, [[["y" * 10**6]]]]
)
def test_a_large_value_is_bounded_and_says_so(value: Any) -> None:
    stored = json.dumps(bounded_json(value))
    assert len(stored) < 800_000 and "left out" in stored


def test_a_deep_value_is_bounded_and_says_so() -> None:
    value: Any = "bottom"
    for _ in range(100_000):
        value = [value]
    stored = json.dumps(bounded_json(value))
    assert f"nested deeper than {MAX_DEPTH} levels" in stored and "bottom" not in stored


def test_a_value_within_the_limits_is_kept_as_it_is() -> None:
    value = {"a": [1, 2.5, None, True, {"b": "ü"}], "": []}
    assert bounded_json(value) == value


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "'what' of acting is missing. It takes 'what', 'times'"),
        ({"what": 3}, "'what' of acting: 3 is not of type 'string'"),
        ({"what": "x", "times": 0}, "'times' of acting: 0 is less than the minimum of 1"),
        ({"what": "x", "times": "two"}, "'times' of acting: 'two' is not of type 'integer'"),
        ({"what": "x", "wat": 1}, "'wat' was unexpected"),
        ([], "is not of type 'object'"),
    ],
)
def test_arguments_that_do_not_fit_are_explained(arguments: Any, words: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        validate(Acting(), arguments)
    assert words in str(caught.value)


def test_validation_changes_nothing() -> None:
    tool = Acting()
    tool.parameters = {"type": "object", "properties": {"a": {"type": "integer", "default": 3}}}
    arguments: dict[str, Any] = {}
    validate(tool, arguments)
    assert arguments == {}


def test_a_schema_that_points_elsewhere_is_never_fetched(context: ToolContext) -> None:
    tool = Acting()
    tool.parameters = {"type": "object", "properties": {"what": {"$ref": "http://127.0.0.1:1/schema.json"}}}
    result = execute(tool, {"what": "x"}, context)
    assert not result.ok


def test_every_tool_has_a_definition_that_a_model_can_be_given() -> None:
    for name, tool in BUILTIN.items():
        assert name == tool.name
        assert tool.description and tool.parameters["additionalProperties"] is False
        assert set(tool.parameters["required"]) <= set(tool.parameters["properties"])
        json.dumps(tool.definition)
        assert find("builtin", name) is tool


def test_an_unknown_tool_or_server_is_answered_with_what_there_is() -> None:
    with pytest.raises(UnknownTool, match=r"there are .*read_file"):
        find("builtin", "reed_file")
    with pytest.raises(UnknownTool, match="no server 'elsewhere'"):
        find("elsewhere", "read_file")


def test_a_recorded_tool_is_found_as_its_definition_says() -> None:
    reading = find("recorded.tau", "get_user", {"effects": {"kind": "read"}})
    assert reading.name == "get_user" and reading.effect_of({}) == SideEffect.NONE
    assert find("recorded.tau", "get_user").effect_of({}) == SideEffect.WRITE
