"""Work that keeps a processor busy for a stated time, as a made-up tool needs it."""

import time

from tools.base import ToolContext, ToolStopped


def compute(processor_seconds: float, context: ToolContext) -> None:
    """Use that much of this thread's processor time; where others want the processor too, it takes longer.

    Raises ToolStopped at once where nobody wants the result any more.
    """
    until = time.thread_time() + processor_seconds
    while time.thread_time() < until:
        if context.should_stop():
            raise ToolStopped
        sum(range(500))
