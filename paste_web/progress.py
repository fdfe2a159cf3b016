"""Tell a waiting person what is going on: whatever takes more than two seconds shows that it moves."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

SAY_EVERY_SECONDS = 2.0


def say(line: str, stream: TextIO | None = None) -> None:
    print(line, file=stream or sys.stderr, flush=True)


@contextmanager
def step(what: str, says_done: bool = True) -> Iterator[None]:
    """Say "what ... 4 s" every two seconds until it is done, then how long it took (always, or only if that was long)."""
    started, done = time.monotonic(), threading.Event()

    def elapsed() -> float:
        return time.monotonic() - started

    def keep_saying() -> None:
        while not done.wait(SAY_EVERY_SECONDS):
            say(f"{what} ... {elapsed():.0f} s")

    thread = threading.Thread(target=keep_saying, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if says_done or elapsed() > SAY_EVERY_SECONDS:
        say(f"{what} ready after {elapsed():.1f} s")
