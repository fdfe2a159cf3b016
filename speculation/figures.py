"""The numbers, defined once: every page, the API and the commands read these. Pure; all times in seconds.

For one authoritative call: **waited** (a) is what the agent waited for it. **interference** (i) is the part of its queue
time during which an unpromoted speculation of the session held a slot; whether another slot was free is not in the log,
so this never flatters. **without** (u) is what it would have waited without speculation: a - i if nothing served it,
else the shorter of the serving run's duration and the tool's usual one, plus the usual queue wait.

For a turn, P(x) is the critical path through its calls with waits x, order and parallelism as they were. Then
net saved = P(u) - P(a), interference = P(a) - P(a - i), saved = net saved + interference; a session sums over turns.
So task seconds + net saved is the same schedule with every u. **hidden** is for the picture: the part of a serving run
before its call was asked for. **wasted** is worker time of runs that nobody asked for in time; that of **warm-ups**, which
nobody can ask for, is counted apart. **wasted price** is what the calls of those runs cost, in the installation's currency.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from speculation.intervals import Interval, covered, united
from speculation.spans import Call, Run, Turn
from speculation.story import Story
from speculation.waste import Waste, by_reason, price_of, waste_of

SERVED = ("used", "joined", "raised")


@dataclass(frozen=True)
class CallFigures:
    """One call's numbers. `until` is its return, or now while it is open."""

    call: Call
    run: Run | None
    until: float
    waited_seconds: float
    interference_seconds: float
    without_seconds: float
    hidden_seconds: float
    would_hide_seconds: float

    @property
    def run_seconds(self) -> float:
        if self.run is None or self.run.started_at is None:
            return 0.0
        return max(0.0, self.run.let_go_at(self.until) - self.run.started_at)


@dataclass(frozen=True)
class TurnFigures:
    """One turn's numbers: critical paths P(a), P(u), P(a - i), and how long the model decoded."""

    turn: int
    spans: Sequence[Turn]
    calls: Sequence[CallFigures]
    decode_seconds: float
    waited_seconds: float
    without_seconds: float
    undisturbed_seconds: float

    @property
    def asked_at(self) -> float | None:
        """When the first of its calls was asked for; None for a turn without calls."""
        return min((call.call.asked_at for call in self.calls), default=None)

    @property
    def net_saved_seconds(self) -> float:
        return self.without_seconds - self.waited_seconds

    @property
    def interference_seconds(self) -> float:
        return self.waited_seconds - self.undisturbed_seconds

    @property
    def saved_seconds(self) -> float:
        return self.net_saved_seconds + self.interference_seconds


