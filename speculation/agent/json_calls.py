"""Tool calls for small models that know none: each turn is one JSON object, held to a schema by the server.

The object is {"thought"?, "tool", "arguments"} or {"thought"?, "tool": "answer", "answer"}: one call a turn.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jiter
from openai.types.chat.chat_completion_chunk import ChoiceDelta

from speculation.agent.native_calls import read_call
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
ANSWER = "answer"

_ARGUMENTS = re.compile(r'"arguments"\s*:\s*')
"""Within a JSON string the quotation marks would be escaped, so the first match is the object's own key."""
_UNDERSTOOD = frozenset({"type", "properties", "required", "items", "enum", "const", "anyOf", "additionalProperties"})
"""What servers turn into a grammar. Lengths and patterns make them slow, or refuse; the tool checks them anyway."""


def request_body(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Json:
    """What a request holds beside the model's name."""
    system = "\n\n".join(message.content for message in messages if message.role == "system")
    chat = [{"role": "system", "content": f"{system}\n\n{_instructions(tools)}".strip()}]
    chat += [entry for message in messages if message.role != "system" for entry in _as_chat(message)]
    schema = {"name": "turn", "schema": turn_schema(tools)}
    return {"messages": chat, "response_format": {"type": "json_schema", "json_schema": schema}}


def turn_schema(tools: Sequence[ToolSpec]) -> Json:
    """One alternative a tool, so that the arguments fit the tool that was named, and one for the answer."""
    calls = [_alternative(tool.name, {"arguments": _understood(tool.parameters)}) for tool in tools]
    return {"anyOf": [*calls, _alternative(ANSWER, {"answer": {"type": "string"}})]}


def _alternative(name: str, rest: Json) -> Json:
    properties = {"thought": {"type": "string"}, "tool": {"const": name}, **rest}
    return {"type": "object", "properties": properties, "required": ["tool", *rest], "additionalProperties": False}


def _understood(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_understood(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    kept = {key: _understood(value) for key, value in schema.items() if key in _UNDERSTOOD and key != "properties"}
    if "properties" in schema:
        kept["properties"] = {name: _understood(value) for name, value in schema["properties"].items()}
    return kept


def _instructions(tools: Sequence[ToolSpec]) -> str:
    lines = [
        'Reply with one JSON object and nothing else: {"thought": why, "tool": name, "arguments": {...}} to use a tool, '
        'or {"thought": why, "tool": "answer", "answer": text} once you can answer. Tools:'
    ]
    lines += [f"- {tool.name}: {tool.description} Arguments: {json.dumps(dict(tool.parameters))}" for tool in tools]
    return "\n".join(lines)


def _as_chat(message: Message) -> Iterator[dict[str, str]]:
    if message.role == "tool":
        state = "" if message.ok else " (failed)"
        yield {"role": "user", "content": f"Result of {message.tool}{state}:\n{message.content}"}
    elif message.role == "assistant":
        yield from ({"role": "assistant", "content": json.dumps(turn, ensure_ascii=False)} for turn in _turns(message))
    else:
        yield {"role": message.role, "content": message.content}


def _turns(message: Message) -> Iterator[Json]:
    for call in message.calls:
        yield {"thought": message.content, "tool": call.tool, "arguments": dict(call.arguments)}
    if not message.calls:
        yield {"tool": ANSWER, "answer": message.content}


class JsonTurn:
    """One turn read from the JSON text as it grows."""

    def __init__(self, turn: int) -> None:
        self.turn = turn
        self._json = ""
        self._spoken = {"thought": 0, ANSWER: 0}
        self._tool = ""
        self._is_sealed = False

    def add(self, delta: ChoiceDelta) -> Iterator[ModelEvent]:
        if not delta.content:
            return
        self._json += delta.content
        yield from self._speak()
        if not self._tool:
            yield from self._name()
        if self._tool and not self._is_sealed:
            yield from self._fill()

    def finish(self) -> Iterator[ModelEvent]:
        """Nothing is left to seal: an object's arguments are sealed by their own closing brace."""
        yield from ()

    @property
    def text(self) -> str:
        """The answer, or the thought before a call. A server that ignored the schema has said all of it in words."""
        value = self._parsed("trailing-strings")
        if not isinstance(value, dict):
            return self._json
        return str(value.get(ANSWER if value.get("tool") == ANSWER else "thought", ""))

    @property
    def calls(self) -> tuple[RequestedCall, ...]:
        if not self._tool:
            return ()
        value = self._parsed("off")
        if isinstance(value, dict):
            arguments = json.dumps(value.get("arguments", {}))
        else:
            arguments = self._arguments() or "{"
        return (read_call(f"{self.turn}.0", self._tool, arguments),)

    def _speak(self) -> Iterator[ModelEvent]:
        value = self._parsed("trailing-strings")
        for key, length in self._spoken.items():
            said = value.get(key) if isinstance(value, dict) else None
            if isinstance(said, str) and len(said) > length:
                self._spoken[key] = len(said)
                yield TextDelta(said[length:])

    def _name(self) -> Iterator[ModelEvent]:
        value = self._parsed("on")
        tool = value.get("tool") if isinstance(value, dict) else None
        if isinstance(tool, str) and tool != ANSWER:
            self._tool = tool
            yield ToolNamed(0, tool)

    def _fill(self) -> Iterator[ModelEvent]:
        text = self._arguments()
        if not text:
            return
        try:
            _, end = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError):
            yield ArgumentsDelta(0, self._tool, text)
            return
        self._is_sealed = True
        yield ArgumentsDelta(0, self._tool, text[:end])
        call = read_call(f"{self.turn}.0", self._tool, text[:end])
        if not call.problem:
            yield ArgumentsSealed(0, call)

    def _arguments(self) -> str:
        start = _ARGUMENTS.search(self._json)
        return self._json[start.end() :] if start else ""

    def _parsed(self, mode: Any) -> Any:
        """The value so far, or None where there is none yet. "on" leaves out strings that are not closed."""
        try:
            return jiter.from_json(self._json.encode(), partial_mode=mode)
        except ValueError:
            return None
