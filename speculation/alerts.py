"""Alerts: figures of the latest hours that lie beyond what an operator set. `judge` is pure, `open_alerts` reads.

A figure is measured only where a threshold that is switched on asks for it, and those of one span of time share their sums.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from django.db.models import Count, Max, Q

from speculation import savings
from speculation.ids import drawn_after
from speculation.models import AlertMetric, AlertSide, AlertThreshold, Arm, JobStatus, SessionStatus, ToolJob
from speculation.pool_figures import queue_waits
from speculation.totals import LEAST_SESSIONS_AN_ARM, Effect, Totals

MINUS = "\N{MINUS SIGN}"


class Measured(NamedTuple):
    """One figure of one span. `value`: None where there is nothing to measure. `count`: what it is of, sessions, runs or
    calls. `title`, `note`: said instead of the plain figure where that would tell too little."""

    value: float | None
    count: int
    title: str = ""
    note: str = ""


@dataclass(frozen=True)
class Alert:
    """`title` is the fact, `note` what it is of, `advice` what to do about it."""

    metric: AlertMetric
    title: str
    note: str
    advice: str

    def __str__(self) -> str:
        return f"{self.title} ({self.note})"


class _Words(NamedTuple):
    subject: str
    write: Callable[[float, int], str]
    advice: str


def _as_seconds(value: float, digits: int) -> str:
    size, sign = abs(value), MINUS if value < 0 else ""
    minutes, rest = divmod(round(size), 60)
    return f"{sign}{minutes} min {rest:02d} s" if size >= 119.95 else f"{sign}{size:.{digits + 1}f} s"


def _as_share(value: float, digits: int) -> str:
    return f"{MINUS if value < 0 else ''}{abs(value) * 100:.{digits}f} %"


WORDS: Mapping[AlertMetric, _Words] = {
    AlertMetric.FAILED: _Words(
        "Share of failed sessions", _as_share, "Sessions, filtered to failed, say why each did."
    ),
    AlertMetric.UNKNOWN: _Words(
        "Share of calls with an unknown outcome", _as_share, "Workers were lost while tools ran: look at their logs."
    ),
    AlertMetric.NET_SAVED: _Words("Net saved", _as_seconds, "Savings shows where; Pause stops speculation."),
    AlertMetric.INTERFERENCE: _Words(
        "Interference a session", _as_seconds, "Reserve more slots for real calls, or pause speculation."
    ),
    AlertMetric.QUEUE_WAIT: _Words(
        "Queue wait of real calls (95th percentile)", _as_seconds, "Give the tools more slots, or reserve more of them."
    ),
    AlertMetric.EFFECT: _Words(
        "What the estimate is off the measured effect", _as_share, "Trust the measurement; Savings shows both."
    ),
    AlertMetric.PRECISION: _Words("Precision", _as_share, "Savings shows whose runs nobody asked for."),
    AlertMetric.WASTE: _Words("Waste for each second saved", _as_seconds, "Savings shows which tools waste, and why."),
    AlertMetric.HOLDOUT: _Words(
        "Share of sessions in the holdout", _as_share, "Give agents a holdout, or nothing measures the effect."
    ),
}
"""In the order in which alerts stand: what fails, what harms, what cannot be trusted, what costs."""

Key = tuple[str, float]
"""A metric, and the hours it is measured over."""


def judge(measured: Mapping[Key, Measured], thresholds: Iterable[AlertThreshold]) -> list[Alert]:
    """One alert for each threshold whose figure lies beyond it and is of enough. Pure."""
    order = {metric: place for place, metric in enumerate(WORDS)}
    found = [(threshold, measured.get((threshold.metric, threshold.window_hours))) for threshold in thresholds]
    beyond = [(threshold, one) for threshold, one in found if one is not None and _is_beyond(one, threshold)]
    return [
        _alert(threshold, one) for threshold, one in sorted(beyond, key=lambda pair: order[AlertMetric(pair[0].metric)])
    ]


def _is_beyond(one: Measured, threshold: AlertThreshold) -> bool:
    if not threshold.enabled or one.value is None or one.count < max(1, threshold.least):
        return False
    return one.value > threshold.value if threshold.side == AlertSide.ABOVE else one.value < threshold.value


def _alert(threshold: AlertThreshold, one: Measured) -> Alert:
    metric = AlertMetric(threshold.metric)
    words = WORDS[metric]
    title = one.title or f"{words.subject} {_compared(words.write, one.value or 0.0, threshold)}"
    note = ", ".join(part for part in (one.note, f"n {one.count}", span_in_words(threshold.window_hours)) if part)
    return Alert(metric, title, note, words.advice)


def _compared(write: Callable[[float, int], str], value: float, threshold: AlertThreshold) -> str:
    """Both numbers with as few digits as tell them apart: "2 % is above 2 %" would be no news."""
    pairs = ((write(value, digits), write(threshold.value, digits)) for digits in range(4))
    told = next((pair for pair in pairs if pair[0] != pair[1]), (write(value, 4), write(threshold.value, 4)))
    return f"{told[0]} is {threshold.side} {told[1]}"


def span_in_words(hours: float) -> str:
    if hours >= 48 and hours % 24 == 0:
        return f"last {hours / 24:g} days"
    return "last hour" if hours == 1 else f"last {hours:g} hours"


def open_alerts(now: datetime) -> list[Alert]:
    """What stands at this moment, in the order of WORDS. A few sums over the ledger and the newest jobs."""
    thresholds = list(AlertThreshold.objects.filter(enabled=True))
    spans = {one.window_hours: _Span(one.window_hours, now) for one in thresholds}
    asked = {(AlertMetric(one.metric), one.window_hours) for one in thresholds}
    return judge({(metric, hours): _MEASURES[metric](spans[hours]) for metric, hours in asked}, thresholds)


class _Span:
    """The latest hours, each sum over them asked for once and only if it is needed."""

    def __init__(self, hours: float, now: datetime) -> None:
        self._hours, self._since = hours, now - timedelta(hours=hours)

    @cached_property
    def _totals(self) -> Totals:
        return savings.totals_of(self._since)

    @cached_property
    def _drawn(self) -> dict[str, Any]:
        """Sessions whose arm nobody chose: how many of either arm, and the newest entry, which tells whether that is news."""
        drawn = savings.booked(self._since).filter(session__speculation="auto")
        arms = {
            name: Count("pk", filter=Q(session__arm=arm)) for name, arm in (("on", Arm.ON), ("holdout", Arm.HOLDOUT))
        }
        return drawn.aggregate(newest=Max("booked_at"), **arms)

    def net_saved(self) -> Measured:
        return Measured(self._totals.net_saved_seconds, self._totals.sessions)

    def precision(self) -> Measured:
        return Measured(self._totals.precision.value, self._totals.precision.whole)

    def waste(self) -> Measured:
        totals = self._totals
        if totals.wasted_a_saved_second is None and totals.wasted_seconds > 0:
            title = f"{_as_seconds(totals.wasted_seconds, 0)} of worker time wasted, and nothing saved"
            return Measured(math.inf, totals.sessions, title)
        return Measured(totals.wasted_a_saved_second, totals.sessions)

    def interference(self) -> Measured:
        totals = self._totals
        return Measured(totals.interference_seconds / totals.sessions if totals.sessions else None, totals.sessions)

    def failed(self) -> Measured:
        ended = savings.booked(self._since).exclude(session__status=SessionStatus.CANCELLED)
        row = ended.aggregate(all=Count("pk"), failed=Count("pk", filter=Q(session__status=SessionStatus.FAILED)))
        return _share(row["failed"], row["all"])

    def unknown(self) -> Measured:
        """Asked for and failed: no result, so its agent was told that the outcome is unknown. Withdrawn ones never began."""
        asked = ToolJob.objects.filter(
            pk__gt=drawn_after(self._hours * 3600), call_id__isnull=False, session__origin__in=savings.COUNTED
        )
        lost = Q(status=JobStatus.FAILED, started_at__isnull=False)
        row = asked.aggregate(all=Count("pk"), lost=Count("pk", filter=lost))
        return _share(row["lost"], row["all"])

    def queue_wait(self) -> Measured:
        waits = queue_waits(self._hours * 3600)[0]
        return Measured(waits.p95_seconds, waits.calls)

    def effect(self) -> Measured:
        """How far the estimate lies outside the measured interval; 0 within it. Resampled only once both arms are enough."""
        count = min(self._drawn["on"], self._drawn["holdout"])
        share = self._totals.saved_share
        if count < LEAST_SESSIONS_AN_ARM or share is None:
            return Measured(None, count)
        effect = _effects.of(self._since, (self._hours, *self._drawn.values()))
        if effect.low is None or effect.high is None or not effect.contradicts(share):
            return Measured(0.0, count)
        note = f"estimated {_as_share(share, 0)} less time, measured {_as_share(effect.low, 0)} to {_as_share(effect.high, 0)}"
        off = max(effect.low - share, share - effect.high)
        return Measured(off, count, "The estimate contradicts the measurement", note)

    def holdout(self) -> Measured:
        return _share(self._drawn["holdout"], self._drawn["on"] + self._drawn["holdout"])


def _share(part: int, whole: int) -> Measured:
    return Measured(part / whole if whole else None, whole)


class _Effects:
    """The last measured effect of each span, kept until another session counts: resampling takes a tenth of a second."""

    def __init__(self) -> None:
        self._kept: dict[float, tuple[Any, Effect]] = {}

    def of(self, since: datetime, stamp: tuple[Any, ...]) -> Effect:
        kept = self._kept.get(stamp[0])
        if kept is None or kept[0] != stamp:
            kept = self._kept[stamp[0]] = (stamp, savings.effect_of(since))
        return kept[1]


_effects = _Effects()

_MEASURES: Mapping[AlertMetric, Callable[[_Span], Measured]] = {
    AlertMetric.FAILED: _Span.failed,
    AlertMetric.UNKNOWN: _Span.unknown,
    AlertMetric.NET_SAVED: _Span.net_saved,
    AlertMetric.INTERFERENCE: _Span.interference,
    AlertMetric.QUEUE_WAIT: _Span.queue_wait,
    AlertMetric.EFFECT: _Span.effect,
    AlertMetric.PRECISION: _Span.precision,
    AlertMetric.WASTE: _Span.waste,
    AlertMetric.HOLDOUT: _Span.holdout,
}
