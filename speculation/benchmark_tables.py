"""The sections of the benchmark's document as text. Every figure stands beside what it is of."""

from collections.abc import Mapping, Sequence
from typing import Any

from speculation.text_table import Row, text_table

_POINT = (
    "sessions",
    "rows",
    "seconds",
    "events a second",
    "us an event since",
    "times the walk",
    "MB",
    "processor / wall",
)


_LATENCY = ("p50 ms", "p99 ms", "of processor", "max ms", "of")
_ABOUT = "p99 on the wall's clock, then of processor time alone."


def mining_text(section: Mapping[str, Any]) -> str:
    ahead = section["extrapolated"]
    first, last = ahead["from_events"]
    parts = [
        "One agent of three kinds of work, mined session by session. The walk: the same events cut into steps, their JSON parsed.",
        text_table(["events", *_POINT], map(_point, section["points"])),
        f"Growth: seconds go as events to the power {_number(section['growth_exponent'], '.3f')} (1 is linear). "
        f"{ahead['events']:,} events would take {ahead['seconds']:,.0f} s, at {1e6 * ahead['seconds_per_event']:.1f} us for each "
        f"further event as measured from {first:,} to {last:,}.",
        "\n".join(["An agent with very many patterns, under a bound on the rows", *map(_bound, section["bounds"])]),
    ]
    if section["recorded"]:
        rows = [[name, f"{row['events']:,}", *_point(row)[1:]] for name, row in section["recorded"].items()]
        parts.append(text_table(["recorded, once through", "events", *_POINT], rows))
    return "\n".join(parts)


def _bound(bound: Mapping[str, Any]) -> str:
    return text_table([f"at most {bound['max_rows']:,} rows, events", *_POINT], map(_point, bound["points"]))


def _point(row: Mapping[str, Any]) -> Row:
    return [
        f"{row['events']:,}",
        f"{row['sessions']:,}",
        f"{row['rows']:,}",
        f"{row['seconds']:.2f}",
        _number(row["events_per_second"], ",.0f"),
        _number(row["segment_seconds_per_event"], ".1f", 1e6),
        _number(row["times_the_walk"], ".1f"),
        _megabytes(row["resident_bytes"]),
        _number(row["processor_share"], ".2f"),
    ]


def predict_text(section: Mapping[str, Any]) -> str:
    head = f"{section['k']} predictions at the start of a turn; an agent of {section['tools']} tools. {_ABOUT}"
    tables = [
        text_table(
            [mode.replace("_", " "), *_LATENCY], [[_size(row), *_latencies(row[mode])] for row in section["rows"]]
        )
        for mode in ("all_tools", "only_reads")
    ]
    built = [
        [_size(row), f"{row['build_seconds']:.2f}", _megabytes(row["build_bytes"]), f"{row['mined_events']:,}"]
        for row in section["rows"]
    ]
    built_table = text_table(["the predictor", "built in s", "MB", "mined of events"], built)
    return "\n".join([head, *tables, built_table, _growth(section)])


def latency_text(section: Mapping[str, Any]) -> str:
    rows = [[_size(row), *_latencies(row)] for row in section["rows"]]
    table = text_table(["patterns", *_LATENCY], rows)
    return f"One event observed. {_ABOUT}\n{table}\n{_growth(section)}"


def _growth(section: Mapping[str, Any]) -> str:
    exponents = [
        f"{name.replace('_', ' ')} {_number(value, '.2f')}" for name, value in section["growth_exponents"].items()
    ]
    return f"Growth as patterns to the power: {', '.join(exponents)} (0 is none, 1 is linear)."


def _size(row: Mapping[str, Any]) -> str:
    return f"{row['patterns']:,}" if row["patterns"] else "0 (control)"


def _latencies(row: Mapping[str, Any]) -> Sequence[str]:
    return [*[f"{1000 * row[name]:.3f}" for name in ("p50", "p99", "processor_p99", "max")], f"{row['count']:,}"]


def _megabytes(count: int | None) -> str:
    return _number(count, ".1f", 1e-6)


def _number(value: float | None, form: str, times: float = 1.0) -> str:
    return "–" if value is None else format(value * times, form)
