"""Figures of many sessions: sums, shares with their intervals, and the measured effect. Pure; seconds.

Task seconds (what agents waited) and worker seconds (what runs took) are never added to each other.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from speculation.spans import FREE

FloatArray = npt.NDArray[np.float64]

Z95 = 1.959964
LEAST_SESSIONS_AN_ARM = 30
RESAMPLES = 1000
MOST_SAMPLES_AN_AGENT = 300
"""Of each arm; the newest. More would move the interval by less than it is wide."""


class Share(NamedTuple):
    """`part` of `whole`, with Wilson's 95 % interval. Of nothing: no share, and the interval 0 to 1."""

    part: int
    whole: int

    @property
    def value(self) -> float | None:
        return self.part / self.whole if self.whole else None

    @property
    def low(self) -> float:
        return wilson(self.part, self.whole)[0]

    @property
    def high(self) -> float:
        return wilson(self.part, self.whole)[1]


def wilson(part: float, whole: float) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927); counts may be decayed ones. 0 to 1 where there is nothing."""
    if whole <= 0:
        return 0.0, 1.0
    share, spread = part / whole, Z95**2 / whole
    middle = (share + spread / 2) / (1 + spread)
    half = Z95 * sqrt(share * (1 - share) / whole + spread / (4 * whole)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Totals:
    """Sums over sessions. Seconds of agents: net saved, interference, waited, task; of workers: wasted, used. Price: money."""

    sessions: int = 0
    task_seconds: float = 0.0
    decode_seconds: float = 0.0
    waited_seconds: float = 0.0
    net_saved_seconds: float = 0.0
    interference_seconds: float = 0.0
    hidden_seconds: float = 0.0
    would_hide_seconds: float = 0.0
    wasted_seconds: float = 0.0
    used_seconds: float = 0.0
    calls: int = 0
    eligible_calls: int = 0
    launches: int = 0
    hits: int = 0
    wasted_runs: int = 0
    wasted_price: Decimal = FREE

    @property
    def saved_seconds(self) -> float:
        return self.net_saved_seconds + self.interference_seconds

    @property
    def without_seconds(self) -> float:
        """Estimated: the same sessions without speculation."""
        return self.task_seconds + self.net_saved_seconds

    @property
    def saved_share(self) -> float | None:
        """Net saved of what the sessions would have taken."""
        return self.net_saved_seconds / self.without_seconds if self.without_seconds > 0 else None

    @property
    def precision(self) -> Share:
        return Share(self.hits, self.launches)

    @property
    def coverage(self) -> Share:
        return Share(self.hits, self.eligible_calls)

    @property
    def coverage_of_all(self) -> Share:
        return Share(self.hits, self.calls)

    @property
    def wasted_a_saved_second(self) -> float | None:
        """Worker seconds wasted for each second of agents saved: two kinds of time, so no sum and no axis of both."""
        return self.wasted_seconds / self.saved_seconds if self.saved_seconds > 0 else None


@dataclass(frozen=True)
class Effect:
    """The measured effect of speculation on how long sessions take: medians, and the share by which it is less.

    `less`: 0.22 is 22 % less time with speculation. None where an arm has no session.
    """

    with_count: int
    without_count: int
    with_median_seconds: float | None = None
    without_median_seconds: float | None = None
    less: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def is_enough(self) -> bool:
        return min(self.with_count, self.without_count) >= LEAST_SESSIONS_AN_ARM

    @property
    def answer(self) -> str:
        """`too early`, `yes`, `no` or `cannot tell`."""
        if not self.is_enough or self.low is None or self.high is None:
            return "too early"
        if self.low > 0:
            return "yes"
        return "no" if self.high < 0 else "cannot tell"

    def contradicts(self, estimated_share: float | None) -> bool:
        """True if the estimate lies outside what was measured."""
        if not self.is_enough or estimated_share is None or self.low is None or self.high is None:
            return False
        return not self.low <= estimated_share <= self.high


Durations = Mapping[str, Sequence[float]]
"""Agent -> task seconds of its sessions."""


def measured_effect(with_speculation: Durations, without: Durations, *, seed: int = 1) -> Effect:
    """Only agents that have both arms count. Those without are weighted to the same mix of agents as those with, so that
    agents with other shares of holdout do not pass for an effect. The interval: bootstrap within agents and arms, 95 %.
    """
    agents = sorted(agent for agent in with_speculation if with_speculation[agent] and without.get(agent))
    if not agents:
        return Effect(sum(map(len, with_speculation.values())), sum(map(len, without.values())))
    counts = sum(len(with_speculation[agent]) for agent in agents), sum(len(without[agent]) for agent in agents)
    ours = [np.asarray(with_speculation[agent][:MOST_SAMPLES_AN_AGENT]) for agent in agents]
    theirs = [np.asarray(without[agent][:MOST_SAMPLES_AN_AGENT]) for agent in agents]
    mix = [len(with_speculation[agent]) for agent in agents]
    rng = np.random.default_rng(seed)
    ours_median, theirs_median = _median_of(ours, mix), _median_of(theirs, mix)
    less = np.sort(1 - _medians_of_resamples(ours, mix, rng) / _medians_of_resamples(theirs, mix, rng))
    low, high = less[int(0.025 * RESAMPLES)], less[int(0.975 * RESAMPLES)]
    return Effect(*counts, ours_median, theirs_median, 1 - ours_median / theirs_median, float(low), float(high))


def _median_of(samples: Sequence[FloatArray], mix: Sequence[int]) -> float:
    return float(weighted_medians(np.concatenate(samples)[None, :], _weights(samples, mix))[0])


def _medians_of_resamples(samples: Sequence[FloatArray], mix: Sequence[int], rng: np.random.Generator) -> FloatArray:
    drawn = [rng.choice(one, size=(RESAMPLES, len(one))) for one in samples]
    return weighted_medians(np.concatenate(drawn, axis=1), _weights(samples, mix))


def _weights(samples: Sequence[FloatArray], mix: Sequence[int]) -> FloatArray:
    """Of each sample, so that an agent's together weigh what its sessions with speculation are many."""
    return np.concatenate([np.full(len(one), share / len(one)) for one, share in zip(samples, mix, strict=True)])


