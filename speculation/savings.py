"""What speculation came to over many sessions: the rows of the ledger that a page asks for, summed by totals.py."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from django.db.models import Count, F, Q, QuerySet, Sum

from speculation.models import Arm, Origin, Session, SessionFigures, ToolFigures
from speculation.spans import FREE
from speculation.totals import Effect, Minutes, Totals, binned, measured_effect
from speculation.waste import WASTE_REASONS

COUNTED = (Origin.TASK, Origin.DEMO)
"""Real tasks. Those of learning and replays would tell of themselves, not of what agents did."""
SUMMED = [
    "task_seconds",
    "decode_seconds",
    "waited_seconds",
    "net_saved_seconds",
    "interference_seconds",
    "hidden_seconds",
    "would_hide_seconds",
    "wasted_seconds",
    "used_seconds",
    "calls",
    "eligible_calls",
    "launches",
    "hits",
    "wasted_runs",
    "wasted_price",
]

SUMMED_BY_TOOL = ("calls", "launches", "hits", "hidden_seconds", "wasted_seconds", "wasted_price")


@dataclass(frozen=True)
class Range:
    """A span of time up to now, as pages offer it."""

    key: str
    label: str
    span: timedelta
    bins: int

    def since(self, now: datetime) -> datetime:
        return now - self.span


RANGES = (
    Range("hour", "Last hour", timedelta(hours=1), 60),
    Range("day", "Last 24 hours", timedelta(days=1), 48),
    Range("week", "Last 7 days", timedelta(days=7), 42),
    Range("month", "Last 30 days", timedelta(days=30), 30),
)


def range_of(key: str) -> Range:
    """The one with that key; a day where there is none."""
    return next((one for one in RANGES if one.key == key), RANGES[1])


def booked(since: datetime, agent: str = "") -> QuerySet[SessionFigures]:
    """Of sessions that ended since, of one agent or all."""
    rows = SessionFigures.objects.filter(session__ended_at__gte=since, session__origin__in=COUNTED).order_by()
    return rows.filter(session__agent__name=agent) if agent else rows


def with_speculation(since: datetime, agent: str = "") -> QuerySet[SessionFigures]:
    return booked(since, agent).filter(session__arm=Arm.ON)


def totals_of(since: datetime, agent: str = "") -> Totals:
    """Sums over sessions with speculation that ended since."""
    sums = with_speculation(since, agent).aggregate(
        sessions=Count("pk"), **{name: Sum(name, default=0) for name in SUMMED}
    )
    return Totals(**sums)


def effect_of(since: datetime, agent: str = "") -> Effect:
    """Measured: sessions that succeeded with speculation against the holdout, both drawn (nobody chose their arm)."""
    drawn = booked(since, agent).filter(session__status="succeeded", session__speculation="auto")
    return _effect(_durations(drawn, Arm.ON), _durations(drawn, Arm.HOLDOUT))


Kept = tuple[tuple[str, tuple[float, ...]], ...]


@lru_cache(maxsize=64)
def _effect(ours: Kept, theirs: Kept) -> Effect:
    """Resampling takes a quarter of a second for a thousand sessions; pages ask again while no session has ended."""
    return measured_effect(dict(ours), dict(theirs))


def _durations(rows: QuerySet[SessionFigures], arm: str) -> Kept:
    by_agent: dict[str, list[float]] = defaultdict(list)
    found = rows.filter(session__arm=arm).order_by("-session__ended_at")
    for agent, seconds in found.values_list("session__agent__name", "task_seconds"):
        by_agent[agent].append(seconds)
    return tuple((agent, tuple(values)) for agent, values in by_agent.items())


def minutes_of(since: datetime, now: datetime, bins: int, agent: str = "") -> Sequence[Minutes]:
    """Seconds a minute that were saved, lost to interference, used and wasted."""
    rows = with_speculation(since, agent).values_list("by_minute", flat=True)
    return binned([row for by_minute in rows for row in by_minute], since.timestamp(), now.timestamp(), bins)


@dataclass(frozen=True)
class Pairs:
    """Tasks that ran twice, with and without speculation, both to the end: mean seconds of each."""

    count: int
    with_seconds: float = 0.0
    without_seconds: float = 0.0

    @property
    def less(self) -> float | None:
        return 1 - self.with_seconds / self.without_seconds if self.without_seconds > 0 else None


def pairs_of(since: datetime, agent: str = "") -> Pairs:
    paired = with_speculation(since, agent).filter(
        session__status="succeeded", session__pair__status="succeeded", session__pair__booked__isnull=False
    )
    theirs = F("session__pair__booked__task_seconds")
    row = paired.exclude(session__pair__arm=Arm.ON).aggregate(
        count=Count("pk"), with_seconds=Sum("task_seconds", default=0), without_seconds=Sum(theirs, default=0)
    )
    count = max(1, row["count"])
    return Pairs(row["count"], row["with_seconds"] / count, row["without_seconds"] / count)


class WasteReason(NamedTuple):
    """Runs that came to nothing for one reason: worker seconds, and what their calls cost."""

    reason: str
    runs: int
    seconds: float
    price: Decimal


def by_reason(tools: Iterable["ToolSavings"]) -> list[WasteReason]:
    """Of all these tools together, in the order of WASTE_REASONS."""
    parts = [part for tool in tools for part in tool.reasons]
    of = {reason: [part for part in parts if part.reason == reason] for reason in WASTE_REASONS}
    return [
        WasteReason(why, sum(one.runs for one in found), sum(one.seconds for one in found), sum((one.price for one in found), FREE))
        for why, found in of.items()
        if found
    ]


@dataclass(frozen=True)
class ToolSavings:
    """One tool's part: what it hid and wasted, worker seconds and price by reason."""

    server: str
    name: str
    calls: int
    launches: int
    hits: int
    hidden_seconds: float
    wasted_seconds: float
    waste: dict[str, tuple[int, float]]
    """Reason: runs and seconds, in the order of WASTE_REASONS."""
    wasted_price: Decimal = FREE
    price: Mapping[str, Decimal] = field(default_factory=dict)
    """Reason: what of it is its, in the same order; without those that were free."""

    @property
    def reasons(self) -> list["WasteReason"]:
        return [WasteReason(why, *part, self.price.get(why, FREE)) for why, part in self.waste.items()]


