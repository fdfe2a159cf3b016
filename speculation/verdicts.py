"""May this call run before it is asked for? One pure check, and the query for the decision that it rests on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from speculation.engine.scheduling import Refused
from speculation.models import AgentProfile, Approval, ApprovalLevel, ToolRecord, WorkerPool
from tools.base import SideEffect

RUNNING_LEVELS = (ApprovalLevel.CANARY, ApprovalLevel.FULL)
LET_SOMETHING_RUN = (*RUNNING_LEVELS, ApprovalLevel.TRANSFORMED)
ONLY_WARMS = "only its warm-up"
"""What limits a call whose tool may be warmed up for it, and nothing else."""
WRITING = (SideEffect.WRITE, SideEffect.IDEMPOTENT_WRITE)


@dataclass(frozen=True)
class Verdict:
    """Whether a call may run before it is asked for. `reason`: the first one against, or what limits it.

    `only_warms`: not the call itself, only its warm-up, which changes nothing and answers nobody.
    """

    allowed: bool
    reason: str = ""
    approval: Approval | None = None
    only_warms: bool = False


def newest_approval(tool: ToolRecord, agent: AgentProfile | None) -> Approval | None:
    """The decision that counts for this agent: the newest of its own and of those for all agents.

    By id, not by time: ids are drawn under the tool's lock, `created_at` is when the transaction began.
    """
    scope = Q(agent=None) if agent is None else Q(agent=None) | Q(agent=agent)
    return Approval.objects.filter(scope, tool=tool).order_by("-id").first()


def is_speculable(
    tool: ToolRecord,
    approval: Approval | None,
    *,
    effect: str,
    arguments: Mapping[str, Any] | None,
    pool: WorkerPool | None,
    canary_draw: float,
    now: datetime,
    broken: Refused | None = None,
) -> Verdict:
    """May this call run before it is asked for? Pure: everything it looks at is an argument.

    `effect`: of this very call. `arguments`: None asks about the tool as a whole. `canary_draw`: in [0, 1), one for a
    session's life. `broken`: what breakers_open has against it.
    """
    only_warms = approval is not None and approval.level == ApprovalLevel.TRANSFORMED
    against = (
        ("" if only_warms else _against_effect(effect))
        or _against_approval(tool, approval, canary_draw, now)
        or _against_now(tool, pool, broken)
        or _against_arguments(approval, arguments)
    )
    if against:
        return Verdict(False, against, approval)
    if only_warms:
        return Verdict(True, ONLY_WARMS, approval, only_warms=True)
    if approval is not None and approval.level == ApprovalLevel.CANARY:
        return Verdict(True, f"canary {approval.canary_percent} %", approval)
    return Verdict(True, "", approval)


def _against_effect(effect: str) -> str:
    if effect == SideEffect.NONE:
        return ""
    return "writes: not eligible" if effect in WRITING else "effect unknown: not eligible"


def _against_approval(tool: ToolRecord, approval: Approval | None, canary_draw: float, now: datetime) -> str:
    if approval is None:
        return "not approved"
    if approval.level == ApprovalLevel.NEVER:
        return f"refused by {approval.who}"
    if approval.level == ApprovalLevel.REVIEW:
        return f"needs review: {approval.why}"
    if approval.definition_hash != tool.definition_hash:
        return "definition changed since its approval"
    if approval.expires_at is not None and approval.expires_at <= now:
        return "approval expired"
    if approval.level not in LET_SOMETHING_RUN:
        return f"only {approval.level}"
    if approval.level == ApprovalLevel.CANARY and canary_draw * 100 >= approval.canary_percent:
        return f"not in the canary of {approval.canary_percent} %"
    return ""


def _against_now(tool: ToolRecord, pool: WorkerPool | None, broken: Refused | None) -> str:
    if not tool.enabled:
        return tool.disabled_reason or "switched off"
    if pool is not None and pool.is_paused:
        return pool.pause_reason or "speculation is paused"
    return str(broken or "")


def _against_arguments(approval: Approval | None, arguments: Mapping[str, Any] | None) -> str:
    if arguments is None or approval is None or approval.argument_rule is None:
        return ""
    return "" if meets(approval.argument_rule, arguments) else "refused by the argument rule"


def meets(argument_rule: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    """True if the arguments meet the rule. One that points elsewhere, or at itself without end, is met by none."""
    try:
        return bool(Draft202012Validator(argument_rule, registry=Registry()).is_valid(dict(arguments)))
    except (Unresolvable, RecursionError):
        return False
