"""Waiting that ends as soon as nobody wants the result any more."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tools.base import Tool, ToolCall, ToolContext, ToolStopped, ToolTimeout

T = TypeVar("T")

POLL_SECONDS = 0.05
"""Half of what ToolContext promises, so that a busy machine still keeps the promise."""


def pause(seconds: float, context: ToolContext) -> None:
    """Sleep that long. Raises ToolStopped within POLL_SECONDS of a stop."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if context.should_stop():
            raise ToolStopped
        time.sleep(min(left, POLL_SECONDS))


def stand_in_for_network(tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> None:
    """Wait the stated network latency, times a factor from 0.6 to 1.4 that depends on the call alone.

    The same call waits equally long in every run, so two runs compare; different calls differ, as on a network.
    """
    if context.network_latency_seconds <= 0:
        return
    digest = ToolCall(tool.name, arguments).fingerprint(tool.policy)
    factor = 0.6 + 0.8 * int(digest[:8], 16) / 0xFFFFFFFF
    pause(context.network_latency_seconds * factor, context)


def run_stoppable(
    work: Callable[[], T], context: ToolContext, *, limit_seconds: float, interrupt: Callable[[], None]
) -> T:
    """Run blocking `work` in a thread of its own, so that a stop or the limit is noticed while it blocks.

    `interrupt` is called once when it must end early; it makes `work` fail soon, whose outcome is then dropped.
    Raises what `work` raises, ToolStopped or ToolTimeout.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []
    done = threading.Event()

    def target() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            failure.append(error)
        finally:
            done.set()

    deadline = time.monotonic() + limit_seconds
    threading.Thread(target=target, name="tool", daemon=True).start()
    while not done.wait(POLL_SECONDS):
        if context.should_stop():
            interrupt()
            raise ToolStopped
        if time.monotonic() > deadline:
            interrupt()
            raise ToolTimeout(f"No answer within {limit_seconds:g} s; ask for less, or try again later.")
    if failure:
        raise failure[0]
    return outcome[0]
