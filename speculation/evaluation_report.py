"""The evaluation as one HTML file that needs nothing else: charts by Plotly, each with the table it was drawn from.

Figures in JSON name colours by token, `var(--wasted)`; the page's script puts in those of the reader's theme.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from speculation.evaluation_table import arm_cells

STYLES = ("css/tokens.css", "css/paste.css", "css/evaluation.css")
SCRIPTS = ("vendor/plotly-basic.min.js", "js/tokens.js", "js/evaluation.js")
MARGINS = {"l": 52, "r": 12, "t": 12, "b": 44}

Rows = Sequence[Sequence[str]]


def write_report(path: Path, document: Mapping[str, Any], static: Path) -> None:
    """Raises OSError where the file cannot be written. `static`: the folder of styles and scripts to take in."""
    path.write_text(page(document, static), encoding="utf-8")


def page(document: Mapping[str, Any], static: Path) -> str:
    """The whole page. The document must have been made with sweeps."""
    styles = "\n".join((static / name).read_text(encoding="utf-8") for name in STYLES)
    scripts = [
        (static / name).read_text(encoding="utf-8").replace("\nexport function", "\nfunction") for name in SCRIPTS
    ]
    sections = "\n".join(
        _section(number, source, figures) for number, (source, figures) in enumerate(document["sources"].items())
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Evaluation · PASTE</title>
<link rel="icon" href="data:,">
<style>{styles}</style>
</head>
<body>
<main>
<header><h1>Evaluation</h1>
<p class="quiet">Predictions made before each turn of recorded sessions whose tasks were not trained on. Tool times
{escape(document["tool_times"])}, seed {document["seed"]}.</p></header>
{sections}
</main>
{"".join(f"<script>{script}</script>" for script in scripts)}
</body>
</html>
"""


def _section(number: int, source: str, figures: Mapping[str, Any]) -> str:
    charts = "\n".join([_reliability(number, figures), _waste(number, figures), _exposed(number, figures)])
    return f"""<section class="panel">
<h2>{escape(source)}</h2>
<p class="quiet">{_summary(figures)}</p>
<div class="charts">
{charts}
</div>
{_table("Replay, all test sessions", _ARM_HEAD, [_arm_row(*arm) for arm in figures["replay"].items()])}
</section>"""


def _summary(figures: Mapping[str, Any]) -> str:
    reads = figures["read_only"]
    return (
        f"{figures['sessions']} sessions, {figures['turns']} turns that call a tool: hit@1 {figures['hit@1']:.3f}, "
        f"hit@3 {figures['hit@3']:.3f}. {reads['turns']} of them read only: hit@1 {reads['hit@1']:.3f}, "
        f"hit@3 {reads['hit@3']:.3f}. Calibration error {figures['calibration_error']:.3f} of {figures['model_turns']} turns."
    )


_ARM_HEAD = ("arm", "exposed s", "of serial", "task s", "hits", "launches", "a hit", "wasted s", "covered")


def _arm_row(name: str, row: Mapping[str, Any]) -> Sequence[str]:
    return [name, *arm_cells(row, f"{_share_exposed(row):.3f}")]


def _share_exposed(row: Mapping[str, Any]) -> float:
    return float(row["exposed_tool_seconds"] / row["serial_tool_seconds"]) if row["serial_tool_seconds"] else 0.0


def _reliability(number: int, figures: Mapping[str, Any]) -> str:
    bins = figures["reliability"]
    points = _trace(
        [b["said"] for b in bins], [b["came_true"] for b in bins], "accent", [f"{b['count']} turns" for b in bins]
    )
    diagonal = {
        "x": [0, 1],
        "y": [0, 1],
        "mode": "lines",
        "hoverinfo": "skip",
        "line": {"color": "var(--muted)", "dash": "dot", "width": 1},
    }
    layout = _layout("said, mean of the bin", "came true", [0, 1], [0, 1])
    rows = [
        [f"{b['low']:.3f} to {b['high']:.3f}", str(b["count"]), f"{b['said']:.3f}", f"{b['came_true']:.3f}"]
        for b in bins
    ]
    table = _table("Bins of equally many turns", ("probability", "turns", "said", "came true"), rows)
    return _figure(f"reliability-{number}", "Reliability of the top prediction", [diagonal, points], layout, table)


