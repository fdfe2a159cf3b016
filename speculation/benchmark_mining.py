"""Mining measured: seconds at growing numbers of events, how they grow, memory, what a bound on the rows does.

One mining is measured in a process of its own, started for it, so that its memory is its own. Only the miner is on the clock;
the control is on it too, session by session in the same loop: the same events cut into steps and their JSON results parsed.
"""

import gc
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import linear_regression, median
from typing import Any

from speculation.benchmark_choices import Choices
from speculation.engine.mining import Miner
from speculation.engine.steps import cut_into_steps
from speculation.engine.synthetic import TOOLS, sessions
from speculation.engine.synthetic_network import Network
from speculation.engine.types import Event, ToolTraits
from speculation.traces import Effects, TraceSession, read_lines

EXTRAPOLATED_EVENTS = 10_000_000
EFFECTS_FILE = "effects.json"
BOUNDED_SHARE = 0.3
"""Of the largest mining's events, how many the bounded minings get: their agent has many more patterns."""

Tell = Callable[[str], object]


@dataclass(frozen=True)
class Point:
    """Where a mining stood after so many events. All sums from its beginning; bytes beyond those of the empty miner."""

    events: int
    sessions: int
    seconds: float
    walked_seconds: float
    """Of the control."""
    wall_seconds: float
    """Miner and control together, on the wall's clock."""
    rows: int
    resident_bytes: int | None
    """None where the system does not say."""


class Mining:
    """A miner under the clock."""

    def __init__(self, tools: Mapping[str, ToolTraits], max_rows: int | None = None) -> None:
        self._tools = tools
        self._miner = Miner("benchmark", (), tools, **({} if max_rows is None else {"max_rows": max_rows}))
        self._events = self._sessions = 0
        self._seconds = self._walked_seconds = self._wall_seconds = 0.0
        gc.collect()
        self._bytes_before = resident_bytes()

    def mine(self, events: Sequence[Event]) -> None:
        wall, began_at = time.perf_counter(), time.process_time()
        self._miner.observe_session(events)
        mined_at = time.process_time()
        self._walk(events)
        self._walked_seconds += time.process_time() - mined_at
        self._wall_seconds += time.perf_counter() - wall
        self._seconds += mined_at - began_at
        self._events += len(events)
        self._sessions += 1

    def _walk(self, events: Sequence[Event]) -> None:
        """Without garbage collection, which would be that of the miner's memory."""
        was_collecting = gc.isenabled()
        gc.disable()
        try:
            cut_into_steps(events, self._changes_world)
            for event in events:
                if isinstance(event.result, str) and event.result[:1] in ("{", "["):
                    _parsed(event.result)
        finally:
            if was_collecting:
                gc.enable()

    def _changes_world(self, event: Event) -> bool:
        traits = self._tools.get(event.tool)
        return traits is None or traits.may_change_world(event.arguments)

    def points(self, stream: Iterable[Sequence[Event]], sizes: Sequence[int]) -> Iterator[Point]:
        """Mine until the last size is reached or the stream ends; a point at each size, and at the end."""
        left = sorted(sizes)
        for events in stream:
            self.mine(events)
            if left and self._events >= left[0]:
                left = [size for size in left if size > self._events]
                yield self.point()
                if not left:
                    return
        if self._sessions:
            yield self.point()

    def point(self) -> Point:
        wall, began_at = time.perf_counter(), time.process_time()
        self._miner.settle()
        self._seconds += time.process_time() - began_at
        self._wall_seconds += time.perf_counter() - wall
        gc.collect()
        now = resident_bytes()
        grown = None if now is None or self._bytes_before is None else now - self._bytes_before
        return Point(
            self._events,
            self._sessions,
            self._seconds,
            self._walked_seconds,
            self._wall_seconds,
            len(self._miner.patterns()),
            grown,
        )


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def resident_bytes() -> int | None:
    """What this process holds in memory, where the system says so."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def sizes_up_to(events: int) -> list[int]:
    """1, 3, 10, 30 ... from 1,000 (or a hundredth of the largest, if that is less) up to `events` itself."""
    smallest = min(1_000, max(1, events // 100))
    ladder = [first * 10**power for power in range(12) for first in (1, 3)]
    return [*(size for size in ladder if smallest <= size < events), events]


def mining_document(choices: Choices, tell: Tell) -> dict[str, Any]:
    """Everything about mining as JSON."""
    runs = []
    for number in range(choices.repeats):
        tell(f"mining {choices.events:,} events, {number + 1} of {choices.repeats}")
        runs.append(_apart(mine_agent, choices.seed, sizes_up_to(choices.events)))
    points = [_median(each) for each in zip(*runs, strict=True)]
    return {
        "points": _with_rates(points),
        "growth_exponent": growth_exponent([(p.events, p.seconds) for p in points]),
        "extrapolated": extrapolate(points, EXTRAPOLATED_EVENTS),
        "bounds": [_bound(bound, choices, tell) for bound in choices.max_rows],
        "recorded": recorded_document(choices.recorded, tell),
    }


def mine_agent(seed: int, sizes: Sequence[int]) -> list[Point]:
    return list(Mining(TOOLS).points(sessions(seed), sizes))


def mine_network(seed: int, sizes: Sequence[int], max_rows: int) -> list[Point]:
    network = Network(seed)
    return list(Mining(network.tools, max_rows).points(network.sessions(seed), sizes))


def mine_recorded(path: Path, source: str) -> list[Point]:
    runs = [run for run in read_lines(path) if isinstance(run, TraceSession) and run.source == source]
    effects = effects_beside(path)
    names = {event["name"] for run in runs for event in run.events if event["type"] == "tool"}
    tools = {name: effects.traits(source, name) for name in sorted(names)}
    return list(Mining(tools).points((run.to_events() for run in runs), [EXTRAPOLATED_EVENTS]))


def effects_beside(path: Path) -> Effects:
    """What the file's tools do; without a file that says so, every call changes the world. Raises OSError, ValueError."""
    beside = path.parent / EFFECTS_FILE
    return Effects.read(beside) if beside.exists() else Effects()


