"""What waits for an approver, the most urgent first: the list of tools, the overview and the navigation read this.

First what no longer runs early and needs a new decision, then what is about to, then tools that nobody lets run early
although their shadow would save something, ranked by the least that it would save a day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from django.db.models import Count, F, Q
from django.utils import timezone

from speculation.decisions import (
    Judged,
    Standing,
    expires_soon,
    has_expired,
    judge,
    newest_decisions,
    standing_ones,
)
from speculation.effects import veto, warms_by
from speculation.models import Approval, ApprovalLevel, JobStatus, ToolJob, ToolRecord
from speculation.shadow_savings import would_save_by_tool
from speculation.verdicts import LET_SOMETHING_RUN, WRITING
from speculation.would_save import NOTHING, WouldSave

LEAST_MEAN_SECONDS = 0.05
"""What would save less in a session is not worth a person's time."""


class Need(IntEnum):
    """Why a tool needs a decision, the most urgent first."""

    CHANGED = 1
    REVIEW = 2
    EXPIRED = 3
    EXPIRING = 4
    APPROVE = 5


@dataclass(frozen=True)
class QueueItem:
    """One tool and the first reason to decide about it.

    `approval`: the decision that it is about, none for a tool that nobody reviewed. `cancelled`: how many guesses a
    changed definition ended.
    """

    tool: ToolRecord
    need: Need
    approval: Approval | None = None
    would_save: WouldSave = NOTHING
    cancelled: int = 0

    @property
    def since(self) -> datetime | None:
        """When it came up; for what expires, when it does."""
        if self.need == Need.CHANGED:
            return self.tool.changed_at
        if self.approval is None or self.need == Need.APPROVE:
            return None
        return self.approval.created_at if self.need == Need.REVIEW else self.approval.expires_at


def approval_queue(now: datetime | None = None) -> list[QueueItem]:
    """Every tool that needs a decision. Six small queries at most, fewer where nothing was foreseen or has changed."""
    now = now or timezone.now()
    tools = [tool for tool in ToolRecord.objects.all() if may_run_early(tool)]
    decided = newest_decisions(tools)
    pressing = [item for tool in tools if (item := pressing_need(tool, decided[tool.pk], now))]
    waiting = [tool for tool in tools if runs_for_nobody(decided[tool.pk]) and not _is_out_of_the_question(tool)]
    worth = would_save_by_tool(waiting, now)
    promising = [
        QueueItem(tool, Need.APPROVE, next(iter(decided[tool.pk]), None), worth[tool.pk])
        for tool in waiting
        if tool.pk in worth and worth[tool.pk].mean_seconds >= LEAST_MEAN_SECONDS
    ]
    return sorted([*_with_cancelled(pressing), *promising], key=_urgency)


def may_run_early(tool: ToolRecord) -> bool:
    """True if anything of it may be let run early: the tool itself, or its warm-up."""
    return tool.effect not in WRITING or bool(warms_by(tool))


def _is_out_of_the_question(tool: ToolRecord) -> bool:
    return tool.effect in WRITING or bool(veto(tool.definition))


def pressing_need(tool: ToolRecord, newest_first: Sequence[Approval], now: datetime) -> QueueItem | None:
    """What a decision that let the tool run has come to. Pure. A newer decision of any scope settles a review."""
    if not newest_first:
        return None
    if newest_first[0].level == ApprovalLevel.REVIEW:
        return QueueItem(tool, Need.REVIEW, newest_first[0])
    running = [one for one in standing_ones(newest_first) if one.level in LET_SOMETHING_RUN]
    for need, is_so in (
        (Need.CHANGED, lambda one: one.definition_hash != tool.definition_hash),
        (Need.EXPIRED, lambda one: has_expired(one, now)),
        (Need.EXPIRING, lambda one: expires_soon(one, now)),
    ):
        if found := next(filter(is_so, running), None):
            return QueueItem(tool, need, found)
    return None


def runs_for_nobody(newest_first: Sequence[Approval]) -> bool:
    """True for a tool that nobody reviewed, or that is left in shadow. One that was refused is not asked about again."""
    return all(one.level == ApprovalLevel.SHADOW for one in standing_ones(newest_first))


def judged(tool: ToolRecord, newest_first: Sequence[Approval], now: datetime) -> Judged:
    """Where the tool is: what presses before what holds, the widest that holds before the rest. Pure."""
    pressing = pressing_need(tool, newest_first, now)
    if pressing is not None and pressing.need != Need.EXPIRING:
        return judge(tool, pressing.approval, now)
    each = [judge(tool, one, now) for one in standing_ones(newest_first)]
    return max(each, key=lambda one: list(Standing).index(one.standing), default=judge(tool, None, now))


def _with_cancelled(items: Sequence[QueueItem]) -> list[QueueItem]:
    changed = {item.tool.pk for item in items if item.need == Need.CHANGED}
    cancelled = _cancelled(changed) if changed else {}
    return [
        QueueItem(item.tool, item.need, item.approval, item.would_save, cancelled.get(item.tool.pk, 0))
        for item in items
    ]


def _cancelled(tool_ids: set[int]) -> Mapping[int, int]:
    """By tool: guesses that the change of its definition ended."""
    changed_at = F("tool__changed_at")
    rows = ToolJob.objects.filter(
        Q(ended_at=None) | Q(ended_at__gte=changed_at),
        tool__in=tool_ids, status=JobStatus.PREEMPTED, end_reason="revoked", created_at__lte=changed_at,
    )  # fmt: skip
    return dict(rows.order_by().values("tool").annotate(runs=Count("pk")).values_list("tool", "runs"))


def _urgency(item: QueueItem) -> tuple[int, float, float, float, str]:
    worth, since = item.would_save, item.since
    moment = since.timestamp() if since else 0.0
    newest_first = moment if item.need in (Need.EXPIRING, Need.APPROVE) else -moment
    return max(item.need, Need.EXPIRED), newest_first, -worth.least_a_day_seconds, -worth.mean_seconds, str(item.tool)
