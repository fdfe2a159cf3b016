"""Which tools may be speculated, and who decided it. verdicts.py is the check that asks.

A decision says that a tool *may* run before it is asked for; the switch says whether it *does* now. Every change is one
transaction that holds the tool's row: the approval or the flag, the next policy version and the audit entry. Jobs of an
older version can no longer start or be served from that commit on; then they are given up, session by session.

Errors::

    PolicyError
    ├── DecisionOutdated   the definition or the policy version moved since it was read; nothing was stored
    └── DecisionRefused    no such decision can be: no reason, a tool that writes, a rule that is no JSON Schema
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models.functions import Now

from speculation import jobs, locks
from speculation.decisions import newest_decisions, standing_ones
from speculation.giving_up import give_up
from speculation.models import AgentProfile, Approval, ApprovalLevel, AuditEntry, ToolJob, ToolRecord
from speculation.terms import against_declaration, against_level, against_reason, against_terms
from speculation.verdicts import LET_SOMETHING_RUN, newest_approval
from tools.base import Tool

_DECLARED_NOTHING = {"reads_only_by": "", "reads_only_hash": ""}


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
    """What a decision, revocation or switch did.

    `ended`: held speculations that were given up. `stopping`: those of them that a worker was running; it lets go as
    soon as it can (endings.py). `at`: when the change began, by the database's clock; None where nothing changed.
    """

    tool: ToolRecord
    approval: Approval | None
    ended: int = 0
    stopping: Sequence[UUID] = ()
    at: datetime | None = None


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
    may_tell_new_values: bool = False,
) -> Change:
    """Store a decision about the tool as it was read. Raises DecisionOutdated, DecisionRefused; then nothing is stored.

    `may_tell_outsiders`: said apart for an open-world tool, whose arguments reach an outside party before the model asked.
    `may_tell_new_values`: even what the session has not exchanged with that server before.
    """
    with transaction.atomic(durable=True):
        held = locks.hold_tool(tool.pk)
        _refuse_outdated(held, expected_definition_hash, expected_policy_version)
        _refuse(against_reason(why))
        _refuse(against_terms(canary_percent, ttl_seconds, max_parallel, argument_rule))
        _refuse(against_level(held, level, may_tell_outsiders))
        before = newest_approval(held, agent)
        approval = _store(
            held,
            level,
            agent=agent,
            canary_percent=canary_percent,
            argument_rule=argument_rule,
            ttl_seconds=ttl_seconds,
            max_parallel=max_parallel,
            expires_at=expires_at,
            may_tell_new_values=may_tell_new_values,
            user=user,
            who=who,
            why=why,
        )
        after = {**_summary(approval), "may_tell_outsiders": may_tell_outsiders}
        taken_back = _DECLARED_NOTHING if level == ApprovalLevel.NEVER and agent is None else {}
        entry = _step(held, "decided", who, user, why, before=_summary(before), after=after, **taken_back)
    return _give_up_older_jobs(held, approval, entry)


def revoke(tool: ToolRecord, *, who: str, why: str, user: AbstractBaseUser | None = None) -> Change:
    """Refuse the tool for every agent, whatever it is now, and give up what was held."""
    with transaction.atomic(durable=True):
        held = locks.hold_tool(tool.pk)
        before = newest_approval(held, None)
        approval = _store(held, ApprovalLevel.NEVER, user=user, who=who, why=why)
        after = _summary(approval)
        entry = _step(held, "revoked", who, user, why, before=_summary(before), after=after, **_DECLARED_NOTHING)
    return _give_up_older_jobs(held, approval, entry)


def declare_reads_only(
    tool: ToolRecord,
    *,
    who: str,
    why: str,
    expected_definition_hash: str,
    expected_policy_version: int,
    user: AbstractBaseUser | None = None,
) -> Change:
    """Keep an approver's word that a tool of unknown effect only reads, for this definition. Errors as of `decide`.

    Lets nothing run early by itself. A revocation, or a never for all agents, takes it back.
    """
    with transaction.atomic(durable=True):
        held = locks.hold_tool(tool.pk)
        _refuse_outdated(held, expected_definition_hash, expected_policy_version)
        _refuse(against_reason(why))
        _refuse(against_declaration(held))
        declared = {"reads_only_by": who, "reads_only_hash": held.definition_hash}
        entry = _step(
            held, "declared to read only", who, user, why,
            before={"effect": held.effect}, after={"effect": "reads only, declared by an approver"}, **declared,
        )  # fmt: skip
    return _give_up_older_jobs(held, None, entry)


def switch(tool: ToolRecord, on: bool, *, who: str, why: str = "", user: AbstractBaseUser | None = None) -> Change:
    """The operator's switch: off ends speculation now and keeps the decision; on enables a decision that still holds."""
    with transaction.atomic(durable=True):
        held = locks.hold_tool(tool.pk)
        if held.enabled == on:
            return Change(held, None)
        reason = "" if on else f"switched off by {who}: {why}" if why else f"switched off by {who}"
        before, after = {"enabled": held.enabled}, {"enabled": on}
        entry = _step(
            held, "switched on" if on else "switched off", who, user, why,
            before=before, after=after, enabled=on, disabled_reason=reason[:500],
        )  # fmt: skip
    return _give_up_older_jobs(held, None, entry)


