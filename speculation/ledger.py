"""Writes down what ended sessions came to, so that pages can add up thousands. Every figure comes out of figures.py.

A session is booked once its log has ended, by whoever sweeps, and anew where its log grew afterwards (a worker that let
go late). Booked figures never change with time: what is usual is taken from before the session's end.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.db.models import F, Q

from speculation.engine.scheduling import Refused
from speculation.exchanged import NOTHING_NEW
from speculation.figures import CallFigures, Figures, compute, lead_seconds
from speculation.models import Session, SessionFigures, ToolFigures, ToolJob
from speculation.offers import ADMITTED
from speculation.permits import NO_WARM_UP, NOTHING_RUNS_EARLY
from speculation.prices import as_text
from speculation.queries import usual_of
from speculation.spans import FREE, Run, WorkKey, work_key
from speculation.story import Story
from speculation.verdicts import WRITING
from speculation.waste import price_by_reason

MOST_AT_ONCE = 20
NOT_FOR_ITS_DECISION = {str(reason) for reason in Refused if reason != Refused.NOT_APPROVED} | {ADMITTED, NO_WARM_UP, NOTHING_NEW}
"""Verdicts on a candidate that say nothing of what a decision would let run: it would do so anyway, or never."""


def book_ended(most: int = MOST_AT_ONCE) -> int:
    """Book ended sessions that are not booked, or not to their log's end. Returns how many."""
    waiting = Session.objects.filter(ended_at__isnull=False).filter(Q(booked=None) | ~Q(booked__last_seq=F("last_seq")))
    return sum(book(pk) for pk in waiting.order_by("ended_at").values_list("pk", flat=True)[:most])


def book(session_id: Any) -> bool:
    """Write one ended session's figures. False: another is booking it at this moment, or it has not ended."""
    with transaction.atomic():
        found = Session.objects.select_for_update(skip_locked=True, no_key=True).filter(
            pk=session_id, ended_at__isnull=False
        )
        session = found.first()
        if session is None:
            return False
        story = Story(session.events.order_by("seq"))
        usual = usual_of(session, story)
        figures = compute(story, usual_seconds=usual["tools"], usual_queue_seconds=usual["queue"])
        SessionFigures.objects.filter(pk=session.pk).delete()
        SessionFigures.objects.create(
            session=session, last_seq=session.last_seq, usual=usual, **session_sums(story, figures)
        )
        ToolFigures.objects.filter(session=session).delete()
        known = _tools(session)
        rows = tool_sums(story, figures)
        ToolFigures.objects.bulk_create(
            ToolFigures(session=session, tool_id=known[name], **sums) for name, sums in rows.items() if name in known
        )
    return True


def _tools(session: Session) -> dict[str, int]:
    """Tool's name in this session to its row: as its jobs have it, else as its agent has it."""
    offered = session.agent.tools.order_by().values_list("name", "pk")
    ran = ToolJob.objects.filter(session=session).order_by().values_list("tool__name", "tool").distinct()
    return dict([*offered, *ran])


def session_sums(story: Story, figures: Figures) -> dict[str, Any]:
    """SessionFigures' columns. Pure."""
    names = (
        "queued_seconds task_seconds decode_seconds waited_seconds net_saved_seconds interference_seconds "
        "hidden_seconds would_hide_seconds wasted_seconds wasted_price launches hits eligible_calls"
    )
    return {
        **{name: getattr(figures, name) for name in names.split()},
        "used_seconds": sum(_seconds(run, story) for run in _used(story)),
        "turns": len(figures.turns),
        "calls": len(figures.calls),
        "wasted_runs": len(figures.wasted),
        "by_minute": _by_minute(story, figures),
    }


def _used(story: Story) -> Iterable[Run]:
    return (run for run in story.runs.values() if run.ran_ahead and run.asked_at is not None)


def _seconds(run: Run, story: Story) -> float:
    return max(0.0, run.let_go_at(story.last_at) - (run.started_at or 0.0)) if run.started_at is not None else 0.0


