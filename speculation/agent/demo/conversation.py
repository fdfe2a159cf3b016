"""What a script reads its next turn from: the task, and the calls so far with what the tools really answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from speculation.agent.types import Message, RequestedCall


@dataclass(frozen=True)
class Done:
    """One call and its answer."""

    tool: str
    arguments: Mapping[str, Any]
    ok: bool
    content: str
    structured: Any


class Conversation:
    def __init__(self, messages: Sequence[Message]) -> None:
        self.task = next(message.content for message in messages if message.role == "user")
        calls: dict[str, RequestedCall] = {call.call_id: call for message in messages for call in message.calls}
        self.done: list[Done] = [
            Done(message.tool, calls[message.call_id].arguments, message.ok, message.content, message.structured)
            for message in messages
            if message.role == "tool"
        ]

    def all(self, tool: str, **arguments: Any) -> list[Done]:
        """The calls of a tool, in order, whose arguments include the given ones."""
        return [done for done in self.done if done.tool == tool and arguments.items() <= dict(done.arguments).items()]

    def last(self, tool: str, **arguments: Any) -> Done | None:
        """The latest such call."""
        return next(reversed(self.all(tool, **arguments)), None)

    @property
    def failure(self) -> Done | None:
        """A call of the last turn that a tool refused. A command that ran and failed is no such thing: it has a value."""
        return next((done for done in self.done if not done.ok and done.structured is None), None)