@dataclass(frozen=True)
class Figures:
    """A session's numbers; "so far" while it runs."""

    queued_seconds: float
    task_seconds: float
    decode_seconds: float
    calls: Sequence[CallFigures] = ()
    turns: Sequence[TurnFigures] = ()
    wasted: Sequence[Waste] = ()
    launches: int = 0
    warm_ups: int = 0
    warm_up_seconds: float = 0.0

    waited_seconds: float = field(init=False)
    interference_seconds: float = field(init=False)
    net_saved_seconds: float = field(init=False)
    hidden_seconds: float = field(init=False)
    would_hide_seconds: float = field(init=False)
    wasted_seconds: float = field(init=False)
    wasted_price: Decimal = field(init=False)

    def __post_init__(self) -> None:
        sums = {
            "waited_seconds": sum(turn.waited_seconds for turn in self.turns),
            "interference_seconds": sum(turn.interference_seconds for turn in self.turns),
            "net_saved_seconds": sum(turn.net_saved_seconds for turn in self.turns),
            "hidden_seconds": sum(call.hidden_seconds for call in self.calls),
            "would_hide_seconds": sum(call.would_hide_seconds for call in self.calls),
            "wasted_seconds": sum(waste.seconds for waste in self.wasted),
            "wasted_price": price_of(self.wasted),
        }
        for name, value in sums.items():
            object.__setattr__(self, name, value)

    @property
    def saved_seconds(self) -> float:
        return self.net_saved_seconds + self.interference_seconds

    @property
    def without_speculation_seconds(self) -> float:
        return self.task_seconds + self.net_saved_seconds

    @property
    def hits(self) -> int:
        """Calls that a run already started or finished served."""
        return sum(call.call.outcome in ("used", "joined") for call in self.calls)

    @property
    def eligible_calls(self) -> int:
        return sum(call.call.is_eligible for call in self.calls)

    @property
    def failed_calls(self) -> int:
        return sum(call.call.ok is False for call in self.calls)

    @property
    def wasted_seconds_by_reason(self) -> dict[str, float]:
        """Only reasons that occurred, in their fixed order."""
        return {reason: sum(one.seconds for one in found) for reason, found in by_reason(self.wasted).items()}

    def to_json(self) -> dict[str, Any]:
        """The `figures` of a task's document; seconds to the millisecond, money to the millionth."""
        names = (
            "queued_seconds task_seconds without_speculation_seconds saved_seconds interference_seconds net_saved_seconds "
            "decode_seconds waited_seconds hidden_seconds wasted_seconds"
        )
        seconds = {name: round(getattr(self, name), 3) + 0.0 for name in names.split()}
        counts = {"launches": self.launches, "hits": self.hits, "eligible_calls": self.eligible_calls}
        return {**seconds, "wasted_price": float(self.wasted_price), **counts}


def compute(
    story: Story,
    *,
    now: float | None = None,
    usual_seconds: Mapping[str, float] | None = None,
    usual_queue_seconds: float = 0.0,
) -> Figures:
    """All numbers of one session.

    `now`: seconds since its start, for a session that still runs (default: its last entry). `usual_seconds`: a tool's
    median authoritative duration, only for tools with 20 such calls or more. `usual_queue_seconds`: of the holdout.
    """
    end = story.ended_at if story.ended_at is not None else max(story.last_at, now or 0.0)
    usual = usual_seconds or {}
    ahead = [run for run in story.runs.values() if run.ran_ahead]
    warm_ups = [run for run in ahead if run.is_warm_up]
    busy = united((run.first_started_at or 0.0, _guess_until(run, end)) for run in ahead)
    calls = [_call_figures(story, call, end, busy, usual, usual_queue_seconds) for call in story.calls.values()]
    return Figures(
        queued_seconds=_queued_seconds(story, end),
        task_seconds=end - story.started_at if story.started_at is not None else 0.0,
        decode_seconds=sum((turn.ended_at if turn.ended_at is not None else end) - turn.started_at for turn in story.turns),
        calls=calls,
        turns=_all_turns(story, calls, end),
        wasted=[waste for run in story.runs.values() if (waste := waste_of(story, run, end))],
        launches=len(ahead) - len(warm_ups),
        warm_ups=len(warm_ups),
        warm_up_seconds=sum(max(0.0, run.let_go_at(end) - (run.started_at or 0.0)) for run in warm_ups),
    )


def _queued_seconds(story: Story, end: float) -> float:
    if story.queued_at is None:
        return 0.0
    return (story.started_at if story.started_at is not None else end) - story.queued_at


def _guess_until(run: Run, end: float) -> float:
    """Until when a run held its slot as a mere guess."""
    held_until = run.let_go_at(end)
    return held_until if run.asked_at is None else min(held_until, run.asked_at)


def _call_figures(
    story: Story, call: Call, end: float, busy: Sequence[Interval], usual: Mapping[str, float], usual_queue_seconds: float
) -> CallFigures:
    run = story.runs.get(call.job)
    until = call.returned_at if call.returned_at is not None else max(end, call.asked_at)
    waited = until - call.asked_at
    started_at = run.started_at if run and run.started_at is not None else until
    interference = min(waited, covered((call.asked_at, min(started_at, until)), busy))
    without = waited - interference
    if call.outcome in SERVED and call.returned_at is not None and run and run.started_at is not None:
        ran = max(0.0, run.let_go_at(until) - run.started_at)
        without = min(ran, usual.get(call.tool, ran)) + usual_queue_seconds
    return CallFigures(
        call=call,
        run=run,
        until=until,
        waited_seconds=waited,
        interference_seconds=interference,
        without_seconds=without,
        hidden_seconds=_hidden_seconds(call, run, until),
        would_hide_seconds=_would_hide_seconds(call, run, until),
    )


