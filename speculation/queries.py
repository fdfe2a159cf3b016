"""What pages read. Every figure comes out of figures.py; here is only which rows go in."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.cache import cache
from django.db.models import Aggregate, CharField, Count, F, FloatField, Q, QuerySet
from django.db.models.expressions import OrderBy
from django.db.models.functions import Cast, Extract
from django.utils import timezone

from speculation import rows
from speculation.breakers_open import open_now
from speculation.figures import Figures, compute
from speculation.log_reading import read_on
from speculation.models import Arm, BreakerScope, EventRecord, Origin, PatternRecord, Session, ToolJob, WorkerPool
from speculation.shelf import Shelf
from speculation.story import Story
from speculation.uncollected import uncollected

LEAST_CALLS_FOR_USUAL = 20
USUAL_KEPT_SECONDS = 30
SESSIONS_A_PAGE = 50


class Median(Aggregate):
    """The median, as PostgreSQL has it: between the two middle values where there are two."""

    function = "percentile_cont"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


@dataclass(frozen=True)
class Told:
    """A session, its story so far and its figures. `now`: seconds since its start."""

    session: Session
    story: Story
    figures: Figures
    now: float


def pause_reason() -> str:
    """Why no speculation runs at present; empty where it does."""
    paused = WorkerPool.objects.filter(is_paused=True).values_list("pause_reason", flat=True).first()
    if paused is not None:
        return paused or "paused"
    opening = open_now().filter(scope=BreakerScope.ALL).first()
    return f"breaker open: {opening.reason}" if opening else ""


_EVENTS_AFTER = (
    f"SELECT {rows.columns(EventRecord)} FROM speculation_eventrecord WHERE session_id = %s AND seq > %s ORDER BY seq"
)


def events_after(session_id: UUID, seq: int) -> Sequence[EventRecord]:
    """By a statement that is prepared: each watcher asks it several times a second."""
    return rows.read(EventRecord, _EVENTS_AFTER, [session_id, seq])


_EVENTS_AFTER_EACH = (
    f"SELECT {rows.columns(EventRecord, 'log')} FROM unnest(%s::uuid[], %s::bigint[]) AS reader (session_id, seq)"
    " JOIN speculation_eventrecord log ON log.session_id = reader.session_id AND log.seq > reader.seq"
    " ORDER BY log.session_id, log.seq"
)


def events_after_each(readers: Iterable[tuple[UUID, int]]) -> Mapping[UUID, Sequence[EventRecord]]:
    """The same of many sessions at once: of each what is newer than the least that one of its readers has."""
    after: dict[UUID, int] = {}
    for session_id, seq in readers:
        after[session_id] = min(seq, after.get(session_id, seq))
    found: dict[UUID, list[EventRecord]] = {}
    for event in rows.read(EventRecord, _EVENTS_AFTER_EACH, [list(after), list(after.values())]) if after else ():
        found.setdefault(event.session_id, []).append(event)
    return found


def told(session: Session, story: Story | None = None) -> Told:
    """The session's story, read from its log or continued from `story`, with its figures at this moment."""
    if story is None:
        story = Story()
        read_on(session.pk, story)
    now = story.seconds_at(timezone.now())
    return Told(session, story, figures_of(session, story, now), now)


def figures_of(session: Session, story: Story, now: float | None = None) -> Figures:
    """The session's numbers. What is usual is taken from before its end, and kept with its booking: they never change."""
    usual = usual_of(session, story)
    return compute(story, now=now, usual_seconds=usual["tools"], usual_queue_seconds=usual["queue"])


def usual_of(session: Session, story: Story) -> dict[str, Any]:
    """What its served calls would have taken: {"tools": {name: seconds}, "queue": seconds}."""
    booked = getattr(session, "booked", None) if session.has_ended else None
    if booked is not None:
        return {"tools": {}, "queue": 0.0} | booked.usual
    served = frozenset(call.tool for call in story.calls.values() if call.outcome != "requested")
    if not served:
        return {"tools": {}, "queue": 0.0}
    if session.ended_at is None:
        return _usual_lately(served)
    return {"tools": usual_seconds(served, session.ended_at), "queue": usual_queue_seconds(session.ended_at)}


def _usual_lately(served: frozenset[str]) -> dict[str, Any]:
    """What is usual hardly changes while a session runs, and its watchers ask several times a second."""
    key = "usual-" + hashlib.sha256("\n".join(sorted(served)).encode()).hexdigest()
    found = cache.get(key)
    if found is None:
        now = timezone.now()
        found = {"tools": usual_seconds(served, now), "queue": usual_queue_seconds(now)}
        cache.set(key, found, USUAL_KEPT_SECONDS)
    return dict(found)


def usual_seconds(tools: Iterable[str], as_of: datetime) -> dict[str, float]:
    """Median duration of runs that nobody guessed, per tool, for tools with 20 of them or more."""
    medians = (
        _authoritative(as_of)
        .filter(tool__name__in=list(tools))
        .values("tool__name")
        .annotate(runs=Count("pk"), usual=Median(Extract(F("ended_at") - F("started_at"), "epoch")))
        .filter(runs__gte=LEAST_CALLS_FOR_USUAL)
    )
    return {row["tool__name"]: row["usual"] for row in medians.order_by()}


def usual_queue_seconds(as_of: datetime) -> float:
    """Median queue wait of calls in sessions without speculation; 0 until there are 20."""
    waits = _authoritative(as_of).filter(session__arm__in=[Arm.HOLDOUT, Arm.OFF], attempt=1)
    row = waits.aggregate(runs=Count("pk"), usual=Median(Extract(F("started_at") - F("created_at"), "epoch")))
    return float(row["usual"]) if row["runs"] >= LEAST_CALLS_FOR_USUAL else 0.0


