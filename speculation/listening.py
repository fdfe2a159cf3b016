"""What the model streams in a turn, gathered as evidence: told piece by piece by one thread, taken as a whole by another."""

import threading
import time
from collections.abc import Callable

from speculation.agent.partial_calls import read_partial
from speculation.agent.storable import storable
from speculation.agent.types import (
    ArgumentsDelta,
    ArgumentsSealed,
    ModelEvent,
    RequestedCall,
    TextDelta,
    ThinkingDelta,
    ToolNamed,
    TurnEnded,
)
from speculation.engine.evidence import Evidence
from tools.base import ToolCall

LOOK_EVERY_SECONDS = 0.05
"""Evidence is weighed no oftener, but for a tool's name, which tells most."""


class StreamedTurn:
    """One turn so far. Neither side ever waits for the other's work; what was told last wins."""

    def __init__(self, turn: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.turn = turn
        self._clock = clock
        self._lock = threading.Lock()
        self._texts: list[str] = []
        self._tool = self._arguments = ""
        self._sealed: tuple[ToolCall, ...] = ()
        self._has_news = self._is_over = False
        self._looked_at = float("-inf")

    def hear(self, event: ModelEvent) -> bool:
        """Note what streamed. True if it is time to look at the evidence.

        Never at the end of a call: where others follow, their names are next; where none does, so is the real call.
        """
        with self._lock:
            if not self._note(event):
                return False
            self._has_news = True
            if isinstance(event, ToolNamed):
                return True
            is_due = self._clock() - self._looked_at >= LOOK_EVERY_SECONDS
            return is_due and not _ends_a_call(event)

    def take(self) -> Evidence | None:
        """All evidence, if there is news since the last time."""
        with self._lock:
            if not self._has_news or self._is_over:
                return None
            self._has_news = False
            self._looked_at = self._clock()
            text, tool, arguments, sealed = "".join(self._texts), self._tool, self._arguments, self._sealed
        partial = read_partial(arguments)
        return Evidence(text, tool, partial.complete, partial.name, partial.value, sealed)

    def close(self) -> None:
        """The turn is over: nothing is taken any more."""
        self._is_over = True

    def _note(self, event: ModelEvent) -> bool:
        match event:
            case TextDelta(text) | ThinkingDelta(text):
                self._texts.append(text)
            case ToolNamed(_, tool):
                self._tool, self._arguments = tool, ""
            case ArgumentsDelta(_, _, text):
                self._arguments = text
            case ArgumentsSealed(_, call):
                self._tool = self._arguments = ""
                if _may_be_stored(call):
                    self._sealed = (*self._sealed, ToolCall(call.tool, call.arguments))
            case _:
                return False
        return True


def _ends_a_call(event: ModelEvent) -> bool:
    written = event.text.rstrip() if isinstance(event, ArgumentsDelta) else ""
    return isinstance(event, ArgumentsSealed) or written.endswith("}")


def _may_be_stored(call: RequestedCall) -> bool:
    return not storable(TurnEnded("", (call,))).calls[0].problem
