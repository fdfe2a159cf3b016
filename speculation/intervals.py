"""Stretches of time, as pairs of seconds. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from math import inf

Interval = tuple[float, float]


def united(intervals: Iterable[Interval]) -> list[Interval]:
    """The same moments as disjoint intervals, in order."""
    disjoint: list[Interval] = []
    for start, end in sorted(intervals):
        if disjoint and start <= disjoint[-1][1]:
            disjoint[-1] = disjoint[-1][0], max(disjoint[-1][1], end)
        else:
            disjoint.append((start, end))
    return disjoint


def covered(span: Interval, disjoint: Sequence[Interval]) -> float:
    """Seconds of `span` that lie in any of the disjoint intervals."""
    low, high = span
    total = 0.0
    for k in range(max(0, bisect_right(disjoint, (low, inf)) - 1), len(disjoint)):
        start, end = disjoint[k]
        if start >= high:
            break
        total += max(0.0, min(end, high) - max(start, low))
    return total