def recorded_document(recorded: Sequence[tuple[Path, str]], tell: Tell) -> dict[str, Any]:
    """Each source of each file mined once through, without repeats: `{"FILE NAME: SOURCE": point}`."""
    found = {}
    for path, source in recorded:
        tell(f"mining {source} of {path.name}")
        found[f"{path.name}: {source}"] = _shown(None, _apart(mine_recorded, path, source)[-1])
    return found


def _bound(max_rows: int, choices: Choices, tell: Tell) -> dict[str, Any]:
    events = max(1, int(choices.events * BOUNDED_SHARE))
    tell(f"mining {events:,} events of an agent with many patterns, at most {max_rows:,} rows")
    points = _apart(mine_network, choices.seed, [max(1, events // 4), max(1, events // 2), events], max_rows)
    return {"max_rows": max_rows, "points": _with_rates(points)}


def _apart(function: Callable[..., list[Point]], *arguments: Any) -> list[Point]:
    """What the function returns in a process started for it alone."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def _median(points: Sequence[Point]) -> Point:
    sizes = [point.resident_bytes for point in points if point.resident_bytes is not None]
    return replace(
        points[0],
        seconds=median(point.seconds for point in points),
        walked_seconds=median(point.walked_seconds for point in points),
        wall_seconds=median(point.wall_seconds for point in points),
        resident_bytes=int(median(sizes)) if sizes else None,
    )


def _with_rates(points: Sequence[Point]) -> list[dict[str, Any]]:
    return [_shown(before, point) for before, point in zip([None, *points], points, strict=False)]


def _shown(before: Point | None, point: Point) -> dict[str, Any]:
    """With rates: of the whole way, and of the segment since the point before."""
    seconds, events = (before.seconds, before.events) if before else (0.0, 0)
    return {
        **asdict(point),
        "events_per_second": _over(point.events, point.seconds),
        "segment_seconds_per_event": _over(point.seconds - seconds, point.events - events),
        "times_the_walk": _over(point.seconds, point.walked_seconds),
        "processor_share": _over(point.seconds + point.walked_seconds, point.wall_seconds),
    }


def _over(value: float, by: float) -> float | None:
    return value / by if by else None


def growth_exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """The slope of log y over log x: 1 is linear, 0 is no growth. None with fewer than two points above 0."""
    logs = [(math.log(x), math.log(y)) for x, y in points if x > 0 and y > 0]
    if len({x for x, _ in logs}) < 2:
        return None
    return linear_regression([x for x, _ in logs], [y for _, y in logs]).slope


def extrapolate(points: Sequence[Point], events: int) -> dict[str, Any]:
    """Seconds for so many events, if each further one costs what those between the last two points did."""
    last, before = points[-1], points[-2] if len(points) > 1 else None
    marginal = _shown(before, last)["segment_seconds_per_event"] or 0.0
    return {
        "events": events,
        "seconds": last.seconds + marginal * max(0, events - last.events),
        "seconds_per_event": marginal,
        "from_events": [before.events if before else 0, last.events],
    }
