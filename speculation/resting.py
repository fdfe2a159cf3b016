"""When no slot is free for anybody's guess, this process's forecasts rest for a moment.

Where real calls use all there is, a forecast would take processor time and the pool's lock from them and launch nothing.
One look at the slots a moment is enough to find the first free one.
"""

import time
from collections.abc import Callable

REST_SECONDS = 0.25
"""Longer saves little more (one forecast in a process every quarter second); shorter than a turn, so that few miss a free slot."""


class Rest:
    """Whether forecasts rest now. Shared by threads: the last who told wins, and either of two is right."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = float("-inf")

    def found(self, free_slots: int) -> None:
        """What a forecast has just found free for guesses in the pool; below 1 there is nothing for the next one either."""
        self._until = self._clock() + REST_SECONDS if free_slots < 1 else float("-inf")

    @property
    def is_on(self) -> bool:
        return self._clock() < self._until


of_this_process = Rest()
