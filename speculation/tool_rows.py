"""What the tools pages read: each tool with the decision that counts, what it does now and why, and its figures."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Avg, Count, F, Q
from django.db.models.functions import Extract

from speculation.breakers_open import first_against, open_now, refusal
from speculation.models import Approval, BreakerOpening, ToolJob, ToolRecord, WorkerPool
from speculation.verdicts import WRITING, Verdict, is_speculable
from tools.base import SideEffect


@dataclass(frozen=True)
class Measured:
    """A tool's runs. `early`: those that started before anyone asked; `used`: those of them that were asked for."""

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
    opening: BreakerOpening | None = None
    """The breaker that keeps it from running early for any agent."""

    @property
    def writes(self) -> bool:
        """True if nothing can make it run early, so that a switch would be no switch."""
        return self.tool.effect in WRITING

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
    approvals: dict[int, list[Approval]] = defaultdict(list)
    for approval in Approval.objects.filter(tool__in=tools).select_related("agent").order_by("-id"):
        approvals[approval.tool_id].append(approval)
    house = House(WorkerPool.objects.filter(is_paused=True).first(), list(open_now()), now)
    measured = _measure(tools)
    return [_row(tool, approvals[tool.pk], house, measured.get(tool.pk, Measured())) for tool in tools]


def _row(tool: ToolRecord, newest_first: Sequence[Approval], house: House, measured: Measured) -> ToolRow:
    """The verdict for all agents; where that is a no, the one for the first agent that has a yes of its own."""
    chosen = _judge(tool, _counting(newest_first, None), house, None)
    for agent_id in dict.fromkeys(approval.agent_id for approval in newest_first if approval.agent_id):
        if chosen.allowed:
            break
        verdict = _judge(tool, _counting(newest_first, agent_id), house, agent_id)
        if verdict.allowed and verdict.approval is not None:
            limits = ", ".join(filter(None, [verdict.reason, f"agent {verdict.approval.agent}"]))
            chosen = Verdict(True, limits, verdict.approval)
    if not chosen.allowed and chosen.approval is None and newest_first:
        chosen = _judge(tool, newest_first[0], house, newest_first[0].agent_id)
    return ToolRow(tool, chosen.approval, chosen, measured, first_against(house.openings, tool.pk, None))


def _counting(newest_first: Sequence[Approval], agent_id: int | None) -> Approval | None:
    """The decision that counts for an agent: see verdicts.newest_approval."""
    return next((approval for approval in newest_first if approval.agent_id in (None, agent_id)), None)


def _judge(tool: ToolRecord, approval: Approval | None, house: House, agent_id: int | None) -> Verdict:
    """The verdict on the tool as a whole. One of unknown effect is judged by its calls that only read."""
    return is_speculable(
        tool,
        approval,
        effect=SideEffect.NONE if tool.effect == SideEffect.UNKNOWN else tool.effect,
        arguments=None,
        pool=house.paused,
        canary_draw=0.0,
        now=house.now,
        broken=refusal(first_against(house.openings, tool.pk, agent_id)),
    )


def _measure(tools: Sequence[ToolRecord]) -> dict[int, Measured]:
    ran_early = Q(call_id=None) | Q(promoted_at__isnull=False, started_at__lt=F("promoted_at"))
    finished = ToolJob.objects.filter(tool__in=tools, started_at__isnull=False, ended_at__isnull=False)
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
