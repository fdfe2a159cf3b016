"""What approving each tool would save, read from the ledger: what the last seven days foresaw and no decision let run."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Count, F, FloatField, Min, Sum
from django.db.models.functions import Cast

from speculation.models import AgentProfile, Arm, ToolFigures, ToolRecord
from speculation.savings import COUNTED, booked
from speculation.would_save import NOTHING, WouldSave, would_save

WINDOW = timedelta(days=7)


def would_save_by_tool(tools: Iterable[ToolRecord], now: datetime) -> dict[int, WouldSave]:
    """By tool, only those of which a call was foreseen in vain. Three queries."""
    tools = list(tools)
    since = now - WINDOW
    foreseen = _foreseen([tool.pk for tool in tools], since)
    if not foreseen:
        return {}
    sessions, days = _sessions_by_agent(since, now)
    ran: dict[int, int] = defaultdict(int)
    for tool_id, agent_id in AgentProfile.tools.through.objects.filter(toolrecord__in=foreseen).values_list(
        "toolrecord", "agentprofile"
    ):
        ran[tool_id] += sessions.get(agent_id, 0)
    return {
        tool_id: would_save(seconds, squares, max(ran[tool_id], rows), days)
        for tool_id, (seconds, squares, rows) in foreseen.items()
    }


def would_save_of(tool: ToolRecord, now: datetime) -> WouldSave:
    return would_save_by_tool([tool], now).get(tool.pk, NOTHING)


def _foreseen(tool_ids: list[int], since: datetime) -> dict[int, tuple[float, float, int]]:
    """By tool: seconds that would have been hidden, their squares summed, sessions with any."""
    seconds = F("would_hide_seconds")
    rows = (
        ToolFigures.objects.filter(tool__in=tool_ids, would_hide_seconds__gt=0, session__ended_at__gte=since)
        .filter(session__origin__in=COUNTED)
        .exclude(session__arm=Arm.OFF)
        .order_by()
        .values("tool")
        .annotate(seconds=Sum(seconds), squares=Sum(Cast(seconds * seconds, FloatField())), rows=Count("pk"))
    )
    return {row["tool"]: (row["seconds"], row["squares"], row["rows"]) for row in rows}


def _sessions_by_agent(since: datetime, now: datetime) -> tuple[dict[int, int], float]:
    """By agent: sessions that predicted; and over how many days, at least one."""
    rows = booked(since).exclude(session__arm=Arm.OFF).values(agent=F("session__agent"))
    counts = list(rows.annotate(sessions=Count("pk"), first=Min("session__ended_at")))
    first = min((row["first"] for row in counts), default=now)
    return {row["agent"]: row["sessions"] for row in counts}, max(1.0, (now - first) / timedelta(days=1))
