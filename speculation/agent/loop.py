"""The agent's loop: ask the model, let the host answer its calls, until it answers in words.

Style after mini-swe-agent: the loop keeps the conversation and nothing else. Whoever calls it owns time, storage and
tools, so any prefix of a conversation, rebuilt from a log, is a place to go on from.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from speculation.agent.storable import storable
from speculation.agent.types import (
    Host,
    Message,
    Model,
    ModelError,
    Outcome,
    RequestedCall,
    ToolSpec,
    TurnEnded,
    User,
)


@dataclass
class AgentLoop:
    """One session's loop. `run` may be called once.

    A failed model request is tried again at most `max_retries` times, and only where the model's error says how long to
    wait and that is at most `max_retry_wait_seconds`. SessionStopped, from the host or from `sleep`, passes through.
    """

    model: Model
    user: User
    host: Host
    tools: Sequence[ToolSpec]
    system_prompt: str
    max_turns: int
    max_retries: int = 4
    max_retry_wait_seconds: float = 60.0
    sleep: Callable[[float], None] = time.sleep
    messages: list[Message] = field(default_factory=list, init=False)

    def run(self, messages: Sequence[Message]) -> Outcome:
        """Go on from `messages`: the task alone, or everything said so far; the host has stored all of it."""
        self.messages = [*self._opening(messages), *_with_refusals(messages)]
        try:
            self._answer_open_calls()
            while not self._has_ended():
                if self.turn >= self.max_turns:
                    return Outcome(
                        "failed", error=f"No answer after {self.max_turns} turns, the most this agent may take."
                    )
                self.step()
        except ModelError as error:
            return Outcome("failed", error=str(error))
        return Outcome("succeeded", answer=self.messages[-1].content)

    @property
    def turn(self) -> int:
        """How many turns the model has had."""
        return sum(message.role == "assistant" for message in self.messages)

    def step(self) -> None:
        """One turn of the model and the answers to its calls."""
        self._answer(self._ask())

    def _opening(self, messages: Sequence[Message]) -> list[Message]:
        has_one = bool(messages) and messages[0].role == "system"
        return [] if has_one or not self.system_prompt else [Message("system", self.system_prompt)]

    def _has_ended(self) -> bool:
        """True once the model spoke without calling a tool and the user has nothing to add."""
        last = self.messages[-1]
        if last.role != "assistant" or last.calls:
            return False
        text = self.user.reply(self.messages)
        if text is None:
            return True
        self.host.user_said(text)
        self.messages.append(Message("user", text))
        return False

    def _ask(self) -> TurnEnded:
        turn = self.turn + 1
        for retry in range(self.max_retries + 1):
            try:
                return self._ask_once(turn)
            except ModelError as error:
                wait_seconds = error.retry_after_seconds
                if wait_seconds is None or wait_seconds > self.max_retry_wait_seconds or retry == self.max_retries:
                    raise
                self.sleep(wait_seconds)
        raise AssertionError("the last retry returns or raises")

    def _ask_once(self, turn: int) -> TurnEnded:
        self.host.turn_started(turn)
        with closing(self.model.stream(turn, self.messages, self.tools)) as events:
            for event in events:
                if isinstance(event, TurnEnded):
                    ended = storable(event)
                    self.host.turn_ended(turn, ended)
                    return ended
                self.host.streamed(turn, event)
        raise ModelError(f"The model {self.model.name} stopped without ending its turn.", retry_after_seconds=1.0)

    def _answer(self, ended: TurnEnded) -> None:
        self.messages.append(Message("assistant", ended.text, calls=ended.calls))
        self._answer_calls(ended.calls)

    def _answer_calls(self, calls: Sequence[RequestedCall]) -> None:
        """Calls that cannot be read are answered here; the host runs the others, all in one request."""
        turn = self.turn
        self.messages.extend(_refusals(calls))
        if readable := [call for call in calls if not call.problem]:
            self.messages.extend(self.host.answer_calls(turn, readable))

    def _answer_open_calls(self) -> None:
        """Ask anew for all calls of a last turn that was cut short: the host knows which are done."""
        last = max((i for i, message in enumerate(self.messages) if message.role == "assistant"), default=None)
        if last is None:
            return
        calls = self.messages[last].calls
        answered = {message.call_id for message in self.messages[last + 1 :]}
        if any(call.call_id not in answered for call in calls):
            del self.messages[last + 1 :]
            self._answer_calls(calls)


def _refusals(calls: Sequence[RequestedCall]) -> list[Message]:
    return [
        Message("tool", call.problem, call_id=call.call_id, tool=call.tool, ok=False) for call in calls if call.problem
    ]


def _with_refusals(messages: Sequence[Message]) -> Iterator[Message]:
    """`messages` with the loop's own answers put back: a log holds the turn, not what the loop made of it."""
    answered = {message.call_id for message in messages if message.role == "tool"}
    for message in messages:
        yield message
        yield from (refusal for refusal in _refusals(message.calls) if refusal.call_id not in answered)
