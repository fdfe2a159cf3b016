"""What a stream tells is gathered as evidence, and looked at no oftener than is of use."""

from speculation.agent.types import (
    ArgumentsDelta,
    ArgumentsSealed,
    FirstToken,
    RequestedCall,
    TextDelta,
    ThinkingDelta,
    ToolNamed,
)
from speculation.engine.evidence import Evidence
from speculation.listening import LOOK_EVERY_SECONDS, StreamedTurn
from tools.base import ToolCall


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_thinking_and_speech_are_one_text_and_arguments_are_read_as_far_as_they_are_certain() -> None:
    turn = StreamedTurn(1)
    for event in (
        ThinkingDelta("Hm. "),
        TextDelta("I look."),
        ToolNamed(0, "get"),
        ArgumentsDelta(0, "get", '{"a": "x", "b": "y'),
    ):
        turn.hear(event)
    assert turn.take() == Evidence("Hm. I look.", "get", {"a": "x"}, "b", "y")


def test_a_sealed_call_makes_room_for_the_next() -> None:
    turn = StreamedTurn(1)
    turn.hear(ToolNamed(0, "get"))
    turn.hear(ArgumentsDelta(0, "get", '{"a": 1}'))
    turn.hear(ArgumentsSealed(0, RequestedCall("1.0", "get", {"a": 1})))
    assert turn.take() == Evidence(sealed=(ToolCall("get", {"a": 1}),))
    turn.hear(ToolNamed(1, "put"))
    assert turn.take() == Evidence(tool="put", sealed=(ToolCall("get", {"a": 1}),))


def test_news_is_taken_once() -> None:
    turn = StreamedTurn(1)
    assert turn.take() is None
    turn.hear(TextDelta("a"))
    assert turn.take() is not None and turn.take() is None


def test_words_are_looked_at_now_and_then_and_a_tools_name_at_once() -> None:
    clock = Clock()
    turn = StreamedTurn(1, clock)
    assert turn.hear(TextDelta("a"))
    turn.take()
    clock.now += LOOK_EVERY_SECONDS / 2
    assert not turn.hear(TextDelta("b"))
    assert turn.hear(ToolNamed(0, "get"))
    turn.take()
    clock.now += LOOK_EVERY_SECONDS
    assert turn.hear(ArgumentsDelta(0, "get", '{"a'))


def test_the_end_of_a_call_is_no_reason_to_look() -> None:
    turn = StreamedTurn(1)
    assert not turn.hear(FirstToken())
    assert not turn.hear(ArgumentsDelta(0, "get", '{"a": 1}'))
    assert not turn.hear(ArgumentsSealed(0, RequestedCall("1.0", "get", {"a": 1})))


def test_a_call_that_cannot_be_stored_is_none() -> None:
    turn = StreamedTurn(1)
    turn.hear(ArgumentsSealed(0, RequestedCall("1.0", "get", {"a": "\x00"})))
    assert turn.take() == Evidence()


def test_a_closed_turn_tells_nothing() -> None:
    turn = StreamedTurn(1)
    turn.hear(TextDelta("a"))
    turn.close()
    assert turn.take() is None
