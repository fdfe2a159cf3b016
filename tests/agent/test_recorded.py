from typing import Any

from speculation.agent.recorded import RecordedModel, RecordedUser
from speculation.agent.types import (
    ArgumentsDelta,
    ArgumentsSealed,
    FirstToken,
    Message,
    ModelEvent,
    TextDelta,
    ToolNamed,
    TurnEnded,
)


class Clock:
    """Time that passes only in `sleep`."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def turn(
    text: str = "", *calls: tuple[str, dict[str, Any]], seconds: float = 2.0, user: str | None = None
) -> dict[str, Any]:
    return {
        "text": text,
        "seconds": seconds,
        "calls": [{"tool": tool, "arguments": arguments} for tool, arguments in calls],
        "user": user,
    }


RECORDING = {
    "model": "gpt-4o",
    "turns": [
        turn("Who are you?", user="I am Ada."),
        turn("Let me look.", ("get_user", {"name": "Ada"}), ("get_order", {"id": "über"})),
        turn("All done."),
    ],
}
TASK = Message("user", "Help me")
ASSISTANT = Message("assistant", "…")


def stream(messages: list[Message], time_scale: float = 1.0) -> list[tuple[float, ModelEvent]]:
    clock = Clock()
    model = RecordedModel(RECORDING, time_scale, sleep=clock.sleep, clock=clock)
    done = sum(message.role == "assistant" for message in messages)
    return [(clock.now, event) for event in model.stream(done + 1, messages, [])]


def test_a_turn_streams_what_was_written_and_called_within_its_recorded_time() -> None:
    timed = stream([TASK, ASSISTANT, Message("user", "I am Ada.")])
    events = [event for _, event in timed]
    assert isinstance(events[0], FirstToken)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Let me look."
    assert [event.tool for event in events if isinstance(event, ToolNamed)] == ["get_user", "get_order"]
    written = [event.text for event in events if isinstance(event, ArgumentsDelta) and event.index == 1]
    assert written[-1] == '{"id": "über"}'
    sealed = [event.call for event in events if isinstance(event, ArgumentsSealed)]
    ended = events[-1]
    assert isinstance(ended, TurnEnded)
    assert list(ended.calls) == sealed
    assert [call.call_id for call in sealed] == ["2.0", "2.1"]
    assert abs(timed[-1][0] - 2.0) < 1e-9


def test_events_come_in_order_of_time_and_at_most_some_ten_a_second() -> None:
    timed = stream([TASK, ASSISTANT, Message("user", "I am Ada.")])
    moments = [at for at, _ in timed]
    assert moments == sorted(moments)
    assert sum(isinstance(event, TextDelta | ArgumentsDelta) for _, event in timed) <= 2 * 10 + 3


def test_the_time_scale_divides_the_recorded_time() -> None:
    assert abs(stream([TASK], time_scale=5.0)[-1][0] - 0.4) < 1e-9


def test_a_listener_that_takes_long_does_not_make_the_model_slower() -> None:
    clock = Clock()
    model = RecordedModel(RECORDING, sleep=clock.sleep, clock=clock)
    for _ in model.stream(1, [TASK], []):
        clock.now += 0.01
    assert abs(clock.now - 2.01) < 0.02


def test_the_conversation_alone_decides_which_turn_comes_next_so_a_session_can_be_resumed() -> None:
    ended = stream([TASK, ASSISTANT, TASK, ASSISTANT])[-1][1]
    assert isinstance(ended, TurnEnded)
    assert (ended.text, ended.calls, ended.finish_reason) == ("All done.", (), "stop")


def test_a_model_asked_past_its_recording_ends_at_once_with_nothing_to_say() -> None:
    [(first_at, first), (at, ended)] = stream([TASK, ASSISTANT, ASSISTANT, ASSISTANT])
    assert isinstance(first, FirstToken)
    assert first_at == at == 0.0
    assert ended == TurnEnded("")


def test_the_user_answers_with_the_recorded_words_and_the_last_turn_is_the_answer() -> None:
    user = RecordedUser(RECORDING)
    assert user.reply([TASK, ASSISTANT]) == "I am Ada."
    assert user.reply([TASK, ASSISTANT, TASK, ASSISTANT, ASSISTANT]) is None
