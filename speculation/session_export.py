"""Sessions as rows of a spreadsheet: a session's calls, and the list of sessions with their figures."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db.models import CharField, Q, QuerySet
from django.db.models.functions import Cast

from speculation.call_table import CallRow, call_rows
from speculation.figures import Figures
from speculation.models import Arm, Session, SessionFigures
from speculation.prices import as_text
from speculation.queries import SessionFilter, Told, tell_all

SESSIONS_A_READ = 200

CALL_COLUMNS = (
    "turn", "call_id", "job", "tool", "call", "outcome", "asked_at_seconds", "run_start_seconds", "run_end_seconds",
    "took_seconds", "waited_seconds", "hidden_seconds", "without_seconds_estimated", "probability", "why", "arguments",
)  # fmt: skip

OF_EVERY_ARM = ("queued_seconds", "task_seconds", "decode_seconds", "waited_seconds")
OF_SPECULATION = (
    "net_saved_seconds", "interference_seconds", "hidden_seconds", "wasted_seconds", "launches", "hits", "eligible_calls",
)  # fmt: skip
SESSION_COLUMNS = (
    "session", "created_at", "started_at", "ended_at", "agent", "model", "is_scripted", "status", "arm", "origin", "task",
    "turns", "calls", *OF_EVERY_ARM,
    *(f"{name}_estimated" if name == "net_saved_seconds" else name for name in OF_SPECULATION), "would_hide_seconds_shadow", "wasted_price",
)  # fmt: skip


def call_lines(told: Told, *, show_payloads: bool) -> Iterator[Sequence[Any]]:
    """The Calls table, row by row, as CALL_COLUMNS has it. Seconds since the session's start."""
    for row in call_rows(told.story, told.figures, now=told.now, show_payloads=show_payloads):
        call = told.story.calls.get(row.pick)
        run = told.story.runs.get(call.job if call else row.pick)
        arguments = call.arguments if call else run.arguments if run else {}
        yield (
            row.turn, row.pick if call else None, run.job if run else None, row.tool, row.call, row.state,
            *_rounded(row), row.why, json.dumps(arguments, ensure_ascii=False) if show_payloads else None,
        )  # fmt: skip


def _rounded(row: CallRow) -> list[float | None]:
    seconds = (
        row.asked_at, row.run_start, row.run_end, row.took_seconds, row.waited_seconds, row.hidden_seconds, row.without_seconds,
        row.probability,
    )  # fmt: skip
    return [None if value is None else round(value, 3) for value in seconds]


def session_lines(narrowed: SessionFilter) -> Iterator[Sequence[Any]]:
    """The list of sessions, newest first, as SESSION_COLUMNS has it.

    Read in portions by the place where the last one ended, so that it neither holds a transaction nor repeats a row.
    """
    found = narrowed.apply(Session.objects.annotate(id_text=Cast("id", CharField())))
    found = found.select_related("agent", "booked").order_by("-created_at", "-id")
    portion = list(found[:SESSIONS_A_READ])
    while portion:
        counted = {
            told.session.pk: told for told in tell_all(session for session in portion if not _is_booked(session))
        }
        yield from (_session_line(session, counted.get(session.pk)) for session in portion)
        portion = _following(found, portion[-1])


def _following(found: QuerySet[Session], last: Session) -> list[Session]:
    later = Q(created_at__lt=last.created_at) | Q(created_at=last.created_at, pk__lt=last.pk)
    return list(found.filter(later)[:SESSIONS_A_READ])


def _is_booked(session: Session) -> bool:
    booked: SessionFigures | None = getattr(session, "booked", None)
    return booked is not None and booked.last_seq == session.last_seq


def _session_line(session: Session, told: Told | None) -> Sequence[Any]:
    """`told`: its figures where the ledger has none yet."""
    figures: Figures | SessionFigures = told.figures if told else session.booked
    turns, calls = (len(told.figures.turns), len(told.figures.calls)) if told else (figures.turns, figures.calls)
    has_speculation = session.arm == Arm.ON
    return (
        str(session.pk), *map(_moment, (session.created_at, session.started_at, session.ended_at)), session.agent.name,
        session.model_name, "yes" if session.agent.is_scripted else "no", session.status, session.arm, session.origin, session.task,
        turns, calls, *(_number(figures, name) for name in OF_EVERY_ARM),
        *(_number(figures, name) if has_speculation else None for name in OF_SPECULATION),
        None if has_speculation else _number(figures, "would_hide_seconds"),
        as_text(figures.wasted_price) if has_speculation else None,
    )  # fmt: skip


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _number(figures: Figures | SessionFigures, name: str) -> float:
    return round(getattr(figures, name), 3) + 0
