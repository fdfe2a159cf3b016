"""Tell a waiting person that something moves: a line every two seconds, whatever the pace."""

import time
from collections.abc import Callable

SAY_EVERY_SECONDS = 2.0


class Progress:
    """Says a line when the last one is two seconds old."""

    def __init__(self, say: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._said_at = clock()

    def tell(self, line: str) -> None:
        if self._clock() - self._said_at >= SAY_EVERY_SECONDS:
            self._said_at = self._clock()
            self._say(line)
