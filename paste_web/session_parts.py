"""The parts of a session's page at one moment: pieces of HTML and one figure, rendered when they are asked for."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.core.paginator import Page, Paginator
from django.template.loader import render_to_string

from paste_web.drawn import drawn
from paste_web.redaction import open_part
from paste_web.sight import PAGED, Sight
from paste_web.strip import StripBoxes
from paste_web.table_rows import turn_rows
from speculation import queries
from speculation.call_table import CallRow
from speculation.figures import Figures
from speculation.models import EventRecord
from speculation.queries import Told
from speculation.story import Story

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
    """`is_settled`: nothing more can come, so what is drawn once serves the next readers, too."""

    def __init__(self, told: Told, sight: Sight, *, show_payloads: bool, is_settled: bool) -> None:
        self.told, self.sight, self.show_payloads = told, sight, show_payloads
        self.drawn = drawn(told, show_payloads=show_payloads, is_settled=is_settled)

    def html(self, part: str) -> str:
        return render_to_string(f"sessions/parts/{part}.html", {**self._shared, **self._own(part)})

    @cached_property
    def figure(self) -> dict[str, Any]:
        """The chart of what is looked at, in as much detail as fits."""
        return {**self.drawn.figure(self.sight.view), "axis": self.strip.axis_seconds}

    @cached_property
    def strip(self) -> StripBoxes:
        pair = self._pair
        return self.drawn.strip(pair.task_seconds if pair else None)

    @property
    def rows(self) -> Sequence[CallRow]:
        return self.drawn.rows

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
            rows = turn_rows(page.object_list, has_ended=self.told.story.has_ended) if part == "turns" else page.object_list
            return {"page": page, "rows": rows, "links": self._links(part, page)}
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
        index = self.drawn.places.get(self.sight.call) if table == "calls" and self.sight.call else None
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
        rows = event_rows(self.told.story, shown, show_payloads=self.show_payloads)
        return {"rows": rows, "links": links, "last_seq": last, "most": MOST_EVENTS_SHOWN}


def event_rows(story: Story, events: Iterable[EventRecord], *, show_payloads: bool) -> list[EventRow]:
    return [EventRow(one.seq, story.seconds_at(one.at), one.kind, _payload(one, show_payloads)) for one in events]


def _payload(event: EventRecord, show_payloads: bool) -> str:
    return _one_line(event.payload if show_payloads else open_part(event.payload))


def _one_line(payload: dict[str, Any]) -> str:
    text = json.dumps(payload, ensure_ascii=False, default=str)
    return text if len(text) <= 300 else text[:299] + "…"