def weighted_medians(rows: FloatArray, weights: FloatArray) -> FloatArray:
    """Of each row of (rows, samples); weights of the columns, above 0. Of equal weights: the usual median."""
    order = np.argsort(rows, axis=1)
    ordered = np.take_along_axis(rows, order, axis=1)
    sums = np.cumsum(weights[order], axis=1)
    half = sums[:, -1:] / 2
    last = rows.shape[1] - 1
    at = np.minimum((sums < half - 1e-9).sum(axis=1), last)
    k = np.arange(len(rows))
    is_between = np.abs(sums[k, at] - half[:, 0]) <= 1e-9
    after = np.where(is_between, np.minimum(at + 1, last), at)
    return (ordered[k, at] + ordered[k, after]) / 2


@dataclass(frozen=True)
class Minutes:
    """One bin of the overview's charts: seconds a minute, on average over the bin."""

    starts_at: float
    """Seconds since 1970."""
    minutes: float
    saved: float = 0.0
    interference: float = 0.0
    used: float = 0.0
    wasted: float = 0.0


def binned(rows: Sequence[Sequence[float]], start: float, end: float, bins: int) -> list[Minutes]:
    """Rows of SessionFigures.by_minute in equal bins from `start` to `end` (seconds since 1970)."""
    minutes = max(1.0, (end - start) / 60 / bins)
    sums: dict[int, list[float]] = defaultdict(lambda: [0.0] * 4)
    for minute, net_saved, interference, used, wasted in rows:
        k = int((minute * 60 - start) / 60 // minutes)
        if 0 <= k < bins:
            for i, value in enumerate((net_saved + interference, interference, used, wasted)):
                sums[k][i] += value
    return [Minutes(start + k * minutes * 60, minutes, *(value / minutes for value in sums[k])) for k in range(bins)]
