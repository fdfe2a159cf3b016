"""One session as its page shows it. The page, the websocket and polling send the same.

A *message* is what the browser gets: `{"type": "snapshot" | "delta" | "look" | "tick" | "closed", "after", "seq", "now",
"live", "axis", "says", "parts": {name: html}, "events": html of the rows after `after`, "figure": ...}`. A look answers a
reader who looks elsewhere (see sight.py), with the log's table as a part. A tick has the figures that time alone changes,
and no chart. News are a delta of the log's rows alone, without `axis` and `says`, at a tenth of the cost; what else they change
is owed until a drawing, a delta without rows. The end is told whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.template.loader import render_to_string
from django.utils import timezone

from paste_web.redaction import may_read_payloads
from paste_web.session_parts import MOST_EVENTS_SHOWN, PARTS, SessionParts, event_rows
from paste_web.sight import Sight
from speculation import queries, rows
from speculation.log_reading import read_on
from speculation.models import EventRecord, Session
from speculation.queries import Told
from speculation.shelf import Shelf
from speculation.story import Story
from speculation.uncollected import uncollected

__all__ = ["SessionView", "may_read_payloads"]

EVERYTHING = Sight()
READ_AT_ONCE = 10_000
"""Entries that are read before a page is sent; of a longer log the page comes first, and asks for what it tells."""
_begun: Shelf[UUID, tuple[Story, int]] = Shelf(most_things=64, most_bytes=32_000_000)
"""Stories of sessions that still run, as far as they were read, with their size. Who takes one has it alone."""
CHANGED_BY_TIME = ("facts", "strip")
TOUCHED_BY: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(
        ["first_token", "tool_named", "arguments_sealed", "turn_queued", "turn_seated", "epoch_stepped"], ()
    ),
    **dict.fromkeys(
        [
            *(
                "job_queued",
                "job_started",
                "job_ended",
                "job_preempted",
                "job_released",
                "job_discarded",
                "job_retried",
            ),
            *("turn_ended", "call_returned"),
        ],
        ("calls", "turns"),
    ),
    **dict.fromkeys(["turn_started", "call_asked"], ("head", "calls", "turns")),
    "predicted": ("predictions",),
}
"""Kinds of entries that leave most of the page as it is; all others may change any part of it."""


class SessionView:
    """Reads a session's log on from where it was, and says what has changed since it last spoke."""

    def __init__(self, session: Session, *, show_payloads: bool, sight: Sight = EVERYTHING) -> None:
        self.session = session
        self.show_payloads = show_payloads
        self.sight = sight
        self.story = Story()
        self._settled: Told | None = None
        self._has_begun = False
        self._size_bytes = 0
        self._sent: dict[str, str] = {}
        self._owed: set[str] = set()
        """Kinds of entries that the log has gained and that no part of the page shows yet."""

    @property
    def is_over(self) -> bool:
        """True once nothing more can come: the session has ended, and every worker has let go of its runs."""
        return _is_over(self.story)

    @property
    def takes_long_to_read(self) -> bool:
        """True if a browser would wait in front of nothing: what the log has gained since it was last read here is long."""
        if self.session.last_seq <= READ_AT_ONCE or (self.session.has_ended and queries.is_read(self.session)):
            return False
        begun = _begun.get(self.session.pk)
        return self.session.last_seq - (begun[0].last_seq if begun else 0) > READ_AT_ONCE

    @property
    def reads_on(self) -> bool:
        """True where the log may have gained something since it was read."""
        return self._has_begun and self._settled is None

    def read(self) -> Sequence[EventRecord]:
        """Take in what the log has gained; returns the new entries, none where everything is new."""
        if not self._has_begun:
            self._begin()
            return []
        return self._take(queries.events_after(self.session.pk, self.story.last_seq)) if self.reads_on else []

    def _take(self, found: Sequence[EventRecord]) -> Sequence[EventRecord]:
        events = [event for event in found if event.seq > self.story.last_seq]
        if any(event.kind not in TOUCHED_BY for event in events):
            rows.refresh(self.session)
        for event in events:
            self.story.add(event)
        return events

    def _begin(self) -> None:
        """What is over was perhaps read for others already, and what runs up to somewhere."""
        self._has_begun = True
        if self.session.has_ended:
            told = queries.tell_all([self.session])[0]
            if _is_over(told.story):
                self._settled, self.story = told, told.story
                _begun.take(self.session.pk)
                return
        self.story, self._size_bytes = _begun.take(self.session.pk) or (Story(), 0)
        with uncollected():
            self._size_bytes += read_on(self.session.pk, self.story)
        self.session.refresh_from_db()

    def leave(self) -> None:
        """Let the next reader of a session that runs go on from here; this view is not used any more."""
        if self._settled is None and self._has_begun and not self.is_over:
            _begun.put(self.session.pk, (self.story, self._size_bytes), self._size_bytes)
            self._has_begun, self.story = False, Story()

    def snapshot(self, after: int = 0) -> dict[str, Any]:
        """Everything, with the entries after `after`. Nobody needs what was sent before."""
        self._sent.clear()
        self.read()
        self._owed.clear()
        events = queries.events_after(self.session.pk, max(after, self.story.last_seq - MOST_EVENTS_SHOWN))
        return self._message("snapshot", after, events)

    @property
    def owes_drawing(self) -> bool:
        return bool(self._owed)

    def news(self, found: Sequence[EventRecord]) -> dict[str, Any] | None:
        """Of a view that reads on: the log's new rows out of `found`, and at the end everything; None where nothing is new."""
        before = self.story.last_seq
        events = self._take(found)
        self._owed.update(event.kind for event in events)
        if self.story.has_ended and self._owed:
            return self._message("delta", before, events, self._pay())
        return self._rows_alone(before, events) if events else None

    def drawing(self) -> dict[str, Any] | None:
        """What the rows that were told since the last drawing change; None where that was drawn already, as the end is."""
        return self._message("delta", self.story.last_seq, [], self._pay()) if self._owed else None

    def _pay(self) -> Sequence[str]:
        names, self._owed = touched(self._owed), set()
        return names

    def look(self, sight: Sight) -> dict[str, Any]:
        """What another sight shows. Of another range it is the chart alone, unless the log has grown."""
        is_range_alone = bool(self._sent) and sight.differs_in_range_alone(self.sight)
        self.sight, before = sight, self.story.last_seq
        has_grown = bool(self.read())
        return self._looked(before, is_range_alone and not has_grown)

    def look_at_range(self, has_seq: int) -> dict[str, Any]:
        """The same for a reader of whom only is known up to which entry it has everything else."""
        self.read()
        return self._looked(has_seq, has_seq == self.story.last_seq)

    def _looked(self, before: int, is_range_alone: bool) -> dict[str, Any]:
        parts = self.parts()
        html: dict[str, str] = {}
        if not is_range_alone:
            html = {**self._changed({name: parts.html(name) for name in PARTS}), "events": parts.html("events")}
        return {**self._frame("look", before, parts), "parts": html, "figure": parts.figure}

    def tick(self) -> dict[str, Any]:
        """What time alone changes: figures so far, and the two bars."""
        parts = self.parts()
        html = self._changed({name: parts.html(name) for name in CHANGED_BY_TIME})
        return {**self._frame("tick", self.story.last_seq, parts), "parts": html}

    def closed(self) -> dict[str, Any]:
        return {"type": "closed", "seq": self.story.last_seq, "status": self.session.status}

    def parts(self) -> SessionParts:
        """Every part of the page, as of this moment."""
        return SessionParts(
            self.told(), self.sight, show_payloads=self.show_payloads, is_settled=self._settled is not None
        )

    def told(self) -> Told:
        if self._settled is not None:
            return Told(self.session, self._settled.story, self._settled.figures, self._settled.now)
        return queries.told(self.session, self.story)

    def _message(
        self, kind: str, after: int, events: Sequence[EventRecord], names: Sequence[str] = PARTS
    ) -> dict[str, Any]:
        parts = self.parts()
        html = self._changed({name: parts.html(name) for name in names})
        return {
            **self._frame(kind, after, parts),
            "parts": html,
            "events": self._event_rows(events),
            "figure": parts.figure,
        }

    def _rows_alone(self, after: int, events: Sequence[EventRecord]) -> dict[str, Any]:
        now = self.story.seconds_at(timezone.now())
        return {**self._place("delta", after, now), "events": self._event_rows(events)}

    def _event_rows(self, events: Sequence[EventRecord]) -> str:
        """Rows to add to the log's table; none for who looks at an earlier part of it."""
        shown = [] if self.sight.before else events[-MOST_EVENTS_SHOWN:]
        told = event_rows(self.story, shown, show_payloads=self.show_payloads)
        return render_to_string("sessions/parts/event_rows.html", {"rows": told})

    def _frame(self, kind: str, after: int, parts: SessionParts) -> dict[str, Any]:
        place = self._place(kind, after, parts.told.now)
        return {**place, "axis": parts.strip.axis_seconds, "says": _in_words(parts.told)}

    def _place(self, kind: str, after: int, now: float) -> dict[str, Any]:
        seq, is_live = self.story.last_seq, not self.session.has_ended
        return {"type": kind, "after": after, "seq": seq, "now": round(now, 3), "live": is_live}

    def _changed(self, parts: dict[str, str]) -> dict[str, str]:
        changed = {name: html for name, html in parts.items() if self._sent.get(name) != html}
        self._sent |= changed
        return changed


def touched(kinds: Iterable[str]) -> list[str]:
    """The parts that such entries may have changed, with what time alone changes; none where there are none."""
    changed = {part for kind in kinds for part in (*TOUCHED_BY.get(kind, PARTS), *CHANGED_BY_TIME)}
    return [part for part in PARTS if part in changed]


def _is_over(story: Story) -> bool:
    return story.has_ended and not any(
        run.started_at is not None and run.ended_at is None for run in story.runs.values()
    )


def _in_words(told: Told) -> str:
    """What a screen reader hears while the session runs."""
    if told.session.has_ended:
        return f"Session {told.session.get_status_display()}."
    waiting = sum(call.returned_at is None for call in told.story.calls.values())
    return f"turn {len(told.figures.turns)}, {waiting} tool{'' if waiting == 1 else 's'} running"
