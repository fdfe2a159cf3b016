"""The limits that breakers judge by: read for a judgement, changed by an operator, each change audited."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Max, Q
from django.db.models.functions import Coalesce, Now

from speculation.engine.breaking import Kind, Limits, Subject
from speculation.models import AuditEntry, Breaker, BreakerOpening
from speculation.policy import DecisionRefused

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Rules:
    """The limits as they are now: of single subjects, and of every one of a scope."""

    own: Mapping[tuple[Kind, Subject], Limits]
    every: Mapping[tuple[Kind, str], Limits]

    def limits(self, kind: Kind, subjects: Iterable[Subject]) -> dict[Subject, Limits]:
        """Of each subject that has any, its own before those of its scope; without those switched off."""
        found = {one: self.own.get((kind, one)) or self.every.get((kind, one.scope)) for one in subjects}
        return {subject: limits for subject, limits in found.items() if limits is not None and limits.enabled}


def read_rules() -> Rules:
    own: dict[tuple[Kind, Subject], Limits] = {}
    every: dict[tuple[Kind, str], Limits] = {}
    for row in Breaker.objects.order_by():
        limits = Limits(row.limit, row.window_seconds, row.reset_seconds, row.enabled)
        kind, subject = Kind(row.kind), Subject(row.tool_id, row.agent_id)
        if subject.scope == row.scope:
            own[kind, subject] = limits
        else:
            every[kind, row.scope] = limits
    return Rules(own, every)


def last_closings() -> dict[tuple[Kind, Subject], datetime]:
    """An open one counts as closed when its time will be over: until then there is nothing to measure."""
    rows = (
        BreakerOpening.objects.exclude(kind=Kind.PAUSE)
        .filter(Q(closed_at=None) | Q(closed_at__gt=Now() - ONE_DAY))
        .order_by()
        .values("kind", "tool", "agent")
        .annotate(at=Max(Coalesce("closed_at", "open_until")))
    )
    return {(Kind(row["kind"]), Subject(row["tool"], row["agent"])): row["at"] for row in rows}


def adjust(breaker: Breaker, limits: Limits, *, who: str, why: str, user: AbstractBaseUser | None = None) -> Breaker:
    """Store other limits, of a row that is there or of one that is not yet. Raises PolicyError; then nothing is stored."""
    refuse_impossible(breaker, limits, why)
    with transaction.atomic():
        whose = {"kind": breaker.kind, "scope": breaker.scope, "tool": breaker.tool, "agent": breaker.agent}
        stored = Breaker.objects.select_for_update().order_by().filter(**whose).first()
        before = _summary(stored) if stored else None
        row = stored or breaker
        row.limit, row.enabled = limits.limit, limits.enabled
        row.window_seconds, row.reset_seconds = limits.window_seconds, limits.reset_seconds
        row.save()
        AuditEntry.objects.create(
            who=who, user=user, what=f"limits changed: {row}"[:200], before=before, after=_summary(row), why=why
        )
    return row


def refuse_impossible(breaker: Breaker, limits: Limits, why: str) -> None:
    """Raises DecisionRefused where no breaker can go by these."""
    if not why.strip():
        raise DecisionRefused("Give the reason: whoever reads the audit later needs it.")
    numbers = (limits.limit, limits.window_seconds, limits.reset_seconds)
    if not all(isfinite(number) and number > 0 for number in numbers):
        raise DecisionRefused("A limit, a window and a time to reset are numbers above zero.")
    if max(limits.window_seconds, limits.reset_seconds) > ONE_DAY.total_seconds():
        raise DecisionRefused("A window and a time to reset are at most a day.")
    if breaker.kind == Kind.ERRORS and limits.limit > 1:
        raise DecisionRefused("The limit of errors is a share of the runs: 0.5 is half of them.")


def _summary(row: Breaker) -> dict[str, Any]:
    names = ("limit", "window_seconds", "reset_seconds", "enabled")
    return {name: getattr(row, name) for name in names}