def _waste(number: int, figures: Mapping[str, Any]) -> str:
    rows = figures["sweeps"]["min_probability"]
    labels = [f"from {row['min_probability']:.2f}" for row in rows]
    points = _trace([row["covered"] for row in rows], [row["wasted_seconds"] for row in rows], "wasted", labels)
    layout = _layout("reads covered", "wasted seconds", [0, None], [0, None])
    cells = [
        [
            f"{row['min_probability']:.2f}",
            f"{row['covered']:.3f}",
            str(row["hits"]),
            str(row["launches"]),
            f"{row['wasted_seconds']:.1f}",
        ]
        for row in rows
    ]
    table = _table(
        "Least probability that is launched", ("threshold", "covered", "hits", "launches", "wasted s"), cells
    )
    return _figure(f"waste-{number}", "Waste against coverage, by threshold", [points], layout, table)


def _exposed(number: int, figures: Mapping[str, Any]) -> str:
    rows = figures["sweeps"]["guesses"]
    counts = [row["guesses"] for row in rows]
    points = _trace(
        counts, [_share_exposed(row) for row in rows], "authoritative", [f"{row['launches']} launches" for row in rows]
    )
    layout = _layout("calls guessed at a turn's start (k)", "exposed, of serial", [0, None], [0, 1])
    cells = [
        [str(row["guesses"]), f"{row['exposed_tool_seconds']:.1f}", f"{_share_exposed(row):.3f}", str(row["launches"])]
        for row in rows
    ]
    table = _table("Calls guessed at a turn's start", ("k", "exposed s", "of serial", "launches"), cells)
    return _figure(f"exposed-{number}", "Exposed tool time against k", [points], layout, table)


def _trace(x: Iterable[float], y: Iterable[float], token: str, labels: Sequence[str]) -> dict[str, Any]:
    colour = f"var(--{token})"
    return {
        "x": list(x),
        "y": list(y),
        "text": list(labels),
        "mode": "lines+markers",
        "hovertemplate": "%{x:.3~f}, %{y:.3~f}<br>%{text}<extra></extra>",
        "line": {"color": colour, "width": 2},
        "marker": {"color": colour, "size": 7},
    }


def _layout(x: str, y: str, x_range: Sequence[float | None], y_range: Sequence[float | None]) -> dict[str, Any]:
    return {
        "xaxis": _axis(x, x_range),
        "yaxis": _axis(y, y_range),
        "margin": MARGINS,
        "showlegend": False,
        "dragmode": False,
        "font": {"color": "var(--text)", "size": 12},
        "paper_bgcolor": "var(--surface)",
        "plot_bgcolor": "var(--surface)",
    }


def _axis(title: str, limits: Sequence[float | None]) -> dict[str, Any]:
    lines = {"gridcolor": "var(--line)", "zerolinecolor": "var(--line)", "linecolor": "var(--control)"}
    return {"title": {"text": title}, "range": list(limits), "fixedrange": True, **lines}


def _figure(name: str, title: str, data: Sequence[Any], layout: Mapping[str, Any], table: str) -> str:
    figure = json.dumps({"data": data, "layout": layout}).replace("<", "\\u003c")
    return f"""<figure>
<figcaption>{escape(title)}</figcaption>
<div class="chart" id="{name}" role="img" aria-label="{escape(title)}; the table below has its numbers"></div>
<script type="application/json" data-figure="{name}">{figure}</script>
<details><summary>Table</summary>{table}</details>
</figure>"""


def _table(caption: str, head: Sequence[str], rows: Rows) -> str:
    heads = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption><thead><tr>{heads}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )
