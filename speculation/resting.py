"""When forecasts of this process rest for a moment: where no slot is free for anybody's guess, or real work needs the processors.

There a forecast would take time and the pool's lock from real calls and launch nothing, or launch what slows them down. One
look a moment is enough to find that it is over.
"""

import time
from collections.abc import Callable

from django.conf import settings

from speculation import processors
from speculation.engine.scheduling import Refused

REST_SECONDS = 0.25
"""Longer saves little more (one forecast in a process every quarter second); shorter than a turn, so that few miss a free slot."""


class Rest:
    """Whether the slots let forecasts rest. Shared by threads: the last who told wins, and either of two is right."""

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


def reason() -> Refused | None:
    """Why a forecast rests now; None where it need not."""
    if of_this_process.is_on:
        return Refused.NO_FREE_SLOT
    if processors.of_this_machine.real_use() * 100 > settings.PASTE_REST_ABOVE_PERCENT:
        return Refused.PROCESSORS_BUSY
    return None