def _hidden_seconds(call: Call, run: Run | None, until: float) -> float:
    if run is None or run.started_at is None or call.outcome not in SERVED:
        return 0.0
    return max(0.0, min(run.let_go_at(until), call.asked_at) - run.started_at)


def _would_hide_seconds(call: Call, run: Run | None, until: float) -> float:
    return lead_seconds(call, run, until) if call.is_eligible else 0.0


def lead_seconds(call: Call, run: Run | None, until: float) -> float:
    """What a prediction that nobody acted on would have hidden: its lead, at most the run's duration."""
    if call.outcome != "requested" or call.foreseen_at is None or run is None or run.started_at is None:
        return 0.0
    return max(0.0, min(run.let_go_at(until) - run.started_at, call.asked_at - call.foreseen_at))


def _all_turns(story: Story, calls: Sequence[CallFigures], end: float) -> list[TurnFigures]:
    spans: dict[int, list[Turn]] = {}
    asked: dict[int, list[CallFigures]] = {}
    for turn in story.turns:
        spans.setdefault(turn.number, []).append(turn)
    for call in calls:
        asked.setdefault(call.call.turn, []).append(call)
    return [_turn_figures(number, spans[number], asked.get(number, []), end) for number in sorted(spans)]


def _turn_figures(number: int, spans: Sequence[Turn], calls: Sequence[CallFigures], end: float) -> TurnFigures:
    steps = _steps(calls)
    return TurnFigures(
        turn=number,
        spans=spans,
        calls=calls,
        decode_seconds=sum((turn.ended_at if turn.ended_at is not None else end) - turn.started_at for turn in spans),
        waited_seconds=_length(steps, [call.waited_seconds for call in calls]),
        without_seconds=_length(steps, [call.without_seconds for call in calls]),
        undisturbed_seconds=_length(steps, [call.waited_seconds - call.interference_seconds for call in calls]),
    )


def critical_path(calls: Sequence[CallFigures], waits: Sequence[float]) -> float:
    """Seconds from the first ask to the last return if call k waited waits[k], order and parallelism as they were.

    A call comes after another where one of the two may change something and the other had returned: reads run side by
    side, even where a served one returned before the next was asked for. Pauses stay as they were, so with the actual
    waits this is exactly the actual time.
    """
    return _length(_steps(calls), waits)


class _Step(NamedTuple):
    """One call on the path: which, those it comes after, and the pause since the last of them returned."""

    index: int
    before: Sequence[int]
    pause: float


def _steps(calls: Sequence[CallFigures]) -> list[_Step]:
    """In the order in which they were asked for."""
    order = sorted(range(len(calls)), key=lambda k: calls[k].call.asked_at)
    steps = []
    for place, k in enumerate(order):
        before = [j for j in order[:place] if _comes_after(calls[k], calls[j])]
        since = max([calls[j].until for j in before]) if before else calls[order[0]].call.asked_at
        steps.append(_Step(k, before, calls[k].call.asked_at - since))
    return steps


def _length(steps: Sequence[_Step], waits: Sequence[float]) -> float:
    finish: dict[int, float] = {}
    for k, before, pause in steps:
        finish[k] = (max([finish[j] for j in before]) if before else 0.0) + pause + waits[k]
    return max(finish.values(), default=0.0)


def _comes_after(later: CallFigures, earlier: CallFigures) -> bool:
    return earlier.until <= later.call.asked_at and not (later.call.is_eligible and earlier.call.is_eligible)
