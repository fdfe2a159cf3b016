"""A pattern's hits and misses by day as bars, with the rows of their table. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from paste_web.bar_chart import BarChart, Series, bar_chart
from speculation.pattern_history import Day

HEIGHT_PIXELS = 96


@dataclass(frozen=True)
class OutcomeBars:
    """`rows`: the days on which anything ran, the newest first."""

    bars: BarChart
    labels: Sequence[tuple[str, str]]
    rows: Sequence[Day]
    sentence: str
    height: int = HEIGHT_PIXELS


def outcome_bars(days: Sequence[Day]) -> OutcomeBars:
    """`days`: one or more, the oldest first."""
    series = [
        Series("asked for", "used", [float(day.hits) for day in days]),
        Series("never asked for", "wasted", [float(day.misses) for day in days], hangs=True),
    ]
    drawn = bar_chart(series, HEIGHT_PIXELS)
    labels = [(x, f"{days[k].day:%d %b}") for x, k in drawn.marks]
    rows = [day for day in reversed(days) if day.hits or day.misses]
    hits, misses = sum(day.hits for day in days), sum(day.misses for day in days)
    return OutcomeBars(
        drawn, labels, rows, f"In {len(days)} days {hits} of its runs were asked for and {misses} were not."
    )
