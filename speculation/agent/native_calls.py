"""Native tool calls of chat completions: our conversation as theirs, and their streamed pieces as our events."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openai.types.chat.chat_completion_chunk import ChoiceDelta, ChoiceDeltaToolCall

from speculation.agent.types import (
    ArgumentsDelta,
    ArgumentsSealed,
    Message,
    ModelEvent,
    RequestedCall,
    TextDelta,
    ToolNamed,
    ToolSpec,
)

Json = dict[str, Any]


def request_body(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Json:
    """What a request holds beside the model's name."""
    ids = {call.call_id: _provider_id(call) for message in messages for call in message.calls}
    body: Json = {"messages": [_as_chat(message, ids) for message in messages]}
    if tools:
        body["tools"] = [_as_function(tool) for tool in tools]
    return body


def _as_function(tool: ToolSpec) -> Json:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _as_chat(message: Message, ids: Mapping[str, str]) -> Json:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": ids.get(message.call_id, message.call_id), "content": message.content}
    if message.calls:
        calls = [_as_tool_call(call) for call in message.calls]
        return {"role": "assistant", "content": message.content or None, "tool_calls": calls}
    return {"role": message.role, "content": message.content}


def _as_tool_call(call: RequestedCall) -> Json:
    function = {"name": call.tool, "arguments": json.dumps(dict(call.arguments), ensure_ascii=False)}
    return {"id": _provider_id(call), "type": "function", "function": function}


def _provider_id(call: RequestedCall) -> str:
    return call.provider_call_id or call.call_id


def read_call(call_id: str, tool: str, arguments: str, provider_call_id: str = "") -> RequestedCall:
    """A call out of the text of its arguments; no text means no arguments. Anything but an object is a problem."""
    try:
        value = json.loads(arguments) if arguments.strip() else {}
    except (ValueError, RecursionError) as error:
        problem = f"The arguments of {tool} are no JSON ({error}). Send the call again with one complete JSON object."
        return RequestedCall(call_id, tool, {}, provider_call_id, problem)
    if not isinstance(value, dict):
        problem = f"The arguments of {tool} must be a JSON object of argument names and values. Send the call again."
        return RequestedCall(call_id, tool, {}, provider_call_id, problem)
    return RequestedCall(call_id, tool, value, provider_call_id)


@dataclass
class _GrowingCall:
    """A call as far as it has streamed. `place` is the provider's index."""

    place: int
    tool: str = ""
    provider_call_id: str = ""
    arguments: str = ""


class NativeTurn:
    """One turn put together from its pieces. A call is sealed when the next one begins or the turn is finished."""

    def __init__(self, turn: int) -> None:
        self.turn = turn
        self.text = ""
        self._growing: list[_GrowingCall] = []
        self._is_sealed = False

    @property
    def calls(self) -> tuple[RequestedCall, ...]:
        return tuple(self._read(index) for index in range(len(self._growing)))

    def add(self, delta: ChoiceDelta) -> Iterator[ModelEvent]:
        if delta.content:
            self.text += delta.content
            yield TextDelta(delta.content)
        for piece in delta.tool_calls or ():
            yield from self._add_piece(piece)

    def finish(self) -> Iterator[ModelEvent]:
        """Seal the last call. Safe to call again."""
        if self._growing and not self._is_sealed:
            self._is_sealed = True
            index = len(self._growing) - 1
            if not (call := self._read(index)).problem:
                yield ArgumentsSealed(index, call)

    def _add_piece(self, piece: ChoiceDeltaToolCall) -> Iterator[ModelEvent]:
        if self._begins_a_call(piece):
            yield from self.finish()
            self._growing.append(_GrowingCall(piece.index))
            self._is_sealed = False
        call, index = self._growing[-1], len(self._growing) - 1
        call.provider_call_id = call.provider_call_id or piece.id or ""
        name, arguments = (piece.function.name, piece.function.arguments) if piece.function else (None, None)
        if name and not call.tool:
            call.tool = name
            yield ToolNamed(index, name)
        if arguments:
            call.arguments += arguments
            yield ArgumentsDelta(index, call.tool, call.arguments)

    def _begins_a_call(self, piece: ChoiceDeltaToolCall) -> bool:
        """Another index, or, from servers that give every call the index 0, another id along with a name."""
        if not self._growing or piece.index != self._growing[-1].place:
            return True
        is_named = piece.function is not None and bool(piece.function.name)
        return is_named and bool(piece.id) and piece.id != self._growing[-1].provider_call_id

    def _read(self, index: int) -> RequestedCall:
        call = self._growing[index]
        return read_call(f"{self.turn}.{index}", call.tool, call.arguments, call.provider_call_id)
