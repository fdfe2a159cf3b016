"""The parts of a session's page at one moment: pieces of HTML and one figure, rendered when they are asked for."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.template.loader import render_to_string

from paste_web.charts import timeline_figure
from paste_web.redaction import open_part
from paste_web.sight import PAGED, Sight
from paste_web.strip import StripBoxes, strip_boxes
from speculation import queries
from speculation.call_table import CallRow, call_rows
from speculation.detail import seen
from speculation.figures import Figures
from speculation.models import EventRecord, Session
from speculation.queries import Told
from speculation.strip import draw_strip
from speculation.timeline import Timeline, lay_out

MOST_EVENTS_SHOWN = 300
ROWS_A_PAGE = 50
PARTS = ("head", "facts", "strip", "calls", "turns", "predictions", "answer")


@dataclass(frozen=True)
class EventRow:
    """One line of the Events tab. `payload` is one line of JSON, without what the reader may not see."""

    seq: int
    at: float
    kind: str
    payload: str


@dataclass(frozen=True)
class PageLink:
    text: str
    address: str


class SessionParts:
    """`is_settled`: nothing more can come, so what is laid out once serves the next readers, too."""

    def __init__(self, told: Told, sight: Sight, *, show_payloads: bool, is_settled: bool) -> None:
        self.told, self.sight = told, sight
        self.show_payloads, self.is_settled = show_payloads, is_settled

    def html(self, part: str) -> str:
        return render_to_string(f"sessions/parts/{part}.html", {**self._shared, **self._own(part)})

    def event_rows(self, events: Sequence[EventRecord]) -> list[EventRow]:
        story = self.told.story
        return [EventRow(event.seq, story.seconds_at(event.at), event.kind, self._payload(event)) for event in events]

    @cached_property
    def figure(self) -> dict[str, Any]:
        """The chart of what is looked at, in as much detail as fits."""
        drawn = seen(self._laid_out(), self.sight.view)
        return {**timeline_figure(drawn, revision=str(self.told.session.pk)), "axis": self.strip.axis_seconds}

    @cached_property
    def strip(self) -> StripBoxes:
        pair = self._pair
        return strip_boxes(draw_strip(self.told.story, self.told.figures, pair_seconds=pair and pair.task_seconds))

    @cached_property
    def rows(self) -> Sequence[CallRow]:
        return call_rows(self.told.story, self.told.figures, now=self.told.now, show_payloads=self.show_payloads)

    @cached_property
    def _pair(self) -> Figures | None:
        return queries.figures_of_pair(self.told.session)

    @property
    def _shared(self) -> dict[str, Any]:
        told = self.told
        return {
            "session": told.session,
            "figures": told.figures,
            "story": told.story,
            "show_payloads": self.show_payloads,
        }

    def _own(self, part: str) -> dict[str, Any]:
        if part in ("facts", "strip"):
            return {"pair_figures": self._pair, "strip": self.strip}
        if part in PAGED:
            page = self._page(part)
            return {"page": page, "rows": page.object_list, "links": self._links(part, page)}
        if part == "events":
            return self._events()
        return {}

    def _page(self, table: str) -> Page[Any]:
        """The chosen page, or where the selected call stands; else the newest of what runs, the first of what is over."""
        told = self.told
        rows = {
            "calls": lambda: self.rows,
            "turns": lambda: told.figures.turns,
            "predictions": lambda: told.story.predictions,
        }
        pages = Paginator(rows[table](), ROWS_A_PAGE)
        unchosen = 1 if told.session.has_ended else pages.num_pages
        return pages.get_page(self.sight.pages.get(table) or self._page_of_choice(table) or unchosen)

    def _page_of_choice(self, table: str) -> int | None:
        """Where the selected call stands in the Calls table."""
        if table != "calls" or not self.sight.call:
            return None
        index = next((index for index, row in enumerate(self.rows) if row.pick == self.sight.call), None)
        return None if index is None else index // ROWS_A_PAGE + 1

    def _links(self, table: str, page: Page[Any]) -> list[PageLink]:
        now, last = page.number, page.paginator.num_pages
        steps = (
            ("First", 1, now > 2),
            ("Previous", now - 1, now > 1),
            ("Next", now + 1, now < last),
            ("Last", last, now < last - 1),
        )
        return [
            PageLink(text, self.sight.address(table, **{table: number})) for text, number, is_there in steps if is_there
        ]

    def _events(self) -> dict[str, Any]:
        """The log's newest entries, or those up to `before`."""
        last = self.told.story.last_seq
        until = min(self.sight.before or last, last)
        found = EventRecord.objects.filter(
            session=self.told.session.pk, seq__gt=until - MOST_EVENTS_SHOWN, seq__lte=until
        )
        shown = list(found.order_by("seq"))
        links = []
        if shown and shown[0].seq > 1:
            links.append(PageLink("Earlier", self.sight.address("events", before=shown[0].seq - 1)))
        if until < last:
            links.append(PageLink("Later", self.sight.address("events", before=min(until + MOST_EVENTS_SHOWN, last))))
            links.append(PageLink("Newest", self.sight.address("events", before=None)))
        return {"rows": self.event_rows(shown), "links": links, "last_seq": last, "most": MOST_EVENTS_SHOWN}

    def _payload(self, event: EventRecord) -> str:
        return _one_line(event.payload if self.show_payloads else open_part(event.payload))

    def _laid_out(self) -> Timeline:
        told = self.told
        if self.is_settled:
            return _laid_out_at(told.session.pk, told.session.last_seq, self.show_payloads)
        return lay_out(told.story, told.figures, now=told.now, show_payloads=self.show_payloads)


@lru_cache(maxsize=8)
def _laid_out_at(session_id: UUID, last_seq: int, show_payloads: bool) -> Timeline:
    """A settled session's lanes, laid out once a process; `last_seq` is part of the key for late entries."""
    told = queries.tell_all([Session.objects.get(pk=session_id)])[0]
    return lay_out(told.story, told.figures, now=told.now, show_payloads=show_payloads)


def _one_line(payload: dict[str, Any]) -> str:
    text = json.dumps(payload, ensure_ascii=False, default=str)
    return text if len(text) <= 300 else text[:299] + "…"
