"""Rows in, Plotly figures out. Pure. Colours are names of tokens, `var(--used)`: the browser puts in the theme's own.

Lanes are numbers on y, one bar trace a state with `base`; dashed and dotted boxes are one scatter of lines, since bars
know no dash. Open runs are not in the figure: the browser grows them over it as plain elements.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from paste_web.chart_lines import cut_trace, escaped, link_traces, middle_of, slot_trace, tick_trace, token
from speculation.timeline import WASTED, Bar, Timeline

ROW_PIXELS = 26
MARGINS = {"l": 150, "r": 16, "t": 8, "b": 32, "pad": 0}
LANES = {
    "turns": "Turns", "model": "Model", "tools": "Tools, authoritative", "would": "would have run", "guess": "Speculative",
}  # fmt: skip
HEIGHTS = {"turns": 0.7, "model": 0.84, "tools": 0.8, "would": 0.5, "guess": 0.8}
CLEAR = "rgba(0,0,0,0)"


@dataclass(frozen=True)
class Look:
    """How one state is drawn: fill, outline, text and hatching, by the names of tokens."""

    fill: str
    line: str
    text: str
    pattern: str = ""
    dash: str = ""


_OVER = token("on-fill")
LOOKS: Mapping[str, Look] = {
    "turn": Look(token("sunken"), token("line"), token("text")),
    "seat": Look(CLEAR, token("decode"), token("text"), dash="dot"),
    "prefill": Look(CLEAR, token("decode"), token("text")),
    "decode": Look(token("decode-fill"), token("decode"), token("text")),
    "waits": Look(CLEAR, token("authoritative"), token("text")),
    "queued": Look(CLEAR, token("authoritative"), token("text"), dash="dot"),
    "authoritative": Look(token("authoritative"), token("authoritative"), _OVER),
    "raised": Look(token("authoritative"), token("used"), _OVER),
    "guess": Look(token("surface"), token("speculative"), token("text"), pattern="/"),
    "warm_up": Look(token("surface"), token("speculative"), token("text"), pattern="."),
    "used": Look(token("used"), token("used"), _OVER),
    "joined": Look(token("used"), token("used"), _OVER),
    "joined_after": Look(CLEAR, token("used"), token("text")),
    "hidden": Look(token("hidden-fill"), token("hidden-fill"), token("text")),
    "ghost": Look(CLEAR, token("used"), token("text"), dash="dash"),
    **{state: Look(token("surface"), token("wasted"), token("text"), pattern="x") for state in WASTED},
}


def timeline_figure(timeline: Timeline, *, revision: str) -> dict[str, Any]:
    """Data, layout and what the browser needs to grow open bars, label and select them. `revision` keeps the zoom."""
    tops = _lane_tops(timeline)
    drawn = [bar for bar in timeline.bars if bar.end is not None]
    open_bars = [bar for bar in timeline.bars if bar.end is None]
    states = [state for state in LOOKS if any(bar.state == state for bar in drawn)]
    rows = tops["slots"] + 1
    data = link_traces(timeline, tops)
    data += [_trace(state, [bar for bar in drawn if bar.state == state], tops) for state in states]
    data += [tick_trace(timeline, kind, tops) for kind in ("named", "sealed", "skipped")]
    data += [cut_trace([bar for bar in drawn if bar.state == "preempted"], tops), slot_trace(timeline, tops)]
    return {
        "data": data,
        "layout": _layout(timeline, tops, rows, revision),
        "open": [_open(bar, tops) for bar in open_bars],
        "end": round(timeline.end, 3),
        "live": timeline.is_live,
        "merged": timeline.merged,
        "view": timeline.view and [round(at, 3) if isfinite(at) else None for at in timeline.view],
        "rows": rows,
    }


def _lane_tops(timeline: Timeline) -> dict[str, int]:
    """The first row of each lane; lanes never vanish."""
    top, tops = 0, {}
    for lane in LANES:
        tops[lane] = top
        top += timeline.rows[lane]
    return {**tops, "slots": top}


def _trace(state: str, bars: Sequence[Bar], tops: Mapping[str, int]) -> dict[str, Any]:
    look = LOOKS[state]
    return _box_trace(state, bars, tops, look) if look.dash else _bar_trace(state, bars, tops, look)


def _bar_trace(state: str, bars: Sequence[Bar], tops: Mapping[str, int], look: Look) -> dict[str, Any]:
    marker: dict[str, Any] = {"color": look.fill, "line": {"color": look.line, "width": 1}}
    if look.pattern:
        marker["pattern"] = {
            "shape": look.pattern, "fgcolor": look.line, "bgcolor": look.fill, "size": 7, "solidity": 0.18, "fillmode": "replace",
        }  # fmt: skip
    return {
        "type": "bar",
        "orientation": "h",
        "name": state,
        "base": [round(bar.start, 3) for bar in bars],
        "x": [_width(bar) for bar in bars],
        "y": [middle_of(bar, tops) for bar in bars],
        "width": [HEIGHTS[bar.lane] for bar in bars],
        "marker": marker,
        "meta": look.text,
        "customdata": [_custom(bar) for bar in bars],
        "hovertemplate": "%{customdata[3]}<extra></extra>",
    }


def _width(bar: Bar) -> float:
    return round((bar.end if bar.end is not None else bar.start) - bar.start, 3)


def _custom(bar: Bar) -> list[str | int]:
    """What the browser picks, labels (long, short; in the trace's `meta` colour) and says on hover; how many it stands for."""
    return [bar.pick, escaped(bar.label), escaped(bar.short), _hover(bar), bar.stands_for]


def _hover(bar: Bar) -> str:
    sign, word = bar.mark
    parts = [f"{sign} {word}".strip(), bar.label, f"{bar.start:.2f} – {bar.end or bar.start:.2f} s, {_width(bar):.2f} s", bar.note]
    return "<br>".join(escaped(part) for part in parts if part)


def _box_trace(state: str, bars: Sequence[Bar], tops: Mapping[str, int], look: Look) -> dict[str, Any]:
    xs: list[float | None] = []
    ys: list[float | None] = []
    for bar in bars:
        left, right, middle, half = bar.start, bar.start + _width(bar), middle_of(bar, tops), HEIGHTS[bar.lane] / 2
        xs += [round(x, 3) for x in (left, right, right, left, left)] + [None]
        ys += [middle - half, middle - half, middle + half, middle + half, middle - half, None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": state,
        "x": xs,
        "y": ys,
        "fill": "none",
        "line": {"color": look.line, "width": 1.2, "dash": look.dash},
        "hoverinfo": "skip",
    }


def _open(bar: Bar, tops: Mapping[str, int]) -> dict[str, Any]:
    height = HEIGHTS[bar.lane]
    return {
        "key": bar.key,
        "state": bar.state,
        "start": round(bar.start, 3),
        "top": round(middle_of(bar, tops) - height / 2, 3),
        "height": height,
        "label": bar.label,
        "short": bar.short,
        "pick": bar.pick,
    }


def _layout(timeline: Timeline, tops: Mapping[str, int], rows: int, revision: str) -> dict[str, Any]:
    names = [(tops[lane] + 0.5, name) for lane, name in LANES.items() if lane != "guess"]
    names += [(tops["guess"] + k + 0.5, f"Speculative {k + 1}") for k in range(timeline.rows["guess"])]
    most = max((held for _, held in timeline.slots), default=0)
    names.append((tops["slots"] + 0.5, f"Slots held, {most} at most"))
    borders = [tops["model"], tops["tools"], tops["guess"], tops["slots"]]
    font = {"family": "system-ui, sans-serif", "size": 12, "color": token("text")}
    return {
        "uirevision": revision,
        "barmode": "overlay",
        "dragmode": "pan",
        "hovermode": "closest",
        "showlegend": False,
        "autosize": True,
        "height": rows * ROW_PIXELS + MARGINS["t"] + MARGINS["b"],
        "margin": MARGINS,
        "font": font,
        "paper_bgcolor": token("surface"),
        "plot_bgcolor": token("surface"),
        "hoverlabel": {"bgcolor": token("surface"), "bordercolor": token("control"), "font": font, "align": "left"},
        "xaxis": {
            "range": [0, max(timeline.end * 1.02, 1)],
            "ticksuffix": " s",
            "gridcolor": token("line"),
            "zeroline": False,
            "tickcolor": token("line"),
            "fixedrange": False,
        },
        "yaxis": {
            "range": [rows, 0],
            "tickvals": [at for at, _ in names],
            "ticktext": [name for _, name in names],
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
            "tickcolor": token("surface"),
        },
        "shapes": [_border(y) for y in borders],
    }


def _border(y: float) -> dict[str, Any]:
    line = {"color": token("line"), "width": 1}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "layer": "below", "line": line}