def _authoritative(as_of: datetime) -> QuerySet[ToolJob]:
    return ToolJob.objects.filter(call_id__isnull=False, promoted_at__isnull=True, status="succeeded", ended_at__lt=as_of)


def job_of(session: Session, job: str) -> ToolJob | None:
    """The row of a run in the log; None for logs from elsewhere, whose runs have no rows."""
    return ToolJob.objects.annotate(id_text=Cast("id", CharField())).filter(session=session, id_text=job).first()


_kept: Shelf[tuple[UUID, int], tuple[Story, Figures]] = Shelf(most_things=256, most_bytes=100_000_000)


def _figures_at(session_id: UUID, last_seq: int) -> tuple[Story, Figures]:
    """An ended session's log does not change: read it once a process. `last_seq` is part of the key for late entries."""
    found = _kept.get((session_id, last_seq))
    if found is None:
        session = Session.objects.select_related("booked").get(pk=session_id)
        story = Story()
        with uncollected():
            size = read_on(session_id, story)
            found = story, figures_of(session, story)
        _kept.put((session_id, last_seq), found, size)
    return found


def is_read(session: Session) -> bool:
    """True if telling an ended session costs nothing: this process has read its log."""
    return _kept.get((session.pk, session.last_seq)) is not None


def figures_of_pair(session: Session) -> Figures | None:
    """The other arm's figures, once it has ended."""
    pair = session.pair
    return _figures_at(pair.pk, pair.last_seq)[1] if pair is not None and pair.has_ended else None


SORTS: Mapping[str, str] = {
    "submitted": "created_at",
    "agent": "agent__name",
    "state": "status",
    "took": "booked__task_seconds",
    "turns": "booked__turns",
    "calls": "booked__calls",
    "saved": "booked__net_saved_seconds",
    "wasted": "booked__wasted_seconds",
}
"""What the list can be ordered by. Figures are those of the ledger: sessions that are not in it come last."""
NEWEST_FIRST = "-submitted"


@dataclass(frozen=True)
class SessionFilter:
    """What the list is narrowed to, and its order; empty means all. `since`, `until`: sessions that lived in that time."""

    agent: str = ""
    status: str = ""
    text: str = ""
    arm: str = ""
    since: datetime | None = None
    until: datetime | None = None
    sort: str = NEWEST_FIRST
    """A key of SORTS, with a minus in front for the highest first."""

    @property
    def is_narrow(self) -> bool:
        return bool(self.agent or self.status or self.text or self.arm or self.since or self.until)

    def apply(self, sessions: QuerySet[Session]) -> QuerySet[Session]:
        equal = {"agent__name": self.agent, "status": self.status, "arm": self.arm}
        sessions = sessions.filter(**{name: value for name, value in equal.items() if value})
        if self.text:
            sessions = sessions.filter(Q(task__icontains=self.text) | _short_id(self.text))
        if self.since:
            sessions = sessions.filter(Q(ended_at=None) | Q(ended_at__gte=self.since))
        if self.until:
            sessions = sessions.filter(created_at__lte=self.until)
        return sessions.order_by(*self._order())

    def _order(self) -> list[OrderBy | str]:
        column = F(SORTS.get(self.sort.removeprefix("-"), SORTS["submitted"]))
        first = column.desc(nulls_last=True) if self.sort.startswith("-") else column.asc(nulls_last=True)
        return [first, "-created_at", "-id"]


def _short_id(text: str) -> Q:
    """Sessions whose id ends in what was typed."""
    digits = text.lower().replace("-", "")
    is_hexadecimal = bool(digits) and all(digit in "0123456789abcdef" for digit in digits)
    return Q(id_text__endswith=digits[-8:]) if is_hexadecimal else Q(pk__isnull=True)


def list_sessions(narrowed: SessionFilter, page: int = 1, size: int = SESSIONS_A_PAGE) -> tuple[list[Told], int]:
    """One page of sessions, each with its figures; and how many there are in all."""
    found = narrowed.apply(_listed())
    start = (max(page, 1) - 1) * size
    return tell_all(found[start : start + size]), found.count()


def _listed() -> QuerySet[Session]:
    return Session.objects.select_related("agent", "booked").annotate(id_text=Cast("id", CharField()))


def tell_all(sessions: Iterable[Session]) -> list[Told]:
    """Each session with its figures; those that still run share one reading of their logs."""
    sessions = list(sessions)
    running = [session.pk for session in sessions if not session.has_ended]
    logs: dict[UUID, list[EventRecord]] = {pk: [] for pk in running}
    for event in EventRecord.objects.filter(session__in=running).order_by("session", "seq"):
        logs[event.session_id].append(event)
    return [_tell(session, logs) for session in sessions]


def _tell(session: Session, logs: Mapping[UUID, list[EventRecord]]) -> Told:
    if session.pk in logs:
        return told(session, Story(logs[session.pk]))
    story, figures = _figures_at(session.pk, session.last_seq)
    return Told(session, story, figures, story.ended_at or 0.0)


def learning_sentence() -> str:
    """How far a fresh demo's learning is; empty once it is over, and where there was none."""
    learning = Session.objects.filter(origin=Origin.LEARNING)
    learned = learning.filter(ended_at__isnull=False).count()
    in_all = learning.count()
    if learned == in_all:
        return ""
    return f"Learning: {learned} of {in_all} sessions, {PatternRecord.objects.count()} patterns."
