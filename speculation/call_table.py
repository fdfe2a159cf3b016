"""The Calls table: the timeline's rows and figures as text, for whoever reads rather than looks. Pure; seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

from speculation.bars import MARKS, Mark, call_text, state_of
from speculation.figures import CallFigures, Figures
from speculation.spans import Run
from speculation.story import Story


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call, or one run that no call ever used (no turn, no `asked_at`). None: not known, or not yet."""

    pick: str
    turn: int | None
    asked_at: float | None
    call: str
    state: str
    run_start: float | None
    run_end: float | None
    took_seconds: float | None
    waited_seconds: float | None
    hidden_seconds: float | None
    why: str
    tool: str = ""
    probability: float | None = None
    without_seconds: float | None = None
    """What it would have waited without speculation, estimated."""
    is_part: bool = False
    """True if a whole served it of which it asked for a part."""
    is_open: bool = False
    """True while the agent waits for it: what it took and waited for is so far."""

    @property
    def mark(self) -> Mark:
        return MARKS[self.state]


def call_rows(story: Story, figures: Figures, *, now: float | None = None, show_payloads: bool = True) -> Sequence[CallRow]:
    """Calls in the order of asking, then the runs that nobody asked for."""
    end = story.ended_at if story.ended_at is not None else max(story.last_at, now or 0.0)
    asked = [_of_call(call, story.has_ended, show_payloads) for call in sorted(figures.calls, key=lambda call: call.call.asked_at)]
    unasked = [run for run in story.runs.values() if run.is_unasked]
    return asked + [_of_guess(story, run, end, show_payloads) for run in sorted(unasked, key=lambda run: run.queued_at)]


def _of_call(call: CallFigures, has_ended: bool, show_payloads: bool) -> CallRow:
    run = call.run
    has_run = run is not None and run.started_at is not None
    return CallRow(
        pick=call.call.call_id,
        turn=call.call.turn,
        asked_at=call.call.asked_at,
        call=call_text(call.call.tool, call.call.arguments, show_payloads),
        state=call.call.outcome if call.call.outcome in MARKS else "skipped",
        run_start=run.started_at if run else None,
        run_end=run.ended_at if run else None,
        took_seconds=call.run_seconds if has_run else None,
        waited_seconds=call.waited_seconds,
        hidden_seconds=call.hidden_seconds,
        why=_why(run) if call.call.outcome != "requested" else call.call.reason,
        tool=call.call.tool,
        probability=run.probability if run else None,
        without_seconds=call.without_seconds,
        is_part=call.call.part_of is not None,
        is_open=call.call.returned_at is None and not has_ended,
    )


def _of_guess(story: Story, run: Run, end: float, show_payloads: bool) -> CallRow:
    state = state_of(story, run)
    started_at = run.started_at
    return CallRow(
        pick=run.job,
        turn=None,
        asked_at=None,
        call=call_text(run.tool, run.arguments, show_payloads),
        state=state,
        run_start=started_at,
        run_end=run.ended_at,
        took_seconds=max(0.0, run.let_go_at(end) - started_at) if started_at is not None else None,
        waited_seconds=None,
        hidden_seconds=None,
        why=_fate(state, run),
        tool=run.tool,
        probability=run.probability,
    )


def _fate(state: str, run: Run) -> str:
    if state == "guess":
        return _why(run)
    if state == "warm_up":
        return f"for a call that may follow, {_why(run)}"
    if state == "miss":
        return "never asked for"
    return run.reason or state


def _why(run: Run | None) -> str:
    """`P12, 0.91`: the pattern and the probability it was started with."""
    if run is None or run.probability is None:
        return ""
    return f"P{run.pattern}, {run.probability:.2f}" if run.pattern else f"{run.probability:.2f}"
