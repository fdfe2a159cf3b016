"""Do probabilities mean what they say? Reliability bins, expected calibration error and Brier skill. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

BINS = 15

Point = tuple[float, bool]
"""A stated probability, and whether it came true."""


@dataclass(frozen=True)
class Bin:
    """Points of neighbouring probabilities: what was said on average, and how often it came true."""

    count: int
    low: float
    high: float
    said: float
    came_true: float


def equal_mass_bins(points: Sequence[Point], count: int = BINS) -> list[Bin]:
    """At most `count` bins of equally many points (to one), by rising probability; ties stay in the order given."""
    ordered = sorted(points, key=lambda point: point[0])
    edges = [round(number * len(ordered) / count) for number in range(count + 1)]
    return [_bin(ordered[low:high]) for low, high in pairwise(edges) if low < high]


def _bin(points: Sequence[Point]) -> Bin:
    return Bin(
        count=len(points),
        low=points[0][0],
        high=points[-1][0],
        said=sum(p for p, _ in points) / len(points),
        came_true=sum(true for _, true in points) / len(points),
    )


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Mean distance of what was said from what came true, each bin by its points; 0 where there are none."""
    total = sum(each.count for each in bins)
    return sum(each.count * abs(each.said - each.came_true) for each in bins) / total if total else 0.0


def brier_skill(points: Sequence[Point]) -> float | None:
    """1 - Brier score over that of always saying the base rate; None where all or nothing came true."""
    if not points:
        return None
    base = sum(true for _, true in points) / len(points)
    reference = base * (1.0 - base)
    score = sum((p - true) ** 2 for p, true in points) / len(points)
    return 1.0 - score / reference if reference else None
