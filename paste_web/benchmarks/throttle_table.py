"""The section `throttle` as text."""

from collections.abc import Mapping
from typing import Any

from paste_web.benchmarks.harm_table import percent
from speculation.text_table import text_table


def throttle_text(section: Mapping[str, Any]) -> str:
    head = (
        f"Demo agents {', '.join(section['agents'])}, {section['rounds']} tasks each, on real workers with {section['slots']} "
        f"slots; every task serial and at each throttle, in drawn order, the agents side by side. The model writes "
        f"{section['tokens_per_second']:g} tokens a second, the network stands for {section['network_latency_seconds']:g} s. "
        "Throttle: the share of guesses worth running that is not run. Saved: 1 minus task time over the same task's serial time."
    )
    rows = [
        [
            f"{row['throttle_percent']} %",
            f"{row['ratio']:.3f}",
            percent(row["savings"]["mean"]),
            f"{percent(row['savings']['low'])} to {percent(row['savings']['high'])}",
            str(row["savings"]["count"]),
            str(row["hits"]),
        ]
        for row in section["levels"]
    ]
    table = text_table(["throttle", "time over serial", "saved", "95 % interval", "of", "calls served"], rows)
    return "\n".join(
        [
            head,
            table,
            f"Savings fall gracefully: {_yes(section['falls_gracefully'])}. "
            f"Never negative, within the interval: {_yes(section['is_never_negative'])}.",
        ]
    )


def _yes(holds: bool) -> str:
    return "yes" if holds else "NO"
