"""When to come back to a queue that is full: estimated from how fast it has drained lately. Pure."""

import math
from collections.abc import Sequence

SHORTEST_SECONDS, LONGEST_SECONDS = 1, 300
LEAST_SPAN_SECONDS = 5.0
"""Two that left at the same instant do not mean that thousands a second will."""
ROOM_SHARE = 0.1
"""Whoever was refused is to come back when this part of the places is free, and not all of them for the first one."""


def seconds_until_room(waiting: int, most: int, left_seconds_ago: Sequence[float]) -> int:
    """Whole seconds until a tenth of the `most` places should be free, from 1 to 300.

    left_seconds_ago: for each of the latest sessions that left the queue, how long ago that was; the rate is their
    number over the oldest of these spans. Where none has left there is no rate, and the answer is the longest one.
    """
    if not left_seconds_ago:
        return LONGEST_SECONDS
    a_second = len(left_seconds_ago) / max(*left_seconds_ago, LEAST_SPAN_SECONDS)
    to_leave = waiting - most + max(1, round(most * ROOM_SHARE))
    return min(LONGEST_SECONDS, max(SHORTEST_SECONDS, math.ceil(to_leave / a_second)))
