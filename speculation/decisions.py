"""The decisions that stand for a tool, and in one word where it is in its life: what the pages and the queue go by.

Of each scope (all agents, one agent) only the newest can count; of these, for one agent the newest of its own and of
those for all (verdicts.newest_approval). So a decision for all ends every older one for single agents.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from speculation.effects import warms_by
from speculation.models import Approval, ApprovalLevel, ToolRecord
from speculation.verdicts import LET_SOMETHING_RUN, WRITING

EXPIRY_IS_NEAR = timedelta(days=7)


class Standing(StrEnum):
    """Where a tool, or one decision about it, is in its life."""

    WRITES = "writes"
    UNREVIEWED = "unreviewed"
    NEVER = "never"
    SHADOW = "shadow"
    CANARY = "canary"
    TRANSFORMED = "transformed"
    APPROVED = "approved"
    REVIEW = "needs review"


@dataclass(frozen=True)
class Judged:
    """A standing, and why where that is not said by the word."""

    standing: Standing
    why: str = ""

    @property
    def words(self) -> str:
        return f"{self.standing}: {self.why}" if self.why else str(self.standing)


_BY_LEVEL = {
    ApprovalLevel.NEVER: Standing.NEVER,
    ApprovalLevel.SHADOW: Standing.SHADOW,
    ApprovalLevel.CANARY: Standing.CANARY,
    ApprovalLevel.TRANSFORMED: Standing.TRANSFORMED,
    ApprovalLevel.FULL: Standing.APPROVED,
}


def judge(tool: ToolRecord, approval: Approval | None, now: datetime) -> Judged:
    """Where the tool is by this decision. Pure. What let it run and holds no longer needs review."""
    if tool.effect in WRITING and not (approval is not None and is_about_warming(tool, approval)):
        return Judged(Standing.WRITES)
    if approval is None:
        return Judged(Standing.UNREVIEWED)
    if approval.level == ApprovalLevel.REVIEW:
        return Judged(Standing.REVIEW, approval.why)
    if approval.level in LET_SOMETHING_RUN and approval.definition_hash != tool.definition_hash:
        return Judged(Standing.REVIEW, "its definition changed since the decision")
    if approval.level in LET_SOMETHING_RUN and has_expired(approval, now):
        return Judged(Standing.REVIEW, "its approval expired")
    return Judged(_BY_LEVEL[ApprovalLevel(approval.level)])


def is_about_warming(tool: ToolRecord, approval: Approval) -> bool:
    """Of a tool that writes, only a decision about its warm-up says more than that it does."""
    return bool(warms_by(tool)) and approval.level in (ApprovalLevel.TRANSFORMED, ApprovalLevel.REVIEW)


def has_expired(approval: Approval, now: datetime) -> bool:
    return approval.expires_at is not None and approval.expires_at <= now


def expires_soon(approval: Approval, now: datetime) -> bool:
    """True from seven days before its end on, until then."""
    return approval.expires_at is not None and now < approval.expires_at <= now + EXPIRY_IS_NEAR


def newest_decisions(tools: Iterable[ToolRecord]) -> dict[int, list[Approval]]:
    """By tool: the newest decision of each scope, newest first. One query."""
    rows = (
        Approval.objects.filter(tool__in=list(tools))
        .order_by("tool_id", "agent_id", "-id")
        .distinct("tool_id", "agent_id")
    )
    found: dict[int, list[Approval]] = defaultdict(list)
    for approval in sorted(rows.select_related("agent").defer("definition"), key=lambda one: -one.pk):
        found[approval.tool_id].append(approval)
    return found


def standing_ones(newest_first: Sequence[Approval]) -> list[Approval]:
    """Those that count for somebody: down to the newest for all agents, which ends what is older."""
    for place, approval in enumerate(newest_first):
        if approval.agent_id is None:
            return list(newest_first[: place + 1])
    return list(newest_first)


def counting_for(newest_first: Sequence[Approval], agent_id: int | None) -> Approval | None:
    """The decision that counts for this agent; None asks for every agent without one of its own."""
    return next((approval for approval in newest_first if approval.agent_id in (None, agent_id)), None)
