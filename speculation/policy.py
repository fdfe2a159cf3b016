"""Which tools may be speculated, and who decided it. verdicts.py is the check that asks.

A decision says that a tool *may* run before it is asked for; the switch says whether it *does* now. Every change is one
transaction that holds the tool's row: the approval or the flag, the next policy version and the audit entry. Jobs of an
older version can no longer start or be served from that commit on; then they are given up, session by session.

Errors::

    PolicyError
    ├── DecisionOutdated   the definition or the policy version moved since it was read; nothing was stored
    └── DecisionRefused    no such decision can be: no reason, a tool that writes, a rule that is no JSON Schema
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models.functions import Now
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from speculation import events, jobs, locks
from speculation.models import AgentProfile, Approval, ApprovalLevel, AuditEntry, ToolJob, ToolRecord
from speculation.storable import unstorable
from speculation.verdicts import RUNNING_LEVELS, WRITING, newest_approval
from tools.base import Tool

LONGEST_TTL_SECONDS = 86_400
MOST_PARALLEL = 1000
DECIDABLE_LEVELS = tuple(level for level in ApprovalLevel if level != ApprovalLevel.REVIEW)
"""What a person may decide; a tool is sent to review by what it did."""


class PolicyError(Exception):
    """Nothing was changed; the message says why."""


class DecisionOutdated(PolicyError):
    """The tool is no longer what the decision was about. `tool` is what it is now."""

    def __init__(self, tool: ToolRecord) -> None:
        super().__init__(f"{tool.name} changed since you read it. Nothing was stored; look at it again.")
        self.tool = tool


class DecisionRefused(PolicyError):
    """The decision itself cannot be."""


@dataclass(frozen=True)
class Change:
    """What a decision, revocation or switch did. `ended`: held speculations that were given up."""

    tool: ToolRecord
    approval: Approval | None
    ended: int


def decide(
    tool: ToolRecord,
    level: str,
    *,
    who: str,
    why: str,
    expected_definition_hash: str,
    expected_policy_version: int,
    user: AbstractBaseUser | None = None,
    agent: AgentProfile | None = None,
    canary_percent: int = 10,
    argument_rule: Mapping[str, Any] | None = None,
    ttl_seconds: float | None = None,
    max_parallel: int | None = None,
    expires_at: datetime | None = None,
    may_tell_outsiders: bool = False,
) -> Change:
    """Store a decision about the tool as it was read. Raises DecisionOutdated, DecisionRefused; then nothing is stored.

    `may_tell_outsiders`: said apart for an open-world tool, whose arguments reach an outside party before the model asked.
    """
    with transaction.atomic(durable=True):
        held = locks.hold_tool(tool.pk)
        if (held.definition_hash, held.policy_version) != (expected_definition_hash, expected_policy_version):
            raise DecisionOutdated(held)
        _refuse_impossible_terms(why, canary_percent, ttl_seconds, max_parallel, argument_rule)
        _refuse_impossible_level(held, level, may_tell_outsiders)
        before = newest_approval(held, agent)
        approval = Approval.objects.create(
            tool=held,
            definition_hash=held.definition_hash,
            level=level,
            agent=agent,
            canary_percent=canary_percent,
            argument_rule=argument_rule,
            ttl_seconds=ttl_seconds,
            max_parallel=max_parallel,
            expires_at=expires_at,
            user=user,
            who=who,
            why=why,
        )
        after = {**_summary(approval), "may_tell_outsiders": may_tell_outsiders}
        _step(held, "decided", who, user, why, before=_summary(before), after=after)
    return Change(held, approval, _give_up_older_jobs(held))


def revoke(tool: ToolRecord, *, who: str, why: str, user: AbstractBaseUser | None = None) -> Change:
    """Refuse the tool for every agent, whatever it is now, and give up what was held."""
    with transaction.atomic(durable=True):
        held = locks.hold_tool(tool.pk)
        before = newest_approval(held, None)
        approval = Approval.objects.create(
            tool=held, definition_hash=held.definition_hash, level=ApprovalLevel.NEVER, user=user, who=who, why=why
        )
        _step(held, "revoked", who, user, why, before=_summary(before), after=_summary(approval))
    return Change(held, approval, _give_up_older_jobs(held))


def switch(tool: ToolRecord, on: bool, *, who: str, why: str = "", user: AbstractBaseUser | None = None) -> Change:
    """The operator's switch: off ends speculation now and keeps the decision; on enables a decision that still holds."""
    with transaction.atomic(durable=True):
        held = locks.hold_tool(tool.pk)
        if held.enabled == on:
            return Change(held, None, 0)
        reason = "" if on else f"switched off by {who}: {why}" if why else f"switched off by {who}"
        before, after = {"enabled": held.enabled}, {"enabled": on}
        _step(
            held, "switched on" if on else "switched off", who, user, why,
            before=before, after=after, enabled=on, disabled_reason=reason[:500],
        )  # fmt: skip
    return Change(held, None, _give_up_older_jobs(held))


