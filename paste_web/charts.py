"""Rows in, Plotly figures out. Pure. Colours are names of tokens, `var(--used)`: the browser puts in the theme's own.

Lanes are numbers on y, one bar trace a state with `base`; dashed and dotted boxes are one scatter with fill "toself",
since bars know no dash. Open runs are not in the figure: the browser grows them over it as plain elements.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from speculation.timeline import WASTED, Bar, Timeline

ROW_PIXELS = 26
MARGINS = {"l": 150, "r": 16, "t": 8, "b": 32, "pad": 0}
LANES = {"model": "Model", "tools": "Tools, authoritative", "would": "would have run", "guess": "Speculative"}
HEIGHTS = {"model": 0.84, "tools": 0.8, "would": 0.5, "guess": 0.8}
CLEAR = "rgba(0,0,0,0)"


@dataclass(frozen=True)
class Look:
    """How one state is drawn: fill, outline, text and hatching, by the names of tokens."""

    fill: str
    line: str
    text: str
    pattern: str = ""
    dash: str = ""


def _token(name: str) -> str:
    return f"var(--{name})"


_OVER = _token("on-fill")
LOOKS: Mapping[str, Look] = {
    "prefill": Look(CLEAR, _token("decode"), _token("text")),
    "decode": Look(_token("decode-fill"), _token("decode"), _token("text")),
    "waits": Look(CLEAR, _token("authoritative"), _token("text")),
    "queued": Look(CLEAR, _token("authoritative"), _token("text"), dash="dot"),
    "authoritative": Look(_token("authoritative"), _token("authoritative"), _OVER),
    "raised": Look(_token("authoritative"), _token("used"), _OVER),
    "guess": Look(_token("surface"), _token("speculative"), _token("text"), pattern="/"),
    "used": Look(_token("used"), _token("used"), _OVER),
    "joined": Look(_token("used"), _token("used"), _OVER),
    "joined_after": Look(CLEAR, _token("used"), _token("text")),
    "hidden": Look(_token("hidden-fill"), _token("hidden-fill"), _token("text")),
    "ghost": Look(CLEAR, _token("used"), _token("text"), dash="dash"),
    **{state: Look(_token("surface"), _token("wasted"), _token("text"), pattern="x") for state in WASTED},
}


def timeline_figure(timeline: Timeline, *, revision: str) -> dict[str, Any]:
    """Data, layout and what the browser needs to grow open bars, label and select them. `revision` keeps the zoom."""
    tops = _lane_tops(timeline)
    drawn = [bar for bar in timeline.bars if bar.end is not None]
    open_bars = [bar for bar in timeline.bars if bar.end is None]
    states = [state for state in LOOKS if any(bar.state == state for bar in drawn)]
    rows = tops["slots"] + 1
    data = [_link_trace(timeline, tops)]
    data += [_trace(state, [bar for bar in drawn if bar.state == state], tops) for state in states]
    data += [_tick_trace(timeline, kind, tops) for kind in ("named", "sealed", "skipped")]
    data.append(_slot_trace(timeline, tops))
    return {
        "data": data,
        "layout": _layout(timeline, tops, rows, revision),
        "open": [_open(bar, tops) for bar in open_bars],
        "end": round(timeline.end, 3),
        "live": timeline.is_live,
        "merged": timeline.merged,
        "rows": rows,
    }


def _lane_tops(timeline: Timeline) -> dict[str, int]:
    """The first row of each lane; lanes never vanish."""
    top, tops = 0, {}
    for lane in LANES:
        tops[lane] = top
        top += timeline.rows[lane]
    return {**tops, "slots": top}


def _middle(bar: Bar, tops: Mapping[str, int]) -> float:
    return tops[bar.lane] + bar.row + 0.5


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
        "y": [_middle(bar, tops) for bar in bars],
        "width": [HEIGHTS[bar.lane] for bar in bars],
        "marker": marker,
        "text": ["" for _ in bars],
        "textposition": "inside",
        "insidetextanchor": "start",
        "textangle": 0,
        "constraintext": "none",
        "textfont": {"color": look.text, "size": 12},
        "cliponaxis": True,
        "customdata": [_custom(bar) for bar in bars],
        "hovertemplate": "%{customdata[3]}<extra></extra>",
    }


def _width(bar: Bar) -> float:
    return round((bar.end if bar.end is not None else bar.start) - bar.start, 3)


def _custom(bar: Bar) -> list[str]:
    """What the browser picks, labels (long, short) and says on hover."""
    return [bar.pick, _escaped(bar.label), _escaped(bar.short), _hover(bar)]


def _hover(bar: Bar) -> str:
    sign, word = bar.mark
    parts = [f"{sign} {word}".strip(), bar.label, f"{bar.start:.2f} – {bar.end or bar.start:.2f} s, {_width(bar):.2f} s", bar.note]
    return "<br>".join(_escaped(part) for part in parts if part)


def _escaped(text: str) -> str:
    """Plotly reads a few HTML tags in its texts, links among them; arguments must not write any."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _box_trace(state: str, bars: Sequence[Bar], tops: Mapping[str, int], look: Look) -> dict[str, Any]:
    xs: list[float | None] = []
    ys: list[float | None] = []
    for bar in bars:
        left, right, middle, half = bar.start, bar.start + _width(bar), _middle(bar, tops), HEIGHTS[bar.lane] / 2
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


