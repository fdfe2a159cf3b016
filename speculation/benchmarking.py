"""What the engine costs on this machine: the sections of `python manage.py benchmark`, and one document of their figures.

A section measures and says how its figures read; `SECTIONS` is all there is to know of it, so a new one is one entry. None
needs a database or a broker. Inputs are made up (engine/synthetic.py), so figures are of cost alone; how often guesses are
right is `evaluate`'s question.
"""

import gc
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from speculation.benchmark_choices import Choices
from speculation.benchmark_latency import WARM_UP_PREDICTIONS, Rung, observe_document, predict_document, rungs
from speculation.benchmark_mining import mining_document
from speculation.benchmark_tables import latency_text, mining_text, predict_text


class Benchmark:
    """One run of the command. What several sections need is measured once. `tell` gets a line now and then."""

    def __init__(self, choices: Choices, tell: Callable[[str], object] = lambda line: None) -> None:
        self.choices, self.tell = choices, tell

    @cached_property
    def rungs(self) -> list[Rung]:
        return rungs(self.choices, self.tell)


class Section(NamedTuple):
    """`measure` gives JSON, `show` that JSON as text."""

    measure: Callable[[Benchmark], dict[str, Any]]
    show: Callable[[Mapping[str, Any]], str]


SECTIONS: Mapping[str, Section] = {
    "mining": Section(lambda run: mining_document(run.choices, run.tell), mining_text),
    "predict": Section(lambda run: predict_document(run.rungs, run.choices), predict_text),
    "observe": Section(lambda run: observe_document(run.rungs), latency_text),
}


def benchmark(sections: Iterable[str], choices: Choices, tell: Callable[[str], object]) -> dict[str, Any]:
    """`{"method": {...}, "sections": {NAME: {...}}}`, in the order of `SECTIONS`. Raises KeyError for an unknown section."""
    wanted, run = set(sections), Benchmark(choices, tell)
    if unknown := wanted - set(SECTIONS):
        raise KeyError(*sorted(unknown))
    measured = {name: section.measure(run) for name, section in SECTIONS.items() if name in wanted}
    return {"method": method(choices), "sections": measured}


def method(choices: Choices) -> dict[str, Any]:
    """Everything that must be known to read the figures."""
    return {
        "python": platform.python_version(),
        "machine_cores": os.cpu_count(),
        "cores_used": 1,
        "seed": choices.seed,
        "repeats": choices.repeats,
        "mining_clock": "processor seconds of the process (time.process_time), of the miner alone",
        "latency_clock": "wall seconds (time.perf_counter), call by call; processor_p99: time.thread_time of the same calls",
        "garbage_collection": f"{'on' if gc.isenabled() else 'off'}, as in the product, but for mining's control; collected before every measurement",
        "warm_up": f"mining none; latencies {WARM_UP_PREDICTIONS} predictions before each run",
        "summary": "medians of the repeats, each with sessions of its own for latencies, with the same ones for mining",
    }


def as_text(document: Mapping[str, Any]) -> str:
    """The method first, then each section."""
    lines = "\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in document["method"].items())
    parts = [f"{name}\n{SECTIONS[name].show(section)}" for name, section in document["sections"].items()]
    return "\n\n".join([lines, *parts])
