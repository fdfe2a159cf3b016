"""Latencies measured: one event observed, one prediction asked for, by predictors of growing numbers of patterns.

Patterns are mined from an agent with very many habits (engine/synthetic_network.py) and cut to each size, the best supported
kept, as the miner itself does under a bound. Sessions that are predicted come from the same agent and were not mined; every run
has its own, so no value is seen twice. The control is a predictor without patterns.
"""

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

from speculation.benchmark_choices import Choices
from speculation.benchmark_mining import growth_exponent
from speculation.engine.mining import Miner
from speculation.engine.prediction import Predictor
from speculation.engine.steps import cut_into_steps
from speculation.engine.synthetic_network import Network
from speculation.engine.types import Event, Pattern, ToolTraits

K = 5
WARM_UP_PREDICTIONS = 50
LOOK_EVERY = 1.5
"""Mining goes on by this factor before its patterns are counted again."""
MODES: Mapping[str, bool] = {"all_tools": False, "only_reads": True}
"""Ways to ask: name in the document to `only_reads`."""

Tell = Callable[[str], object]


class Took(NamedTuple):
    """One call's time. Where the wall's is longer, the machine did something else meanwhile."""

    wall_seconds: float
    processor_seconds: float


@dataclass
class Run:
    """What single calls took, in order."""

    predicted: list[Took] = field(default_factory=list)
    observed: list[Took] = field(default_factory=list)


class Stopwatch:
    """Times calls by two clocks."""

    def __init__(
        self, clock: Callable[[], float] = time.perf_counter, processor_clock: Callable[[], float] = time.thread_time
    ) -> None:
        self._clock, self._processor_clock = clock, processor_clock

    def time(self, function: Callable[..., object], *arguments: object) -> Took:
        processor_began_at, began_at = self._processor_clock(), self._clock()
        function(*arguments)
        ended_at, processor_ended_at = self._clock(), self._processor_clock()
        return Took(ended_at - began_at, processor_ended_at - processor_began_at)


@dataclass
class Rung:
    """One size of predictor and everything measured with it."""

    patterns: int
    mined_events: int
    build_seconds: float
    build_bytes: int
    """Allocated while the predictor was built and held by it; what it shares with its patterns is not counted."""
    runs: Mapping[str, Sequence[Run]]
    """By mode, one for each repeat."""


def rungs(choices: Choices, tell: Tell) -> list[Rung]:
    """The control first, then the sizes from small to large."""
    network = Network(choices.seed)
    return [
        _rung(network, patterns, mined_events, choices, tell)
        for patterns, mined_events in grown_patterns(network, choices, tell)
    ]


def grown_patterns(network: Network, choices: Choices, tell: Tell) -> Iterator[tuple[list[Pattern], int]]:
    """Patterns of each size, and of how many events they were mined; none at first."""
    yield [], 0
    sizes = sorted(choices.patterns)
    miner = Miner("benchmark", (), network.tools, max_rows=10 * sizes[-1])
    patterns: list[Pattern] = []
    events = look_at = 0
    stream = network.sessions("mined")
    for size in sizes:
        while len(patterns) < size:
            while events <= look_at:
                session = next(stream)
                miner.observe_session(session)
                events += len(session)
            look_at, patterns = int(events * LOOK_EVERY), miner.patterns()
            tell(f"mining patterns: {len(patterns):,} of {size:,} from {events:,} events")
        yield best_supported(patterns, size), events


def best_supported(patterns: Sequence[Pattern], count: int) -> list[Pattern]:
    """So many of the patterns, of equals those of shorter contexts, in the miner's order."""
    ranked = sorted(range(len(patterns)), key=lambda at: (-patterns[at].support, len(patterns[at].context), at))
    return [patterns[at] for at in sorted(ranked[:count])]


def _rung(network: Network, patterns: list[Pattern], mined_events: int, choices: Choices, tell: Tell) -> Rung:
    predictor, build_seconds = built(patterns, network.tools)
    size = f"{len(patterns):,} patterns"
    runs: dict[str, list[Run]] = {mode: [] for mode in MODES}
    for number in range(choices.repeats):
        for mode, only_reads in MODES.items():
            tell(f"predicting with {size}, {mode}, {number + 1} of {choices.repeats}")
            sessions = network.sessions(f"{size} {mode} {number}")
            runs[mode].append(walk(predictor, sessions, only_reads, choices.predictions))
    return Rung(len(patterns), mined_events, build_seconds, built_bytes(patterns, network.tools), runs)


