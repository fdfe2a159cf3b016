"""A session's log, read back as the conversation an agent loop can go on from."""

from collections.abc import Iterable, Mapping
from typing import Any

from speculation.agent.types import Message, RequestedCall
from speculation.models import EventRecord, Session


def requested_calls(payload: Mapping[str, Any]) -> list[RequestedCall]:
    """The calls of a `turn_ended` event."""
    return [
        RequestedCall(
            call_id=call["call_id"],
            tool=call["tool"],
            arguments=call["arguments"],
            provider_call_id=call.get("provider_call_id", ""),
            problem=call.get("problem", ""),
        )
        for call in payload["calls"]
    ]


def answer_message(payload: Mapping[str, Any]) -> Message:
    """The message that a `call_returned` event gave to the model."""
    return Message(
        "tool",
        payload["content"],
        call_id=payload["call_id"],
        tool=payload["tool"],
        ok=payload["ok"],
        structured=payload["structured"],
        attached=payload.get("attached", False),
    )


def conversation_of(records: Iterable[EventRecord]) -> list[Message]:
    """Everything said so far. Answers of one turn stand in the order of its calls, whatever order they came back in."""
    messages: list[Message] = []
    order: list[str] = []
    for record in records:
        if record.kind == "user_said":
            messages.append(Message("user", record.payload["text"]))
        elif record.kind == "turn_ended":
            calls = requested_calls(record.payload)
            order = [call.call_id for call in calls]
            messages.append(Message("assistant", record.payload["text"], calls=calls))
        elif record.kind == "call_returned":
            messages.append(answer_message(record.payload))
            _sort_last_answers(messages, order)
    return messages


def _sort_last_answers(messages: list[Message], order: list[str]) -> None:
    start = next(i for i in range(len(messages), 0, -1) if messages[i - 1].role == "assistant")
    messages[start:] = sorted(messages[start:], key=lambda message: order.index(message.call_id))


def conversation(session: Session) -> list[Message]:
    """The session's conversation, from its log."""
    kinds = ["user_said", "turn_ended", "call_returned"]
    return conversation_of(EventRecord.objects.filter(session=session, kind__in=kinds).order_by("seq"))