def send_to_review(tool: ToolRecord, why: str) -> Change | None:
    """Take back a decision that lets the tool run early, until someone decides anew. None where there was none."""
    with transaction.atomic(durable=True):
        held = locks.hold_tool(tool.pk)
        before = _newest_that_runs(held)
        if before is None:
            return None
        approval = Approval.objects.create(
            tool=held, definition_hash=held.definition_hash, level=ApprovalLevel.REVIEW, who="system", why=why
        )
        _step(held, "sent to review", "system", None, why, before=_summary(before), after=_summary(approval))
    return Change(held, approval, _give_up_older_jobs(held))


def _newest_that_runs(tool: ToolRecord) -> Approval | None:
    """The newest decision that still lets some agent run the tool early."""
    for_all = newest_approval(tool, None)
    newer = Approval.objects.filter(tool=tool, level__in=RUNNING_LEVELS, pk__gte=for_all.pk if for_all else 0)
    return newer.order_by("-id").first()


def distrust(tool: ToolRecord, why: str) -> None:
    """Serve nothing that is held of the tool from here on: it may be wrong. The decision stays; the caller gives up."""
    with transaction.atomic(durable=True):
        held = locks.hold_tool(tool.pk)
        _step(held, "held results distrusted", "system", None, why, before=None, after=None)


def register_tool(server: str, tool: Tool) -> ToolRecord:
    """The tool's row, made or brought up to date. A changed definition ends what its approval allowed.

    Changed credentials leave the approval, but end what was guessed under the old ones: they may be shown other things.
    """
    declared = {
        "definition": tool.definition,
        "definition_hash": tool.definition_hash,
        "credentials_hash": tool.credentials,
        "effect": str(tool.policy.effect),
        "open_world": tool.policy.open_world,
    }
    record, is_new = ToolRecord.objects.get_or_create(
        server=server, name=tool.name, defaults={**declared, "mean_seconds": tool.policy.expected_seconds}
    )
    if is_new or _is_as_registered(record, tool):
        return record
    with transaction.atomic(durable=True):
        held = locks.hold_tool(record.pk)
        if _is_as_registered(held, tool):
            return held
        if held.definition_hash == tool.definition_hash:
            _step(
                held, "credentials changed", "system", None, "Registered with other credentials than before.",
                before=None, after=None, **declared,
            )  # fmt: skip
        else:
            before, after = {"definition": held.definition}, {"definition": tool.definition}
            _step(
                held, "definition changed", "system", None, "Registered with another definition than before.",
                before=before, after=after, changed_at=Now(), **declared,
            )  # fmt: skip
    _give_up_older_jobs(held)
    held.refresh_from_db()
    return held


def _is_as_registered(record: ToolRecord, tool: Tool) -> bool:
    return (record.definition_hash, record.credentials_hash) == (tool.definition_hash, tool.credentials)


