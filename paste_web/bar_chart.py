"""Bars over time as boxes for a template that writes plain SVG attributes. Pure. The table twin has the same rows.

Series are stacked upwards from a line, or hang below it; all have one unit, so that heights can be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

HEIGHT_PIXELS = 132
MOST_TIME_LABELS = 5
LEAST_PIXELS = 1.0
"""What is not nothing is seen."""
GAP_SHARE = 0.16


@dataclass(frozen=True)
class Series:
    """`kind` names its class in the stylesheet; `values`: one for each bin, 0 or more."""

    name: str
    kind: str
    values: Sequence[float]
    hangs: bool = False


@dataclass(frozen=True)
class BarBox:
    """`x` and `width` in percent of the chart's width, `y` and `height` in pixels."""

    kind: str
    x: str
    width: str
    y: str
    height: str


@dataclass(frozen=True)
class BarChart:
    boxes: Sequence[BarBox]
    line_y: str
    most: float
    """What the highest stack reaches, in the series' unit."""
    least: float
    """What the longest hanging bar reaches."""
    marks: Sequence[tuple[str, int]]
    """Where on the axis a bin begins that is to be labelled: x in percent, the bin."""

    @property
    def is_empty(self) -> bool:
        return not self.boxes


def bar_chart(series: Sequence[Series], height: int = HEIGHT_PIXELS) -> BarChart:
    """Boxes of all series, which have the same number of bins, one or more."""
    bins = len(series[0].values)
    most = max(sum(one.values[k] for one in series if not one.hangs) for k in range(bins))
    least = max(sum(one.values[k] for one in series if one.hangs) for k in range(bins))
    scale = height / (most + least) if most + least > 0 else 0.0
    line = most * scale if scale else height
    boxes = [box for k in range(bins) for box in _boxes(series, k, bins, line, scale)]
    step = max(1, -(-bins // MOST_TIME_LABELS))
    marks = [(f"{100 * k / bins:.2f}%", k) for k in range(0, bins, step)]
    return BarChart(boxes, f"{line:.1f}", most, least, marks)


def _boxes(series: Sequence[Series], k: int, bins: int, line: float, scale: float) -> list[BarBox]:
    width = 100 / bins
    boxes, up, down = [], line, line
    for one in series:
        if one.values[k] <= 0:
            continue
        height = max(LEAST_PIXELS, one.values[k] * scale)
        y = down if one.hangs else up - height
        up, down = (up, down + height) if one.hangs else (y, down)
        x = width * (k + GAP_SHARE / 2)
        boxes.append(BarBox(one.kind, f"{x:.3f}%", f"{width * (1 - GAP_SHARE):.3f}%", f"{y:.1f}", f"{height:.1f}"))
    return boxes
