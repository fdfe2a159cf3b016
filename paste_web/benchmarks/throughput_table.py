"""The section `throughput` as text."""

from collections.abc import Mapping
from typing import Any

from paste_web.benchmarks.throughput import saturation
from speculation.text_table import text_table

CLASSES = ("agents worker", "tools workers", "guesses workers", "database", "broker", "benchmark", "else")


def throughput_text(section: Mapping[str, Any]) -> str:
    head = (
        f"So many sessions at once for {section['seconds']} s each, a new one as soon as one ends; before that, a while that is "
        f"not counted. A session: {section['calls_a_session']} calls of {section['tool_seconds']:g} s on average, "
        f"{section['model_seconds']:g} s of the model before each and after the last, so at least {section['session_seconds']:g} s "
        f"without speculation. {section['slots']} slots ({section['reserved']} never for guesses), one agents worker with "
        f"{section['agent_threads']} threads. Task seconds: from submission to end. Processors: cores busy with each kind of "
        f"process, of {section['cores']}; servers that run elsewhere are not seen."
    )
    rows = [
        [
            f"{row['sessions']} {row['arm']}",
            f"{row['sessions_a_minute']:.1f}",
            f"{row['calls_a_minute']:.0f}",
            _number(row["p50_task_seconds"]),
            _number(row["p95_task_seconds"]),
            f"{row['guesses_used']} of {row['guesses']}",
            str(row["not_succeeded"]),
            *(f"{row['processors'].get(name, 0.0):.2f}" for name in CLASSES),
            f"{row['processors_in_all']:.2f}",
        ]
        for row in section["rows"]
    ]
    columns = [
        "sessions a minute",
        "calls a minute",
        "p50 s",
        "p95 s",
        "guesses used",
        "failed",
        *CLASSES,
        "processors",
    ]
    return "\n".join(
        [head, text_table(["sessions, speculation", *columns], rows), *saturation(section["rows"], section["cores"])]
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
