"""An operator's pause: of one agent, or of all speculation. A single tool has its switch (policy.py)."""

from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from speculation.breakers_opening import UNFINISHED, enforce, give_up, hold_pools, insert
from speculation.engine.breaking import Kind, Subject
from speculation.giving_up import GivenUp
from speculation.models import AgentProfile, AuditEntry, WorkerPool


def pause_agent(agent: AgentProfile, *, who: str, why: str, user: AbstractBaseUser | None = None) -> GivenUp | None:
    """Stop speculation of one agent until someone resumes it. None if it was paused already."""
    subject = Subject(agent=agent.pk)
    opening = insert(kind=Kind.PAUSE, subject=subject, who=who, user=user, reason=_paused_by(who, why))
    return enforce(opening) if opening is not None else None


def pause_all(is_paused: bool, *, who: str, why: str = "", user: AbstractBaseUser | None = None) -> GivenUp | None:
    """Stop or resume all speculation. None if it was so already."""
    reason = _paused_by(who, why) if is_paused else ""
    with transaction.atomic(durable=True):
        hold_pools()
        moved = WorkerPool.objects.filter(is_paused=not is_paused).update(
            is_paused=is_paused, pause_reason=reason[:500]
        )
        if not moved:
            return None
        what = f"speculation {'paused' if is_paused else 'resumed'}: all speculation"
        entry = AuditEntry.objects.create(
            who=who, user=user, what=what, before={"paused": not is_paused}, after={"paused": is_paused}, why=why
        )
    return give_up_all(entry.at) if is_paused else GivenUp(at=entry.at)


def give_up_all(at: datetime | None = None) -> GivenUp:
    """Stop every guess that is queued or running, once speculation is paused."""
    return give_up(Subject(), UNFINISHED, "paused", at)


def _paused_by(who: str, why: str) -> str:
    return f"paused by {who}: {why}" if why else f"paused by {who}"
