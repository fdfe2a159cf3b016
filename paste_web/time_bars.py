"""The two charts of seconds a minute: agents' time, and workers'. They share no axis, since they are two kinds of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils import timezone

from paste_web.bar_chart import HEIGHT_PIXELS, BarChart, Series, bar_chart
from paste_web.wording import duration
from speculation.totals import Minutes

A_DAY_MINUTES = 24 * 60


@dataclass(frozen=True)
class TimeRow:
    at: datetime
    values: Sequence[float]


@dataclass(frozen=True)
class TimeBars:
    """A chart over time with its table twin. `key`: unique on a page."""

    key: str
    title: str
    caption: str
    series: Sequence[Series]
    bars: BarChart
    labels: Sequence[tuple[str, str]]
    rows: Sequence[TimeRow]
    sentence: str
    height: int = HEIGHT_PIXELS


def agents_time(bins: Sequence[Minutes]) -> TimeBars:
    series = [
        Series("saved", "used", [one.saved for one in bins]),
        Series("interference", "negative", [one.interference for one in bins], hangs=True),
    ]
    return _time_bars("agents-time", "Agents' time a minute", series, bins)


def workers_time(bins: Sequence[Minutes]) -> TimeBars:
    series = [
        Series("used", "used", [one.used for one in bins]),
        Series("wasted", "wasted", [one.wasted for one in bins]),
    ]
    return _time_bars("workers-time", "Workers' time a minute", series, bins)


def _time_bars(key: str, title: str, series: Sequence[Series], bins: Sequence[Minutes]) -> TimeBars:
    moments = [datetime.fromtimestamp(one.starts_at, UTC) for one in bins]
    drawn = bar_chart(series)
    width = bins[0].minutes
    pattern = "%d %b" if width * len(bins) > A_DAY_MINUTES else "%H:%M"
    labels = [(x, timezone.localtime(moments[k]).strftime(pattern)) for x, k in drawn.marks]
    rows = [
        TimeRow(moments[k], [one.values[k] for one in series])
        for k in reversed(range(len(bins)))
        if any(one.values[k] for one in series)
    ]
    caption = f"{title}, on average over {duration(width * 60)} each."
    sums = [f"{one.name} {duration(sum(one.values) * width)}" for one in series]
    return TimeBars(key, title, caption, series, drawn, labels, rows, f"{title}: in all {', '.join(sums)}.")
