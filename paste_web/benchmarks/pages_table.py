"""The section `pages` as text: each figure beside its budget."""

from collections.abc import Mapping
from typing import Any

from speculation.text_table import text_table


def pages_text(section: Mapping[str, Any]) -> str:
    budgets, held = section["budgets"], section["held"]
    long, news = section["long_session"], section["news"]
    rows = [
        _row("first paint, p95", long["first_paint"], f"{budgets['first_paint']:.0f} ms", held["first_paint"]),
        _row("chart drawn, p95", long["chart_drawn"], "–", None),
        [
            "page sent (with scripts and styles, compressed)",
            f"{_kilobytes(long['document_bytes'])} ({_kilobytes(long['all_bytes'])})",
            _kilobytes(budgets["document_bytes"]),
            _word(held["document_bytes"]),
        ],
        _row(
            "select the next call, p95",
            long["select_next_call"],
            f"{budgets['interaction_p95']:.0f} ms",
            held["select_next_call"],
        ),
        _row(
            "zoom and move, p95", long["zoom_and_move"], f"{budgets['interaction_p95']:.0f} ms", held["zoom_and_move"]
        ),
        _row("detail after a zoom, p95", long["detail_after_zoom"], "–", None),
        _row("commit to watcher, p95", news["told"], f"{budgets['news_p95']:.0f} ms", held["news"]),
        _row("commit to watcher that had been cut off, p95", news["told_after_a_cut"], "–", None),
        _row("commit to a browser's frame, p95", news["drawn_in_a_browser"], "–", None),
        ["final states lost", f"{news['lost_final_states']} of {news['viewers']}", "0", _word(held["final_states"])],
    ]
    return "\n\n".join(
        [
            _pages(section["pages"]),
            f"A session of {long['calls']:,} calls and {long['events']:,} events, {long['bars']} bars drawn. "
            f"{news['sessions']} sessions at {news['events_a_second'] / news['sessions']:.1f} events a second each for "
            f"{news['seconds']} s, {news['viewers']} watchers and a browser, {news['disconnects']} forced disconnects.",
            text_table(["figure", "measured", "budget", "held"], rows),
            "\n".join(f"{name}: {text}" for name, text in section["method"].items()),
        ]
    )


def _pages(rows: list[Mapping[str, Any]]) -> str:
    body = [
        [_name(row), f"{row['p50']:.0f}", f"{row['p95']:.0f}", _kilobytes(row["bytes"]), str(row["statements"])]
        for row in rows
    ]
    head = (
        f"Pages of a made-up installation, {rows[0]['count']} loads each: milliseconds, what is sent, and statements."
    )
    return f"{head}\n{text_table(['page', 'p50', 'p95', 'sent', 'statements'], body)}"


def _name(row: Mapping[str, Any]) -> str:
    return str(row["page"]) if row["status"] == 200 else f"{row['page']} ({row['status']})"


def _row(name: str, figures: Mapping[str, Any], budget: str, is_held: bool | None) -> list[str]:
    if not figures["count"]:
        return [name, "none", budget, _word(is_held)]
    return [
        name,
        f"{figures['p95']:.0f} ms (p50 {figures['p50']:.0f}, of {figures['count']:,})",
        budget,
        _word(is_held),
    ]


def _word(is_held: bool | None) -> str:
    return "–" if is_held is None else "yes" if is_held else "NO"


def _kilobytes(size: float) -> str:
    return f"{size / 1000:,.0f} kB"