def built(patterns: Sequence[Pattern], tools: Mapping[str, ToolTraits]) -> tuple[Predictor, float]:
    """A predictor, and how many seconds building it took."""
    gc.collect()
    began_at = time.perf_counter()
    predictor = Predictor(patterns, tools)
    return predictor, time.perf_counter() - began_at


def built_bytes(patterns: Sequence[Pattern], tools: Mapping[str, ToolTraits]) -> int:
    """The size of another such predictor. Slow: every allocation is followed."""
    gc.collect()
    tracemalloc.start()
    try:
        predictor = Predictor(patterns, tools)
        gc.collect()
        held_bytes = tracemalloc.get_traced_memory()[0]
        del predictor
    finally:
        tracemalloc.stop()
    return held_bytes


def walk(
    predictor: Predictor,
    sessions: Iterator[list[Event]],
    only_reads: bool,
    predictions: int,
    stopwatch: Stopwatch | None = None,
) -> Run:
    """Live sessions through, asking at the start of every model turn, after a warm-up that is not in the figures."""
    stopwatch = stopwatch or Stopwatch()
    _follow(predictor, sessions, only_reads, WARM_UP_PREDICTIONS, stopwatch)
    gc.collect()
    return _follow(predictor, sessions, only_reads, predictions, stopwatch)


def _follow(
    predictor: Predictor,
    sessions: Iterator[list[Event]],
    only_reads: bool,
    predictions: int,
    stopwatch: Stopwatch,
) -> Run:
    run = Run()
    while len(run.predicted) < predictions:
        session, position, events = predictor.session(), 0, next(sessions)
        for step in cut_into_steps(events, lambda event: False):
            for event in events[position : step.start]:
                run.observed.append(stopwatch.time(session.observe, event))
            position = step.start
            run.predicted.append(stopwatch.time(session.predict, K, only_reads))
    return run


def predict_document(rungs: Sequence[Rung], choices: Choices) -> dict[str, Any]:
    """Rows from the control up; growth over the sizes without it."""
    rows = [
        {
            "patterns": rung.patterns,
            "mined_events": rung.mined_events,
            "build_seconds": rung.build_seconds,
            "build_bytes": rung.build_bytes,
            **{mode: figures([run.predicted for run in runs]) for mode, runs in rung.runs.items()},
        }
        for rung in rungs
    ]
    return {"k": K, "tools": len(Network(choices.seed).tools), "rows": rows, "growth_exponents": _growth(rows)}


def _growth(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    latencies = {
        f"{mode}_{name}": growth_exponent([(row["patterns"], row[mode][name]) for row in rows])
        for mode in MODES
        for name in ("p50", "p99")
    }
    builds = {
        name: growth_exponent([(row["patterns"], row[name]) for row in rows])
        for name in ("build_seconds", "build_bytes")
    }
    return {**latencies, **builds}


def observe_document(rungs: Sequence[Rung]) -> dict[str, Any]:
    """One event each, in the sessions of the predictions, both modes together."""
    rows = [
        {"patterns": rung.patterns, **figures([run.observed for runs in rung.runs.values() for run in runs])}
        for rung in rungs
    ]
    return {"rows": rows, "growth_exponents": {"p50": growth_exponent([(row["patterns"], row["p50"]) for row in rows])}}


def figures(runs: Sequence[Sequence[Took]]) -> dict[str, Any]:
    """Medians over the runs of p50 and p99, the very longest, and how many calls were timed in all; seconds."""
    walls = [[took.wall_seconds for took in run] for run in runs]
    processors = [[took.processor_seconds for took in run] for run in runs]
    return {
        "p50": median(quantile(run, 0.5) for run in walls),
        "p99": median(quantile(run, 0.99) for run in walls),
        "processor_p99": median(quantile(run, 0.99) for run in processors),
        "max": max(max(run) for run in walls),
        "count": sum(len(run) for run in walls),
    }


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of the values does not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))]