def tools_of(since: datetime, agent: str = "") -> list[ToolSavings]:
    """Each tool that a session with speculation called or ran early, the one that wasted most first."""
    rows = ToolFigures.objects.filter(session__in=with_speculation(since, agent).values("session")).order_by()
    sums = rows.values("tool", server=F("tool__server"), name=F("tool__name")).annotate(
        **{f"{name}_sum": Sum(name) for name in SUMMED_BY_TOOL}
    )
    waste = _waste_by_tool(rows.filter(has_wasted()).values_list("tool", "waste"))
    price = prices_by_tool(rows)
    found = [
        ToolSavings(
            row["server"], row["name"], row["calls_sum"], row["launches_sum"], row["hits_sum"],
            row["hidden_seconds_sum"], row["wasted_seconds_sum"], waste.get(row["tool"], {}), row["wasted_price_sum"],
            price.get(row["tool"], {}),
        )
        for row in sums
    ]  # fmt: skip
    return sorted(found, key=lambda tool: (-tool.wasted_seconds, -tool.hidden_seconds, tool.name))


def has_wasted() -> Q:
    """Of a tool's part in a session: something of it came to nothing, however short it was."""
    return Q(wasted_seconds__gt=0) | Q(wasted_price__gt=0)


def _waste_by_tool(rows: Iterable[tuple[int, Any]]) -> dict[int, dict[str, tuple[int, float]]]:
    sums: dict[int, dict[str, tuple[int, float]]] = defaultdict(dict)
    for tool, waste in rows:
        for reason, (runs, seconds) in waste.items():
            before = sums[tool].get(reason, (0, 0.0))
            sums[tool][reason] = (before[0] + runs, before[1] + seconds)
    return {
        tool: {reason: found[reason] for reason in WASTE_REASONS if reason in found} for tool, found in sums.items()
    }


def prices_by_tool(rows: QuerySet[ToolFigures]) -> dict[int, dict[str, Decimal]]:
    """By tool, only those of which something was charged for nothing: reason, in the order of WASTE_REASONS, and price."""
    sums: dict[int, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for tool, prices in rows.filter(wasted_price__gt=0).values_list("tool", "price_by_reason"):
        for reason, price in prices.items():
            sums[tool][reason] += Decimal(price)
    return {tool: {reason: of[reason] for reason in WASTE_REASONS if reason in of} for tool, of in sums.items()}


def unbooked() -> int:
    """How many ended sessions the ledger has not taken in yet: pages say so while there are any."""
    missing = Session.objects.filter(ended_at__isnull=False, origin__in=COUNTED)
    return missing.filter(Q(booked=None)).count()


@dataclass(frozen=True)
class Shadow:
    """What predictions that nobody acted on would have hidden."""

    sessions: int
    would_hide_seconds: float

    @property
    def a_session_seconds(self) -> float:
        return self.would_hide_seconds / self.sessions if self.sessions else 0.0


def shadow_of(since: datetime, agent: str = "") -> Shadow:
    row = booked(since, agent).exclude(session__arm=Arm.OFF)
    sums = row.aggregate(sessions=Count("pk"), would=Sum("would_hide_seconds", default=0))
    return Shadow(sums["sessions"], sums["would"])
