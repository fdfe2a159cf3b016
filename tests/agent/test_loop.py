"""The loop against a listed model and a host that answers from a table: no time, no network."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from speculation.agent.loop import AgentLoop
from speculation.agent.types import (
    FirstToken,
    Message,
    ModelError,
    ModelEvent,
    ModelStream,
    RequestedCall,
    SessionStopped,
    TextDelta,
    ToolSpec,
    TurnEnded,
)

TASK = Message("user", "Which is larger?")


@dataclass
class ListedModel:
    """Answers each request with the next item: a turn, or an error to raise."""

    items: Sequence[TurnEnded | ModelError]
    name: str = "listed"
    is_scripted: bool = True
    asked: list[tuple[int, list[Message]]] = field(default_factory=list)
    closed: int = 0

    def stream(self, turn: int, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> ModelStream:
        self.asked.append((turn, list(messages)))
        item = self.items[len(self.asked) - 1]
        try:
            yield from self._events(item)
        finally:
            self.closed += 1

    def _events(self, item: TurnEnded | ModelError) -> Iterator[ModelEvent]:
        yield FirstToken()
        if isinstance(item, ModelError):
            raise item
        yield TextDelta(item.text)
        yield item


@dataclass
class TableHost:
    """Answers a call with the table's text for its tool; writes down what it hears."""

    table: Mapping[str, str] = field(default_factory=dict)
    heard: list[object] = field(default_factory=list)

    def user_said(self, text: str) -> None:
        self.heard.append(("user_said", text))

    def turn_started(self, turn: int) -> None:
        self.heard.append(("turn_started", turn))

    def streamed(self, turn: int, event: ModelEvent) -> None:
        self.heard.append(("streamed", turn, event))

    def turn_ended(self, turn: int, ended: TurnEnded) -> None:
        self.heard.append(("turn_ended", turn, ended))

    def answer_calls(self, turn: int, calls: Sequence[RequestedCall]) -> Sequence[Message]:
        self.heard.append(("answer_calls", turn, [call.call_id for call in calls]))
        return [Message("tool", self.table[call.tool], call_id=call.call_id, tool=call.tool) for call in calls]


@dataclass
class PatientUser:
    replies: list[str] = field(default_factory=list)

    def reply(self, messages: Sequence[Message]) -> str | None:
        return self.replies.pop(0) if self.replies else None


def calls_of(turn: int, *tools: str, problem: str = "") -> tuple[RequestedCall, ...]:
    return tuple(RequestedCall(f"{turn}.{i}", tool, {}, problem=problem) for i, tool in enumerate(tools))


def loop_of(model: ListedModel, host: TableHost, *replies: str, max_turns: int = 9) -> tuple[AgentLoop, list[float]]:
    slept: list[float] = []
    return AgentLoop(model, PatientUser(list(replies)), host, (), "Be brief.", max_turns, sleep=slept.append), slept


def kinds_of(host: TableHost) -> list[object]:
    return [line[0] for line in host.heard if isinstance(line, tuple) and line[0] != "streamed"]


def test_an_answer_without_calls_ends_the_session() -> None:
    host = TableHost()
    loop, _ = loop_of(ListedModel([TurnEnded("The sun.")]), host)
    outcome = loop.run([TASK])
    assert (outcome.status, outcome.answer, outcome.error) == ("succeeded", "The sun.", None)
    assert kinds_of(host) == ["turn_started", "turn_ended"]
    assert loop.messages[0] == Message("system", "Be brief.")


def test_calls_of_one_turn_go_to_the_host_together_and_their_answers_to_the_model() -> None:
    model = ListedModel([TurnEnded("Looking.", calls_of(1, "read", "search")), TurnEnded("Done.")])
    host = TableHost({"read": "a", "search": "b"})
    loop_of(model, host)[0].run([TASK])
    assert ("answer_calls", 1, ["1.0", "1.1"]) in host.heard
    turn, messages = model.asked[1]
    assert turn == 2
    assert [(message.role, message.content) for message in messages[-2:]] == [("tool", "a"), ("tool", "b")]


def test_the_host_stores_a_turn_before_any_of_its_calls_runs() -> None:
    host = TableHost({"read": "a"})
    loop_of(ListedModel([TurnEnded("", calls_of(1, "read")), TurnEnded("Done.")]), host)[0].run([TASK])
    assert kinds_of(host)[:3] == ["turn_started", "turn_ended", "answer_calls"]


def test_a_call_that_cannot_be_read_is_answered_with_its_problem_and_never_run() -> None:
    unreadable = RequestedCall("1.0", "read", {}, problem="The arguments are no JSON object.")
    model = ListedModel([TurnEnded("", (unreadable, RequestedCall("1.1", "read", {}))), TurnEnded("Done.")])
    host = TableHost({"read": "a"})
    loop_of(model, host)[0].run([TASK])
    assert ("answer_calls", 1, ["1.1"]) in host.heard
    answers = {
        message.call_id: (message.content, message.ok) for message in model.asked[1][1] if message.role == "tool"
    }
    assert answers == {"1.0": ("The arguments are no JSON object.", False), "1.1": ("a", True)}


