"""What speaks for and against letting a tool run early: its last seven days in the ledger, and its last calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Count, F, FloatField, Sum
from django.db.models.functions import Cast, NullIf

from speculation.models import Arm, ToolFigures, ToolJob, ToolRecord
from speculation.queries import Median
from speculation.savings import COUNTED, booked, has_wasted, prices_by_tool
from speculation.shadow_savings import WINDOW
from speculation.waste import WASTE_REASONS

MOST_CALLS_SHOWN = 20
SUMMED = (
    *("calls", "eligible_calls", "failed_calls", "launches", "hits", "hidden_seconds", "wasted_seconds"),
    *("would_launches", "would_hits", "would_hide_seconds", "wasted_price"),
)


@dataclass(frozen=True)
class Evidence:
    """Sums over sessions of seven days. `waste`: reason to runs and worker seconds. Shadow: the `would_` ones.
    `price_per_call` is that of now; what was wasted, `wasted_price`, by reason in `priced`, is at the prices of its time.

    `run_seconds`: the tool's median run; `decode_seconds`: the median session's mean decode of a turn. None: not known.
    """

    sessions: int
    calls: int
    eligible_calls: int
    failed_calls: int
    launches: int
    hits: int
    hidden_seconds: float
    wasted_seconds: float
    would_launches: int
    would_hits: int
    would_hide_seconds: float
    waste: dict[str, tuple[int, float]]
    run_seconds: float | None
    decode_seconds: float | None
    price_per_call: Decimal
    wasted_price: Decimal
    priced: Mapping[str, Decimal]

    @property
    def foreseen(self) -> int:
        """Calls that were started early, or would have been."""
        return self.launches + self.would_launches

    @property
    def asked_for(self) -> int:
        return self.hits + self.would_hits

    @property
    def asked_share(self) -> float | None:
        return self.asked_for / self.foreseen if self.foreseen else None

    @property
    def saved_seconds(self) -> float:
        """Of agents: hidden behind decoding, and what would have been."""
        return self.hidden_seconds + self.would_hide_seconds

    @property
    def would_waste_seconds(self) -> float | None:
        """Of workers: would-be misses at the usual length of a run. None where that is not known."""
        if not self._would_miss:
            return 0.0
        return None if self.run_seconds is None else self._would_miss * self.run_seconds

    @property
    def would_waste_price(self) -> Decimal:
        """Would-be misses at the price of now."""
        return self._would_miss * self.price_per_call

    @property
    def _would_miss(self) -> int:
        return max(0, self.would_launches - self.would_hits)

    @property
    def spent_seconds(self) -> float | None:
        return None if self.would_waste_seconds is None else self.wasted_seconds + self.would_waste_seconds

    @property
    def spent_price(self) -> Decimal:
        return self.wasted_price + self.would_waste_price

    @property
    def fits_behind(self) -> float | None:
        """The share of a run that a turn's decoding can hide; at most 1."""
        if not self.run_seconds or self.decode_seconds is None:
            return None
        return min(1.0, self.decode_seconds / self.run_seconds)


def evidence(tool: ToolRecord, now: datetime, agent_id: int | None = None) -> Evidence:
    """Of one agent's sessions, or of all."""
    rows = ToolFigures.objects.filter(
        tool=tool, session__ended_at__gte=now - WINDOW, session__origin__in=COUNTED
    ).exclude(session__arm=Arm.OFF)
    if agent_id is not None:
        rows = rows.filter(session__agent=agent_id)
    sums = rows.aggregate(sessions=Count("pk"), **{name: Sum(name, default=0) for name in SUMMED})
    return Evidence(
        **sums,
        waste=_waste(list(rows.filter(has_wasted()).values_list("waste", flat=True))),
        price_per_call=tool.price_per_call,
        priced=prices_by_tool(rows).get(tool.pk, {}),
        run_seconds=tool.quantiles.get("p50"),
        decode_seconds=_decode_seconds(tool, now, agent_id),
    )


def _waste(rows: Sequence[dict[str, tuple[int, float]]]) -> dict[str, tuple[int, float]]:
    sums = {
        reason: (
            sum(row[reason][0] for row in rows if reason in row),
            sum(row[reason][1] for row in rows if reason in row),
        )
        for reason in WASTE_REASONS
    }
    return {reason: of for reason, of in sums.items() if of[0]}


def _decode_seconds(tool: ToolRecord, now: datetime, agent_id: int | None) -> float | None:
    """How long a turn of the agents that have the tool decodes: there is no more to hide a run behind."""
    rows = booked(now - WINDOW).exclude(session__arm=Arm.OFF)
    rows = rows.filter(session__agent=agent_id) if agent_id else rows.filter(session__agent__in=tool.agents.all())
    a_turn = F("decode_seconds") / Cast(NullIf(F("turns"), 0), FloatField())
    median: float | None = rows.aggregate(median=Median(a_turn))["median"]
    return median


@dataclass(frozen=True)
class RecentCall:
    """One call of the tool. `outcome`: how a guess served it; empty where none did. `is_error`: the tool's own answer."""

    job: ToolJob
    asked_at: datetime
    outcome: str
    took_seconds: float | None
    is_error: bool


def recent_calls(tool: ToolRecord) -> list[RecentCall]:
    """The last ones that were asked for, newest first."""
    jobs = ToolJob.objects.filter(tool=tool, call_id__isnull=False).order_by("-created_at").defer("result")
    with_answers = jobs.annotate(answered_ok=F("result__ok")).select_related("session__agent")
    return [_told(job, job.answered_ok) for job in with_answers[:MOST_CALLS_SHOWN]]


def _told(job: ToolJob, answered_ok: bool | None) -> RecentCall:
    has_run = job.started_at is not None and job.ended_at is not None
    took = (job.ended_at - job.started_at).total_seconds() if has_run else None
    return RecentCall(job, job.promoted_at or job.created_at, _outcome(job), took, answered_ok is False)


def _outcome(job: ToolJob) -> str:
    """A run that had begun when it was asked for: used if it had ended by then, joined if not."""
    if job.promoted_at is None or job.started_at is None or job.started_at >= job.promoted_at:
        return ""
    return "used" if job.ended_at is not None and job.ended_at <= job.promoted_at else "joined"
