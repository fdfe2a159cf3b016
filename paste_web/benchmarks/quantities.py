"""Samples summed up: quantiles, and means with their 95 % intervals. Pure."""

from collections.abc import Sequence
from math import ceil, inf, sqrt
from statistics import NormalDist, fmean, stdev
from typing import Any, NamedTuple

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean and its two-sided interval by Student's t, of `number` samples. One sample tells nothing of its spread."""

    mean: float
    low: float
    high: float
    number: int

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2

    def to_json(self, digits: int = 5) -> dict[str, Any]:
        return {
            "mean": round(self.mean, digits),
            "low": _finite(self.low, digits),
            "high": _finite(self.high, digits),
            "half_width": _finite(self.half_width, digits),
            "count": self.number,
        }


def interval_of(samples: Sequence[float]) -> Interval:
    """Raises StatisticsError where there are none."""
    mean = fmean(samples)
    if len(samples) < 2:
        return Interval(mean, -inf, inf, len(samples))
    half = student_t(len(samples) - 1) * stdev(samples) / sqrt(len(samples))
    return Interval(mean, mean - half, mean + half, len(samples))


def student_t(freedom: int) -> float:
    """The two-sided 95 % quantile. Exact for 1 and 2 degrees of freedom, else Hill's expansion (error below 0.01)."""
    if freedom in EXACT_T:
        return EXACT_T[freedom]
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


EXACT_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}


def quantile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least this share of them does not exceed."""
    return sorted(samples)[max(0, ceil(share * len(samples)) - 1)]


def milliseconds(samples: Sequence[float]) -> dict[str, float | int]:
    """Of samples in seconds."""
    figures = {"p50": quantile(samples, 0.5), "p90": quantile(samples, 0.9), "p99": quantile(samples, 0.99)}
    figures |= {"mean": fmean(samples), "max": max(samples)}
    return {**{name: round(1000 * value, 3) for name, value in figures.items()}, "count": len(samples)}


def _finite(value: float, digits: int) -> float | None:
    return None if value in (inf, -inf) else round(value, digits)
