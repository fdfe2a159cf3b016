"""How much of this machine's processors real work uses, by the kernel's own count, and what is left for guesses. Where
there is no such count (not Linux): unknown.

What guesses use is not counted where they have a low priority (yielding.py): it is given back the moment real work wants it.
What another machine took of ours is: nobody here can have it.
"""

import os
import resource
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

LOOK_EVERY_SECONDS = 1.0
WINDOW_SECONDS = 5.0
"""Long enough for a share that does not jump with each call, short enough to notice that work has come."""
FORGOTTEN_AFTER_SECONDS = 10.0
"""What was before says nothing of now."""
COST_BESIDE = 1 / 3
"""Processors that a guess takes from real work for each that it keeps busy, though its priority is low: two logical
processors are often one core, and a loop was measured to take 1.4 to 1.5 times as long beside a busy sibling."""
UNMEASURED = 1.0
"""Processors that a tool is taken to keep busy while none of its runs has told."""
_COUNTS = Path("/proc/stat")


def used_here(*, with_programs: bool) -> float:
    """Processor seconds of this thread so far; `with_programs`: and of all programs that this process has waited for."""
    if not with_programs:
        return time.thread_time()
    programs = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.thread_time() + programs.ru_utime + programs.ru_stime


def cost_of(kept_busy: float | None) -> float:
    """Processors that a guess of a tool takes from real work. `kept_busy`: as ToolRecord.processors."""
    return COST_BESIDE * (UNMEASURED if kept_busy is None else kept_busy)


def _read() -> Sequence[int]:
    """Ticks of all processors since the start: user, nice, system, idle, iowait, irq, softirq, steal. Empty: not known."""
    try:
        return [int(count) for count in _COUNTS.read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return []


class Processors:
    """Shared by threads; looks once a second at most."""

    def __init__(self, read: Callable[[], Sequence[int]] = _read, clock: Callable[[], float] = time.monotonic) -> None:
        self._read, self._clock = read, clock
        self._looking = threading.Lock()
        self._looks: deque[tuple[float, Sequence[int]]] = deque()
        self._real_use = 0.0

    def real_use(self) -> float:
        """The share (0 to 1) that real work used in the last seconds; 0 where it is not known."""
        with self._looking:
            now = self._clock()
            if not self._looks or now - self._looks[-1][0] >= LOOK_EVERY_SECONDS:
                self._real_use = self._look(now)
            return self._real_use

    def _look(self, now: float) -> float:
        if self._looks and now - self._looks[-1][0] >= FORGOTTEN_AFTER_SECONDS:
            self._looks.clear()
        self._looks.append((now, self._read()))
        while now - self._looks[0][0] > WINDOW_SECONDS and len(self._looks) > 2:
            self._looks.popleft()
        return _real_share(self._looks[0][1], self._looks[-1][1])


def _real_share(before: Sequence[int], after: Sequence[int]) -> float:
    spent = [end - start for start, end in zip(before, after, strict=False)]
    if len(spent) < 8 or sum(spent) <= 0:
        return 0.0
    _, nice, _, idle, iowait, *_ = spent
    return 1.0 - (nice + idle + iowait) / sum(spent)


of_this_machine = Processors()


def left_for_guesses(most_percent: float) -> float:
    """Processors that real work leaves below `most_percent` of this machine's; no bound at 100."""
    if most_percent >= 100:
        return float("inf")
    return (most_percent / 100 - of_this_machine.real_use()) * (os.cpu_count() or 1)
