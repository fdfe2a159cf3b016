"""Speculation as a whole, in one word: on, canary (a share of the sessions alone) or paused."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.utils import timezone

from speculation.decisions import has_expired, newest_decisions, standing_ones
from speculation.models import AgentProfile, ApprovalLevel, ModelKind, SpeculationMode, ToolRecord, WorkerPool
from speculation.queries import pause_reason
from speculation.verdicts import RUNNING_LEVELS

MODES_THAT_RUN = (SpeculationMode.CANARY, SpeculationMode.ON)


class Overall(StrEnum):
    ON = "on"
    CANARY = "canary"
    PAUSED = "paused"


@dataclass(frozen=True)
class OverallState:
    """`reason`: why it is paused. `is_paused_by_hand`: by an operator, who may resume it; not by a breaker."""

    overall: Overall
    reason: str = ""
    is_paused_by_hand: bool = False


def overall_state() -> OverallState:
    """As it is now: six short queries, since every page says it."""
    if reason := pause_reason():
        return OverallState(Overall.PAUSED, reason, WorkerPool.objects.filter(is_paused=True).exists())
    return OverallState(overall_of(_modes(), _levels(timezone.now())))


def overall_of(modes: Iterable[str], levels: Iterable[str]) -> Overall:
    """Canary where every agent that speculates, or every tool that runs early, does so for a share of the sessions. Pure.

    `modes`: of the agents. `levels`: of the decisions that count.
    """
    running_modes, running_levels = set(modes) & set(MODES_THAT_RUN), set(levels) & set(RUNNING_LEVELS)
    is_canary = running_modes == {SpeculationMode.CANARY} or running_levels == {ApprovalLevel.CANARY}
    return Overall.CANARY if is_canary else Overall.ON


def _modes() -> set[str]:
    return set(AgentProfile.objects.exclude(model_kind=ModelKind.RECORDED).values_list("mode", flat=True))


def _levels(now: datetime) -> set[str]:
    by_tool = newest_decisions(ToolRecord.objects.only("pk")).values()
    return {one.level for newest_first in by_tool for one in standing_ones(newest_first) if not has_expired(one, now)}
