"""What the timeline's chart draws beside boxes: ticks, links, the cut edge of what was preempted, slots. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from speculation.timeline import Bar, Timeline

Tops = Mapping[str, int]
"""The first row of each lane."""

LINKS = {"launch": ("speculative", "dot"), "promotion": ("used", "dot"), "refuted": ("wasted", "dash")}
SYMBOLS = {"named": "diamond-open", "sealed": "diamond", "skipped": "circle-open"}
INTO_LANE = {"model": 0.96, "tools": 0.05}
"""Where in a lane a link begins or ends: at the model's ticks, at the top of the tools; elsewhere in the row's middle."""


def token(name: str) -> str:
    return f"var(--{name})"


def escaped(text: str) -> str:
    """Plotly reads a few HTML tags in its texts, links among them; arguments must not write any."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def middle_of(bar: Bar, tops: Tops) -> float:
    return tops[bar.lane] + bar.row + 0.5


def tick_trace(timeline: Timeline, kind: str, tops: Tops) -> dict[str, Any]:
    ticks = [tick for tick in timeline.ticks if tick.kind == kind]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": kind,
        "x": [round(tick.at, 3) for tick in ticks],
        "y": [tops["model"] + 0.96 for _ in ticks],
        "marker": {
            "symbol": SYMBOLS[kind],
            "size": 7,
            "color": token("text"),
            "line": {"color": token("text"), "width": 1},
        },
        "text": [escaped(tick.text) for tick in ticks],
        "hovertemplate": "%{text}<br>%{x:.2f} s<extra></extra>",
    }


def link_traces(timeline: Timeline, tops: Tops) -> list[dict[str, Any]]:
    """One trace a kind of link; `customdata` tells whose each point is, so that those of one call can stand out."""
    return [_link_trace(timeline, kind, tops) for kind in LINKS]


def _link_trace(timeline: Timeline, kind: str, tops: Tops) -> dict[str, Any]:
    colour, dash = LINKS[kind]
    xs: list[float | None] = []
    ys: list[float | None] = []
    picks: list[str] = []
    for link in (link for link in timeline.links if link.kind == kind):
        xs += [*(round(at, 3) for at, _, _ in link.points), None]
        ys += [*(tops[lane] + row + INTO_LANE.get(lane, 0.5) for _, lane, row in link.points), None]
        picks += [link.pick] * (len(link.points) + 1)
    line = {"color": token(colour), "width": 1, "dash": dash}
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"links-{kind}",
        "x": xs,
        "y": ys,
        "customdata": picks,
        "line": line,
        "hoverinfo": "skip",
    }


def cut_trace(bars: Sequence[Bar], tops: Tops) -> dict[str, Any]:
    """A notch in the right edge of a run that had to give way."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "cut",
        "x": [round(bar.end or bar.start, 3) for bar in bars],
        "y": [middle_of(bar, tops) for bar in bars],
        "marker": {
            "symbol": "triangle-left",
            "size": 11,
            "color": token("surface"),
            "line": {"color": token("wasted"), "width": 1},
        },
        "hoverinfo": "skip",
    }


def slot_trace(timeline: Timeline, tops: Tops) -> dict[str, Any]:
    most = max((held for _, held in timeline.slots), default=0) or 1
    floor = tops["slots"] + 0.95
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "slots",
        "x": [round(at, 3) for at, _ in timeline.slots],
        "y": [floor - 0.8 * held / most for _, held in timeline.slots],
        "text": [f"{held} slots held" for _, held in timeline.slots],
        "line": {"shape": "hv", "color": token("decode"), "width": 1.5},
        "hovertemplate": "%{text}<extra></extra>",
    }
