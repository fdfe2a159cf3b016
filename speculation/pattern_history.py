"""What became of a pattern: its runs as examples, its hits and misses by day; and what follows what in an agent's sessions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count, Q
from django.db.models.functions import TruncDate

from speculation.models import AgentProfile, EventRecord, PatternRecord, Session, ToolJob

MOST_EXAMPLES = 10
SESSIONS_LOOKED_THROUGH = 50


@dataclass(frozen=True)
class Example:
    """A run that the pattern led to, or a guess of it in a log that was not run. `pick`: of the session's page."""

    session: Session
    at: datetime
    tool: str
    arguments: Mapping[str, Any]
    mark: str
    word: str
    pick: str = ""
    turn: int | None = None


def examples(record: PatternRecord) -> list[Example]:
    """The latest runs that it led to, or, where there are none, what logs of late say that it foresaw."""
    started = ToolJob.objects.filter(pattern=record, started_at__isnull=False).select_related("session", "tool")
    jobs = [_of_job(job) for job in started.order_by("-started_at")[:MOST_EXAMPLES]]
    return jobs or _foreseen(record)


def _of_job(job: ToolJob) -> Example:
    mark, word = (
        ("✓", "asked for") if job.call_id else ("✕", "never asked for") if job.session.has_ended else ("?", "open")
    )
    assert job.started_at is not None
    pick = job.call_id or str(job.pk)
    return Example(job.session, job.started_at, job.tool.name, job.arguments, mark, word, pick=pick)


def _foreseen(record: PatternRecord) -> list[Example]:
    sessions = list(Session.objects.filter(agent=record.agent_id).order_by("-created_at")[:SESSIONS_LOOKED_THROUGH])
    told = EventRecord.objects.filter(
        session__in=sessions, kind="predicted", payload__candidates__contains=[{"pattern": str(record)}]
    )
    return [_of_log(event, str(record)) for event in told.select_related("session").order_by("-at")[:MOST_EXAMPLES]]


def _of_log(event: EventRecord, key: str) -> Example:
    candidate = next(one for one in event.payload["candidates"] if one.get("pattern") == key)
    word = f"foreseen, not run: {candidate.get('verdict', '')}"
    return Example(
        event.session,
        event.at,
        candidate["tool"],
        candidate.get("arguments") or {},
        "○",
        word,
        turn=event.payload.get("turn"),
    )


@dataclass(frozen=True)
class Day:
    day: date
    hits: int
    misses: int


def outcomes_by_day(record: PatternRecord, today: date, days: int) -> list[Day]:
    """Its runs in sessions that have ended, by the day they started, the oldest first; days without any, too."""
    first = today - timedelta(days=days - 1)
    ended = ToolJob.objects.filter(pattern=record, started_at__date__gte=first, session__ended_at__isnull=False)
    rows = ended.order_by().annotate(day=TruncDate("started_at")).values("day")
    counts = {
        row["day"]: row for row in rows.annotate(hits=Count("pk", filter=Q(call_id__isnull=False)), runs=Count("pk"))
    }
    found = []
    for offset in range(days):
        day = first + timedelta(days=offset)
        row = counts.get(day, {"hits": 0, "runs": 0})
        found.append(Day(day, row["hits"], row["runs"] - row["hits"]))
    return found


@dataclass(frozen=True)
class Edge:
    """After a call of `start` came one of `end`, so often (aged counts). "user" and "answer" stand at the ends."""

    start: str
    end: str
    support: float


def edges(agent: AgentProfile) -> list[Edge]:
    """What follows what, of contexts of one event, the most frequent first. Commands of a shell count for their tool."""
    rows = PatternRecord.objects.filter(agent=agent, context__0__isnull=False, context__1__isnull=True)
    sums: dict[tuple[str, str], float] = {}
    for signature, tool, support in rows.values_list("context__0", "tool", "support"):
        way = _tool_of(signature), tool or "answer"
        sums[way] = sums.get(way, 0.0) + support
    found = [Edge(start, end, support) for (start, end), support in sums.items() if support > 0]
    return sorted(found, key=lambda edge: (-edge.support, edge.start, edge.end))


def _tool_of(signature: str) -> str:
    """`bash ls:ok` is the tool bash; `user` is the user."""
    return signature.rpartition(":")[0].partition(" ")[0] if ":" in signature else signature