def change_credentials(tool: ToolRecord, *, who: str, why: str, user: AbstractBaseUser | None = None) -> Change:
    """What the tool signs in with is another now: end what was guessed before. The decision stays."""
    with transaction.atomic(durable=True):
        held = locks.hold_tool(tool.pk)
        _step(held, "credentials changed", who, user, why, before=None, after=None)
    return Change(held, None, _give_up_older_jobs(held))


def _refuse_impossible_terms(
    why: str,
    canary_percent: int,
    ttl_seconds: float | None,
    max_parallel: int | None,
    argument_rule: Mapping[str, Any] | None,
) -> None:
    if not why.strip() or unstorable(why):
        raise DecisionRefused("Give the reason, in plain text: whoever reads the audit later needs it.")
    if not 1 <= canary_percent <= 100:
        raise DecisionRefused("A canary takes 1 to 100 % of the sessions.")
    if ttl_seconds is not None and not 0 < ttl_seconds <= LONGEST_TTL_SECONDS:
        raise DecisionRefused(f"A result is kept for more than 0 and at most {LONGEST_TTL_SECONDS} s.")
    if max_parallel is not None and not 1 <= max_parallel <= MOST_PARALLEL:
        raise DecisionRefused(f"1 to {MOST_PARALLEL} speculations of a tool may run at once.")
    if argument_rule is not None:
        _refuse_broken_rule(argument_rule)


def _refuse_broken_rule(argument_rule: Mapping[str, Any]) -> None:
    if why := unstorable(argument_rule):
        raise DecisionRefused(f"The argument rule {why}.")
    try:
        Draft202012Validator.check_schema(argument_rule)
    except SchemaError as problem:
        raise DecisionRefused(f"The argument rule is no JSON Schema: {problem.message}") from problem


def _refuse_impossible_level(tool: ToolRecord, level: str, may_tell_outsiders: bool) -> None:
    if level not in DECIDABLE_LEVELS:
        raise DecisionRefused(f"There is no level {level!r}; there are {', '.join(DECIDABLE_LEVELS)}.")
    if level in RUNNING_LEVELS and tool.effect in WRITING:
        raise DecisionRefused(f"{tool.name} writes: it never runs before it is asked for.")
    if level in RUNNING_LEVELS and tool.open_world and not may_tell_outsiders:
        raise DecisionRefused(
            f"{tool.name} sends its arguments to an outside party. Allow that apart, or choose shadow."
        )


def _step(
    tool: ToolRecord,
    what: str,
    who: str,
    user: AbstractBaseUser | None,
    why: str,
    *,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    **fields: Any,
) -> None:
    """The next policy version, with what changed and who did it. The caller holds the tool's row."""
    fields["policy_version"] = tool.policy_version + 1
    for name, value in fields.items():
        setattr(tool, name, value)
    tool.save(update_fields=fields)
    AuditEntry.objects.create(who=who, user=user, what=f"{what}: {tool}", before=before, after=after, why=why)


def _summary(approval: Approval | None) -> dict[str, Any] | None:
    """An approval as the audit shows it."""
    if approval is None:
        return None
    return {
        "level": str(approval.level),
        "agent": approval.agent.name if approval.agent else None,
        "canary_percent": approval.canary_percent,
        "argument_rule": approval.argument_rule,
        "ttl_seconds": approval.ttl_seconds,
        "max_parallel": approval.max_parallel,
        "expires_at": approval.expires_at.isoformat() if approval.expires_at else None,
        "definition_hash": approval.definition_hash,
    }


def _give_up_older_jobs(tool: ToolRecord) -> int:
    """Preempt or discard what is held under an older policy version. One session's lock at a time, in order of id."""
    older = ToolJob.objects.filter(
        tool=tool, call_id=None, status__in=jobs.HELD, policy_version__lt=tool.policy_version
    )  # fmt: skip
    ended = 0
    for session_id in sorted(set(older.values_list("session_id", flat=True))):
        with events.writing(session_id) as log:
            ended += jobs.drop_speculation(log, "revoked", list(older.filter(session_id=session_id)))
    return ended
