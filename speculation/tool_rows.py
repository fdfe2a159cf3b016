"""What the tools pages read: each tool with the decision that counts, what it does now and why, and its figures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Avg, Count, F, Q
from django.db.models.functions import Extract

from speculation.approval_queue import judged, may_run_early
from speculation.breakers_open import first_against, open_now, refusal
from speculation.decisions import Judged, counting_for, newest_decisions, standing_ones
from speculation.effects import (
    Hint,
    hints_of,
    is_declared_reading,
    needs_declaration,
    reaches_outside,
    tells_by_call,
    warms_by,
)
from speculation.models import Approval, ApprovalLevel, BreakerOpening, ToolJob, ToolRecord, WorkerPool
from speculation.verdicts import WRITING, Verdict, is_speculable
from tools.base import SideEffect

MEASURED_OVER = timedelta(days=7)
EFFECT_WORDS = {
    SideEffect.NONE: "reads only",
    SideEffect.IDEMPOTENT_WRITE: "writes, repeatable",
    SideEffect.WRITE: "writes",
}


@dataclass(frozen=True)
class Measured:
    """A tool's runs of the last seven days, without warm-ups and checks. `early`: those that started before anyone asked; `used`: those of them that were asked for."""

    runs: int = 0
    mean_seconds: float | None = None
    early: int = 0
    used: int = 0


@dataclass(frozen=True)
class ToolRow:
    tool: ToolRecord
    approval: Approval | None
    verdict: Verdict
    measured: Measured
    opening: BreakerOpening | None
    """The breaker that keeps it from running early for any agent."""
    judged: Judged
    standing: Sequence[Approval]
    """Every decision that counts for somebody, newest first."""

    @property
    def writes(self) -> bool:
        """True if nothing can make it run early, so that a switch would be no switch."""
        return not may_run_early(self.tool)

    @property
    def only_warms(self) -> bool:
        """True if nothing but its warm-up can be let run early."""
        return self.tool.effect in WRITING and not self.writes

    @property
    def warms_by(self) -> str:
        return warms_by(self.tool)

    @property
    def effect_words(self) -> str:
        """What it may do, and by whose word where that is not the tool's own."""
        if self.tool.effect != SideEffect.UNKNOWN:
            return EFFECT_WORDS[SideEffect(self.tool.effect)]
        if is_declared_reading(self.tool):
            return f"reads only, declared by {self.tool.reads_only_by}"
        return "depends on the call" if tells_by_call(self.tool) else "unknown"

    @property
    def hints(self) -> list[Hint]:
        """What its server claims of it; our own tools' annotations are no claims."""
        return hints_of(self.tool.definition)

    @property
    def reaches_outside(self) -> bool:
        return reaches_outside(self.tool)

    @property
    def may_be_revoked(self) -> bool:
        """False where nothing was ever allowed, or everything is refused already."""
        return any(approval.level != ApprovalLevel.NEVER for approval in self.standing)

    @property
    def chip(self) -> str:
        """The effect, with the first reason against it or what limits it."""
        word = "On" if self.verdict.allowed else "Off"
        return f"{word}: {self.verdict.reason}" if self.verdict.reason else word


@dataclass(frozen=True)
class House:
    """What may stop any tool: the paused pool, the open breakers; and the moment that is judged."""

    paused: WorkerPool | None
    openings: Sequence[BreakerOpening]
    now: datetime


def tool_rows(tools: Iterable[ToolRecord], now: datetime) -> list[ToolRow]:
    """One row a tool, in the given order."""
    tools = list(tools)
    decided = newest_decisions(tools)
    house = House(WorkerPool.objects.filter(is_paused=True).first(), list(open_now()), now)
    measured = _measure(tools, now)
    return [_row(tool, decided[tool.pk], house, measured.get(tool.pk, Measured())) for tool in tools]


def _row(tool: ToolRecord, newest_first: Sequence[Approval], house: House, measured: Measured) -> ToolRow:
    """The verdict for all agents; where that is a no, the one for the first agent that has a yes of its own."""
    chosen = _judge(tool, counting_for(newest_first, None), house, None)
    for agent_id in dict.fromkeys(approval.agent_id for approval in newest_first if approval.agent_id):
        if chosen.allowed:
            break
        verdict = _judge(tool, counting_for(newest_first, agent_id), house, agent_id)
        if verdict.allowed and verdict.approval is not None:
            limits = ", ".join(filter(None, [verdict.reason, f"agent {verdict.approval.agent}"]))
            chosen = Verdict(True, limits, verdict.approval)
    if not chosen.allowed and chosen.approval is None and newest_first:
        chosen = _judge(tool, newest_first[0], house, newest_first[0].agent_id)
    return ToolRow(
        tool,
        chosen.approval,
        chosen,
        measured,
        opening=first_against(house.openings, tool.pk, None),
        judged=judged(tool, newest_first, house.now),
        standing=standing_ones(newest_first),
    )


def _judge(tool: ToolRecord, approval: Approval | None, house: House, agent_id: int | None) -> Verdict:
    """The verdict on the tool as a whole. One that tells its calls apart is judged by those that only read."""
    is_known = tool.effect != SideEffect.UNKNOWN or needs_declaration(tool)
    return is_speculable(
        tool,
        approval,
        effect=tool.effect if is_known else SideEffect.NONE,
        arguments=None,
        pool=house.paused,
        canary_draw=0.0,
        now=house.now,
        broken=refusal(first_against(house.openings, tool.pk, agent_id)),
    )


def _measure(tools: Sequence[ToolRecord], now: datetime) -> dict[int, Measured]:
    ran_early = Q(call_id=None) | Q(promoted_at__isnull=False, started_at__lt=F("promoted_at"))
    recent = ToolJob.objects.filter(tool__in=tools, transformed=False, created_at__gte=now - MEASURED_OVER)
    finished = recent.filter(started_at__isnull=False, ended_at__isnull=False)
    rows = (
        finished.order_by()
        .values("tool")
        .annotate(
            runs=Count("pk"),
            mean_seconds=Avg(Extract(F("ended_at") - F("started_at"), "epoch"), filter=Q(status="succeeded")),
            early=Count("pk", filter=ran_early),
            used=Count("pk", filter=Q(promoted_at__isnull=False, started_at__lt=F("promoted_at"))),
        )
    )
    return {row.pop("tool"): Measured(**row) for row in rows}
