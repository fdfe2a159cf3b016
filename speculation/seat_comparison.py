"""The order of seats at a model endpoint against others, on made-up sessions over several loads: what it gains, and where not.

Each order meets the same sessions. A change is in percent of the mean task time of first come, first served; its interval
is twice the standard error over the seeds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from speculation.engine.co_scheduling import AGEING_SECONDS, WaitingRequest, first_come, in_order
from speculation.engine.seat_simulation import Kind, Order, Outcome, compare
from speculation.text_table import text_table


def shortest_first(requests: Iterable[WaitingRequest]) -> list[WaitingRequest]:
    """Blind to tools: the shortest request first, with ageing. What the tools' part of the rule has to beat."""
    return sorted(
        requests,
        key=lambda one: (one.model_seconds - one.waited_seconds / AGEING_SECONDS, -one.waited_seconds, one.key),
    )


ORDERS: Mapping[str, Order] = {"arrival": first_come, "gain": in_order, "shortest": shortest_first}
MIXES: Mapping[str, Sequence[Kind]] = {
    "control: all alike, nothing foreseen": [Kind(2, 2, 8)],
    "all alike": [Kind(2, 2, 8, 0.4)],
    "long tools after short turns": [Kind(1, 4, 8, 0.4), Kind(4, 1, 8, 0.4)],
    "long tools after long turns": [Kind(4, 12, 8, 0.3), Kind(1, 0.2, 8, 0.3)],
}
LOADS = (0.5, 0.8, 0.95, 1.2)


@dataclass(frozen=True)
class Choices:
    """Of the simulation; all whole numbers."""

    sessions: int = 200
    seeds: int = 5
    seats: int = 4
    slots: int = 20


def compare_orders(choices: Choices) -> list[dict[str, Any]]:
    """A row for every mix, load and order."""
    rows = []
    for mix, kinds in MIXES.items():
        for load in LOADS:
            runs = [_run(kinds, load, seed, choices) for seed in range(choices.seeds)]
            base = [mean(run["arrival"].task_seconds) for run in runs]
            rows += [_row(mix, load, name, [run[name] for run in runs], base) for name in ORDERS]
    return rows


def _run(kinds: Sequence[Kind], load: float, seed: int, choices: Choices) -> dict[str, Outcome]:
    return compare(
        kinds, ORDERS, load=load, seats=choices.seats, slots=choices.slots, count=choices.sessions, seed=seed
    )


def _row(mix: str, load: float, order: str, runs: Sequence[Outcome], base: Sequence[float]) -> dict[str, Any]:
    means = [mean(run.task_seconds) for run in runs]
    changes = [100 * (one / other - 1) for one, other in zip(means, base, strict=True)]
    return {
        "mix": mix,
        "load": load,
        "order": order,
        "mean_seconds": mean(means),
        "change_percent": mean(changes),
        "interval_percent": 2 * stdev(changes) / len(changes) ** 0.5 if len(changes) > 1 else None,
        "p95_seconds": mean(_p95(run.task_seconds) for run in runs),
        "longest_wait_seconds": max(run.longest_wait_seconds for run in runs),
        "slot_use": mean(run.slot_use for run in runs),
    }


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[int(0.95 * len(values))]


def as_text(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ["sessions", "load", "order", "mean s", "change", "p95 s", "longest wait s", "slots used"]
    return text_table(head, map(_cells, rows))


def _cells(row: Mapping[str, Any]) -> list[str]:
    interval = "" if row["interval_percent"] is None else f" ± {row['interval_percent']:.1f}"
    return [
        row["mix"],
        f"{row['load']:g}",
        row["order"],
        f"{row['mean_seconds']:.1f}",
        f"{row['change_percent']:+.1f}{interval} %",
        f"{row['p95_seconds']:.1f}",
        f"{row['longest_wait_seconds']:.0f}",
        f"{100 * row['slot_use']:.0f} %",
    ]