def _by_minute(story: Story, figures: Figures) -> list[list[float]]:
    """What was saved counts in the minute its turn asked; what workers ran, in the minute the run started."""
    if story.origin is None:
        return []
    origin = story.origin.timestamp()
    sums: dict[int, list[float]] = defaultdict(lambda: [0.0] * 4)

    def add(at: float | None, column: int, seconds: float) -> None:
        if at is not None and seconds:
            sums[int((origin + at) // 60)][column] += seconds

    for turn in figures.turns:
        add(turn.asked_at, 0, turn.net_saved_seconds)
        add(turn.asked_at, 1, turn.interference_seconds)
    for run in _used(story):
        add(run.started_at, 2, _seconds(run, story))
    for waste in figures.wasted:
        add(waste.run.started_at, 3, waste.seconds)
    return [[minute, *(round(value, 6) for value in sums[minute])] for minute in sorted(sums)]


def tool_sums(story: Story, figures: Figures) -> dict[str, dict[str, Any]]:
    """By tool's name ToolFigures' columns. Pure."""
    held_back = _held_back(story)
    calls: dict[str, list[CallFigures]] = defaultdict(list)
    for call in figures.calls:
        calls[call.call.tool].append(call)
    launched = [run for run in story.runs.values() if run.ran_ahead and not run.is_warm_up]
    names = {*calls, *(run.tool for run in launched), *(tool for tool, _ in held_back)}
    return {
        name: {
            **_of_calls(calls[name], held_back),
            "launches": sum(run.tool == name for run in launched),
            **_waste(figures, name),
            "would_launches": sum(tool == name for tool, _ in held_back),
        }
        for name in sorted(names)
    }


def _of_calls(calls: list[CallFigures], held_back: set[WorkKey]) -> dict[str, Any]:
    """A guess would have answered one call: of several at the same work the first that was foreseen counts."""
    foreseen = [call for call in calls if call.call.key in held_back and call.call.foreseen_at is not None]
    asked = [call for call in foreseen if call.call.outcome == "requested"]
    would = {call.call.key: call for call in sorted(asked, key=lambda call: call.call.asked_at, reverse=True)}.values()
    return {
        "calls": len(calls),
        "eligible_calls": sum(call.call.is_eligible for call in calls),
        "failed_calls": sum(call.call.ok is False for call in calls),
        "hits": sum(call.call.outcome in ("used", "joined") for call in calls),
        "hidden_seconds": sum(call.hidden_seconds for call in calls),
        "would_hits": len(would),
        "would_hide_seconds": sum(lead_seconds(call.call, call.run, call.until) for call in would),
    }


def _waste(figures: Figures, tool: str) -> dict[str, Any]:
    by_reason: dict[str, list[float]] = {}
    for waste in figures.wasted:
        if waste.run.tool == tool:
            runs, seconds = by_reason.get(waste.reason, (0, 0.0))
            by_reason[waste.reason] = [runs + 1, seconds + waste.seconds]
    prices = price_by_reason(waste for waste in figures.wasted if waste.run.tool == tool)
    return {
        "waste": by_reason,
        "wasted_seconds": sum(seconds for _, seconds in by_reason.values()),
        "price_by_reason": {reason: as_text(price) for reason, price in prices.items()},
        "wasted_price": sum(prices.values(), FREE),
    }


def _held_back(story: Story) -> set[WorkKey]:
    """Distinct calls that were foreseen and that nothing but the decision about their tool kept from running early."""
    return {
        work_key(candidate["tool"], candidate.get("arguments") or {})
        for prediction in story.predictions
        for candidate in prediction.candidates
        if _is_for_its_decision(candidate)
    }


def _is_for_its_decision(candidate: Mapping[str, Any]) -> bool:
    verdict = candidate.get("verdict", "")
    is_writing = verdict == str(Refused.WRITES) or candidate.get("effect") in WRITING
    is_for_another_reason = verdict in NOT_FOR_ITS_DECISION or verdict.endswith(NOTHING_RUNS_EARLY)
    return not is_writing and not candidate.get("job") and not is_for_another_reason
