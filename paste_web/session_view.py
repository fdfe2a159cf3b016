"""One session as its page shows it: parts of HTML and one figure. The page, the websocket and polling send the same.

A *message* is what the browser gets: `{"type": "snapshot" | "delta" | "tick" | "closed", "after", "seq", "now", "live",
"parts": {name: html}, "events": html of the rows after `after`, "figure": ...}`. A tick has the figures that time alone
changes, and no chart.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.template.loader import render_to_string

from paste_web.charts import timeline_figure
from paste_web.strip import StripBoxes, strip_boxes
from speculation import queries
from speculation.call_table import call_rows
from speculation.models import EventRecord, Session
from speculation.queries import Told
from speculation.story import Story
from speculation.strip import draw_strip
from speculation.timeline import draw

MOST_EVENTS_SHOWN = 300
MOST_ROWS_SHOWN = 500
PARTS = ("head", "facts", "strip", "calls", "turns", "predictions", "answer")
SECRET_KEYS = frozenset({"arguments", "content", "structured", "text", "answer", "task", "candidates", "sources", "calls"})

Reader = AbstractBaseUser | AnonymousUser


def may_read_payloads(user: Reader) -> bool:
    return bool(getattr(user, "has_perm", None)) and user.has_perm("speculation.view_payloads")  # type: ignore[union-attr]


@dataclass(frozen=True)
class EventRow:
    """One line of the Events tab. `payload` is one line of JSON, without what the reader may not see."""

    seq: int
    at: float
    kind: str
    payload: str


class SessionView:
    """Reads a session's log on from where it was, and says what has changed since it last spoke."""

    def __init__(self, session: Session, *, show_payloads: bool) -> None:
        self.session = session
        self.show_payloads = show_payloads
        self.story = Story()
        self._sent: dict[str, str] = {}

    @property
    def is_over(self) -> bool:
        """True once nothing more can come: the session has ended, and every worker has let go of its runs."""
        runs = self.story.runs.values()
        return self.story.has_ended and not any(run.started_at is not None and run.ended_at is None for run in runs)

    def read(self) -> Sequence[EventRecord]:
        """Take in what the log has gained; returns the new entries."""
        events = queries.events_after(self.session.pk, self.story.last_seq)
        if events:
            self.session.refresh_from_db()
        for event in events:
            self.story.add(event)
        return events

    def snapshot(self, after: int = 0) -> dict[str, Any]:
        """Everything, with the entries after `after`. Nobody needs what was sent before."""
        self._sent.clear()
        self.read()
        events = queries.events_after(self.session.pk, max(after, self.story.last_seq - MOST_EVENTS_SHOWN))
        return self._message("snapshot", after, events)

    def delta(self) -> dict[str, Any] | None:
        """What has changed, or None where the log has not grown."""
        before = self.story.last_seq
        events = self.read()
        return self._message("delta", before, events) if events else None

    def tick(self) -> dict[str, Any]:
        """What time alone changes: figures so far, and the two bars."""
        told = self._told()
        parts = {"facts": self._html("facts", told), "strip": self._html("strip", told)}
        return {**self._frame("tick", self.story.last_seq, told), "parts": self._changed(parts)}

    def closed(self) -> dict[str, Any]:
        return {"type": "closed", "seq": self.story.last_seq, "status": self.session.status}

    def parts(self) -> dict[str, str]:
        """Every part of the page as HTML."""
        told = self._told()
        return {name: self._html(name, told) for name in PARTS}

    def figure(self) -> dict[str, Any]:
        return self._figure(self._told())

    def event_rows(self, events: Sequence[EventRecord]) -> list[EventRow]:
        shown = events[-MOST_EVENTS_SHOWN:]
        return [EventRow(event.seq, self.story.seconds_at(event.at), event.kind, self._payload(event)) for event in shown]

    def _message(self, kind: str, after: int, events: Sequence[EventRecord]) -> dict[str, Any]:
        told = self._told()
        parts = {name: self._html(name, told) for name in PARTS}
        rows = render_to_string("sessions/parts/event_rows.html", {"rows": self.event_rows(events)})
        frame = self._frame(kind, after, told)
        return {**frame, "parts": self._changed(parts), "events": rows, "figure": self._figure(told)}

    def _frame(self, kind: str, after: int, told: Told) -> dict[str, Any]:
        return {
            "type": kind,
            "after": after,
            "seq": self.story.last_seq,
            "now": round(told.now, 3),
            "live": not self.session.has_ended,
            "axis": self._strip(told).axis_seconds,
            "says": _in_words(told),
        }

    def _told(self) -> Told:
        return queries.told(self.session, self.story)

    def _changed(self, parts: dict[str, str]) -> dict[str, str]:
        changed = {name: html for name, html in parts.items() if self._sent.get(name) != html}
        self._sent |= changed
        return changed

    def _figure(self, told: Told) -> dict[str, Any]:
        timeline = draw(told.story, told.figures, now=told.now, show_payloads=self.show_payloads)
        return {**timeline_figure(timeline, revision=str(self.session.pk)), "axis": self._strip(told).axis_seconds}

    def _html(self, part: str, told: Told) -> str:
        context: dict[str, Any] = {"session": told.session, "figures": told.figures, "story": told.story}
        context["show_payloads"] = self.show_payloads
        if part in ("facts", "strip"):
            context["pair_figures"] = queries.figures_of_pair(told.session)
            context["strip"] = self._strip(told)
        if part == "calls":
            rows = call_rows(told.story, told.figures, now=told.now, show_payloads=self.show_payloads)
            context |= {"rows": rows[-MOST_ROWS_SHOWN:], "left_out": max(0, len(rows) - MOST_ROWS_SHOWN)}
        context["turns"] = told.figures.turns[-MOST_ROWS_SHOWN:]
        context["predictions"] = told.story.predictions[-MOST_ROWS_SHOWN:]
        return render_to_string(f"sessions/parts/{part}.html", context)

    def _strip(self, told: Told) -> StripBoxes:
        pair = queries.figures_of_pair(told.session)
        return strip_boxes(draw_strip(told.story, told.figures, pair_seconds=pair and pair.task_seconds))

    def _payload(self, event: EventRecord) -> str:
        if self.show_payloads:
            return _one_line(event.payload)
        return _one_line({key: "…" if key in SECRET_KEYS else value for key, value in event.payload.items()})


def _in_words(told: Told) -> str:
    """What a screen reader hears while the session runs."""
    if told.session.has_ended:
        return f"Session {told.session.get_status_display()}."
    waiting = sum(call.returned_at is None for call in told.story.calls.values())
    return f"turn {len(told.figures.turns)}, {waiting} tool{'' if waiting == 1 else 's'} running"


def _one_line(payload: dict[str, Any]) -> str:
    text = json.dumps(payload, ensure_ascii=False, default=str)
    return text if len(text) <= 300 else text[:299] + "…"
