"""Tell a waiting person what is going on: whatever takes more than two seconds shows that it moves."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

FIRST_SAID_AFTER_SECONDS = 2.0
SAID_AGAIN_AFTER_SECONDS = 10.0  # where lines cannot be overwritten


def say(line: str) -> None:
    """One line for the person at the terminal; standard output belongs to results."""
    print(line, file=sys.stderr, flush=True)


class Ticker:
    """A context that shows one line with its seconds: overwritten in a terminal, said now and then elsewhere."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._text = ""
        self._since = self._said_at = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_showing, daemon=True)

    def __enter__(self) -> "Ticker":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        self.clear()

    def show(self, text: str) -> None:
        """A new line, whose seconds start now."""
        with self._lock:
            self._text, self._since = text, time.monotonic()
            self._said_at = self._since - SAID_AGAIN_AFTER_SECONDS + FIRST_SAID_AFTER_SECONDS

    def tick(self, text: str) -> None:
        """The same line with other words; its seconds go on."""
        if not self._text:
            self.show(text)
        self._text = text

    def clear(self) -> None:
        with self._lock:
            self._text = ""
            if sys.stderr.isatty():
                print("\r\033[K", end="", file=sys.stderr, flush=True)

    def _keep_showing(self) -> None:
        while not self._ended.wait(0.5):
            with self._lock:
                self._show_once(time.monotonic())

    def _show_once(self, now: float) -> None:
        elapsed = now - self._since
        if not self._text or elapsed < FIRST_SAID_AFTER_SECONDS:
            return
        if sys.stderr.isatty():
            print(f"\r\033[K{self._text} ... {elapsed:.0f} s", end="", file=sys.stderr, flush=True)
        elif now - self._said_at >= SAID_AGAIN_AFTER_SECONDS:
            self._said_at = now
            say(f"{self._text} ... {elapsed:.0f} s")


@contextmanager
def step(what: str, says_done: bool = True) -> Iterator[None]:
    """Show that `what` takes its time, then how long it took (always, or only if that was long)."""
    started = time.monotonic()
    with Ticker() as ticker:
        ticker.show(what)
        yield
    elapsed = time.monotonic() - started
    if says_done or elapsed > FIRST_SAID_AFTER_SECONDS:
        say(f"{what} ready after {elapsed:.1f} s")