def test_a_user_with_more_to_say_keeps_the_session_going() -> None:
    model = ListedModel([TurnEnded("Which one?"), TurnEnded("Done.")])
    host = TableHost()
    outcome = loop_of(model, host, "The second.")[0].run([TASK])
    assert outcome.answer == "Done."
    assert ("user_said", "The second.") in host.heard
    assert model.asked[1][1][-1] == Message("user", "The second.")


def test_too_many_turns_fail_with_the_number_of_turns() -> None:
    model = ListedModel([TurnEnded("", calls_of(turn, "read")) for turn in (1, 2)])
    outcome = loop_of(model, TableHost({"read": "a"}), max_turns=2)[0].run([TASK])
    assert outcome.status == "failed"
    assert outcome.answer is None
    assert "2 turns" in (outcome.error or "")
    assert len(model.asked) == 2


def test_a_model_that_asks_to_wait_is_asked_again_after_the_wait() -> None:
    model = ListedModel([ModelError("busy", 3.0), ModelError("busy", 5.0), TurnEnded("Done.")])
    loop, slept = loop_of(model, TableHost())
    assert loop.run([TASK]).answer == "Done."
    assert slept == [3.0, 5.0]
    assert [turn for turn, _ in model.asked] == [1, 1, 1]


@pytest.mark.parametrize(
    ("error", "requests"), [(ModelError("busy", 1.0), 5), (ModelError("wrong key"), 1), (ModelError("busy", 3600.0), 1)]
)
def test_retries_are_bounded_and_the_last_error_is_told(error: ModelError, requests: int) -> None:
    model = ListedModel([error] * 9)
    outcome = loop_of(model, TableHost())[0].run([TASK])
    assert (outcome.status, outcome.error) == ("failed", str(error))
    assert len(model.asked) == requests


def test_a_stopped_session_closes_the_stream_and_passes_through() -> None:
    class StoppingHost(TableHost):
        def streamed(self, turn: int, event: ModelEvent) -> None:
            raise SessionStopped("cancelled")

    model = ListedModel([TurnEnded("never")])
    with pytest.raises(SessionStopped):
        loop_of(model, StoppingHost())[0].run([TASK])
    assert model.closed == 1


def test_a_stream_without_an_end_of_turn_is_asked_for_again() -> None:
    class Silent(ListedModel):
        def _events(self, item: TurnEnded | ModelError) -> Iterator[ModelEvent]:
            return super()._events(item) if len(self.asked) > 1 else iter([FirstToken()])

    loop, slept = loop_of(Silent([TurnEnded("Done."), TurnEnded("Done.")]), TableHost())
    assert loop.run([TASK]).answer == "Done."
    assert slept == [1.0]


def test_a_session_goes_on_from_calls_that_were_not_all_answered() -> None:
    model = ListedModel([TurnEnded("Done.")])
    host = TableHost({"read": "a", "search": "b"})
    prefix = [
        TASK,
        Message("assistant", "Looking.", calls=calls_of(1, "read", "search")),
        Message("tool", "a", call_id="1.0", tool="read"),
    ]
    assert loop_of(model, host)[0].run(prefix).answer == "Done."
    assert ("answer_calls", 1, ["1.0", "1.1"]) in host.heard
    turn, messages = model.asked[0]
    assert turn == 2
    assert [message.call_id for message in messages if message.role == "tool"] == ["1.0", "1.1"]


def test_a_session_whose_calls_are_all_answered_asks_for_none_of_them_again() -> None:
    host = TableHost()
    prefix = [TASK, Message("assistant", "", calls=calls_of(1, "read")), Message("tool", "a", call_id="1.0")]
    loop_of(ListedModel([TurnEnded("Done.")]), host)[0].run(prefix)
    assert "answer_calls" not in kinds_of(host)


def test_a_session_that_had_answered_ends_without_asking_the_model() -> None:
    model = ListedModel([])
    outcome = loop_of(model, TableHost())[0].run([TASK, Message("assistant", "The sun.")])
    assert (outcome.status, outcome.answer, model.asked) == ("succeeded", "The sun.", [])


def test_an_unreadable_call_keeps_its_answer_when_a_session_is_rebuilt_from_its_log() -> None:
    model = ListedModel([TurnEnded("Done.")])
    prefix = [TASK, Message("assistant", "", calls=calls_of(1, "read", problem="No JSON."))]
    loop_of(model, TableHost())[0].run(prefix)
    assert model.asked[0][1][-1] == Message("tool", "No JSON.", call_id="1.0", tool="read", ok=False)


def test_what_cannot_be_stored_is_cleaned_from_words_and_refused_in_calls() -> None:
    call = RequestedCall("1.0", "search", {"query": "a\0b"})
    model = ListedModel([TurnEnded("so\0on \ud800", [call]), TurnEnded("done")])
    host = TableHost({"search": "never"})
    outcome = AgentLoop(model, PatientUser([]), host, (), "", 5).run([TASK])
    assert outcome.answer == "done"
    (told,) = [message for message in model.asked[1][1] if message.role == "tool"]
    assert not told.ok and "U+0000" in told.content
    (said,) = [message for message in model.asked[1][1] if message.role == "assistant"]
    assert said.content == "soon ?"