def send_to_review(tool: ToolRecord, why: str) -> Change | None:
    """Take back a decision that lets the tool run early, until someone decides anew. None where there was none."""
    with transaction.atomic(durable=True):
        held = locks.hold_tool(tool.pk)
        before = _newest_that_runs(held)
        if before is None:
            return None
        approval = _store(held, ApprovalLevel.REVIEW, who="system", why=why)
        after = _summary(approval)
        entry = _step(held, "sent to review", "system", None, why, before=_summary(before), after=after)
    return _give_up_older_jobs(held, approval, entry)


def roll_back_canary(tool: ToolRecord, why: str) -> Change | None:
    """Send every canary of the tool to review, each for whom it was. None where there is none.

    The review of one for all agents ends what was decided for single ones, as any newer decision for all does.
    """
    with transaction.atomic(durable=True):
        held = locks.hold_tool(tool.pk)
        canaries = [one for one in reversed(_standing(held)) if one.level == ApprovalLevel.CANARY]
        for before in canaries:
            approval = _store(held, ApprovalLevel.REVIEW, agent=before.agent, who="system", why=why)
            after = _summary(approval)
            entry = _step(held, "canary rolled back", "system", None, why, before=_summary(before), after=after)
        if not canaries:
            return None
    return _give_up_older_jobs(held, approval, entry)


def _standing(tool: ToolRecord) -> list[Approval]:
    """The decisions that count for somebody, newest first."""
    return standing_ones(newest_decisions([tool])[tool.pk])


def _newest_that_runs(tool: ToolRecord) -> Approval | None:
    """The newest decision that still lets some agent run the tool early."""
    return next((one for one in _standing(tool) if one.level in LET_SOMETHING_RUN), None)


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
            before = {"definition": held.definition, "definition_hash": held.definition_hash}
            after = {"definition": tool.definition, "definition_hash": tool.definition_hash}
            _step(
                held, "definition changed", "system", None, "Registered with another definition than before.",
                before=before, after=after, changed_at=Now(), **declared,
            )  # fmt: skip
    _give_up_older_jobs(held, None, None)
    held.refresh_from_db()
    return held


def _is_as_registered(record: ToolRecord, tool: Tool) -> bool:
    return (record.definition_hash, record.credentials_hash) == (tool.definition_hash, tool.credentials)


def change_credentials(tool: ToolRecord, *, who: str, why: str, user: AbstractBaseUser | None = None) -> Change:
    """What the tool signs in with is another now: end what was guessed before. The decision stays."""
    with transaction.atomic(durable=True):
        held = locks.hold_tool(tool.pk)
        entry = _step(held, "credentials changed", who, user, why, before=None, after=None)
    return _give_up_older_jobs(held, None, entry)


def _refuse(against: str) -> None:
    if against:
        raise DecisionRefused(against)


def _refuse_outdated(tool: ToolRecord, expected_definition_hash: str, expected_policy_version: int) -> None:
    if (tool.definition_hash, tool.policy_version) != (expected_definition_hash, expected_policy_version):
        raise DecisionOutdated(tool)


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
) -> AuditEntry:
    """The next policy version, with what changed and who did it. The caller holds the tool's row."""
    fields["policy_version"] = tool.policy_version + 1
    for name, value in fields.items():
        setattr(tool, name, value)
    tool.save(update_fields=fields)
    return AuditEntry.objects.create(who=who, user=user, what=f"{what}: {tool}", before=before, after=after, why=why)


def _store(tool: ToolRecord, level: str, **terms: Any) -> Approval:
    """A decision about the tool as it is. The caller holds the tool's row."""
    return Approval.objects.create(
        tool=tool, definition_hash=tool.definition_hash, definition=tool.definition, level=level, **terms
    )


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
        "may_tell_new_values": approval.may_tell_new_values,
        "definition_hash": approval.definition_hash,
    }


def _give_up_older_jobs(tool: ToolRecord, approval: Approval | None, entry: AuditEntry | None) -> Change:
    """Preempt or discard what is held under an older policy version."""
    older = ToolJob.objects.filter(
        tool=tool, call_id=None, status__in=jobs.HELD, policy_version__lt=tool.policy_version
    )  # fmt: skip
    given_up = give_up(older, "revoked", entry.at if entry else None)
    return Change(tool, approval, given_up.ended, given_up.stopping, given_up.at)
