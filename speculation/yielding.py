"""While nobody has asked for it, a run yields the processor to real work: it and what it starts have a low priority.

Raised again when a call joins the run. Where this process may lower a priority but not raise it again (an ordinary user
without RLIMIT_NICE), it lowers none: a joined run would stay behind. For a process that runs one tool at a time; Linux.
"""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

logger = logging.getLogger(__name__)

NICENESS = 15
_TASKS = Path("/proc/self/task")


@contextmanager
def low_priority() -> Iterator[None]:
    """This thread, and the threads and programs that it starts, from here to the end, or until `raise_all`."""
    if not may_raise():
        yield
        return
    _set(threading.get_native_id(), NICENESS)
    try:
        yield
    finally:
        raise_all()


def raise_all() -> None:
    """Back to the usual priority: every thread of this process, and the groups of the programs that they run."""
    if not may_raise():
        return
    for task in _TASKS.iterdir():
        _set(int(task.name), 0)
        with suppress(OSError):  # the thread has ended, or this kernel does not list children
            for child in (task / "children").read_text().split():
                with suppress(OSError):
                    os.setpriority(os.PRIO_PGRP, int(child), 0)


@cache
def may_raise() -> bool:
    """Tried once a process, on a thread that is then gone."""
    may: list[bool] = []

    def try_it() -> None:
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 0)
            may.append(_TASKS.exists())
        except OSError:
            may.append(False)

    trial = threading.Thread(target=try_it)
    trial.start()
    trial.join()
    if not may[0]:
        logger.info("guesses run at the usual priority: this user may not raise one that was lowered (RLIMIT_NICE)")
    return may[0]


def _set(thread_id: int, niceness: int) -> None:
    with suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, thread_id, niceness)