def _tick_trace(timeline: Timeline, kind: str, tops: Mapping[str, int]) -> dict[str, Any]:
    ticks = [tick for tick in timeline.ticks if tick.kind == kind]
    symbol = {"named": "diamond-open", "sealed": "diamond", "skipped": "circle-open"}[kind]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": kind,
        "x": [round(tick.at, 3) for tick in ticks],
        "y": [tops["model"] + 0.96 for _ in ticks],
        "marker": {"symbol": symbol, "size": 7, "color": _token("text"), "line": {"color": _token("text"), "width": 1}},
        "text": [_escaped(tick.text) for tick in ticks],
        "hovertemplate": "%{text}<br>%{x:.2f} s<extra></extra>",
    }


def _link_trace(timeline: Timeline, tops: Mapping[str, int]) -> dict[str, Any]:
    """From the end of a used run up to where its call was asked for."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for link in timeline.links:
        row = tops["guess"] + link.start_row + 0.5
        xs += [round(link.start, 3), round(link.end, 3), round(link.end, 3), None]
        ys += [row, row, tops["tools"] + 0.05, None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "links",
        "x": xs,
        "y": ys,
        "line": {"color": _token("used"), "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
    }


def _slot_trace(timeline: Timeline, tops: Mapping[str, int]) -> dict[str, Any]:
    most = max((held for _, held in timeline.slots), default=0) or 1
    floor = tops["slots"] + 0.95
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "slots",
        "x": [round(at, 3) for at, _ in timeline.slots],
        "y": [floor - 0.8 * held / most for _, held in timeline.slots],
        "text": [f"{held} slots held" for _, held in timeline.slots],
        "line": {"shape": "hv", "color": _token("decode"), "width": 1.5},
        "hovertemplate": "%{text}<extra></extra>",
    }


def _open(bar: Bar, tops: Mapping[str, int]) -> dict[str, Any]:
    height = HEIGHTS[bar.lane]
    return {
        "key": bar.key,
        "state": bar.state,
        "start": round(bar.start, 3),
        "top": round(_middle(bar, tops) - height / 2, 3),
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
    borders = [tops["tools"], tops["guess"], tops["slots"]]
    font = {"family": "system-ui, sans-serif", "size": 12, "color": _token("text")}
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
        "paper_bgcolor": _token("surface"),
        "plot_bgcolor": _token("surface"),
        "hoverlabel": {"bgcolor": _token("surface"), "bordercolor": _token("control"), "font": font, "align": "left"},
        "xaxis": {
            "range": [0, max(timeline.end * 1.02, 1)],
            "ticksuffix": " s",
            "gridcolor": _token("line"),
            "zeroline": False,
            "tickcolor": _token("line"),
            "fixedrange": False,
        },
        "yaxis": {
            "range": [rows, 0],
            "tickvals": [at for at, _ in names],
            "ticktext": [name for _, name in names],
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
            "tickcolor": _token("surface"),
        },
        "shapes": [_border(y) for y in borders],
    }


def _border(y: float) -> dict[str, Any]:
    line = {"color": _token("line"), "width": 1}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "layer": "below", "line": line}
