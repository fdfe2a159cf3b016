"""What a tool's page shows of it, whoever asked and whatever was typed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.utils import timezone

from paste_web import tool_words
from paste_web.definition_diff import as_text, diff
from paste_web.pages.tools import MAY_DECIDE, MAY_SWITCH
from paste_web.plain_text import reveal
from paste_web.session_view import may_read_payloads
from speculation.argument_rows import argument_rows
from speculation.argument_trial import programs_that_only_read
from speculation.breakers_limits import read_rules
from speculation.canaries import AT_ONCE, AT_THE_SECOND
from speculation.definitions import definition_of
from speculation.effects import is_declared_reading, needs_declaration, tells_by_call, veto
from speculation.engine.breaking import Subject
from speculation.models import AuditEntry, BreakerKind, ToolRecord
from speculation.prices import CHANGED
from speculation.shadow_savings import would_save_of
from speculation.tool_evidence import Evidence, evidence, recent_calls
from speculation.tool_rows import ToolRow, tool_rows
from speculation.warm_ups import warm_ups_of

MOST_HISTORY = 50
User = AbstractBaseUser | AnonymousUser


def tool_context(record: ToolRecord, user: User, seen: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`seen`: the version and definition that an outdated decision was about."""
    now = timezone.now()
    row, worth, week = tool_rows([record], now)[0], would_save_of(record, now), evidence(record, now)
    warm_ups = warm_ups_of(record, now)
    return {
        "row": row,
        "tool": record,
        "verdict": tool_words.verdict(row, worth, week, warm_ups),
        "warm_ups": warm_ups,
        "week": week,
        "worth": worth,
        "window": _window(week),
        "calls": recent_calls(record),
        "arguments": argument_rows(record),
        **_what_it_is(record, row),
        **_since(record, seen),
        "budgets": _budgets(record),
        "may_read": may_read_payloads(user),
        "may_switch": user.has_perm(MAY_SWITCH),
        "may_decide": user.has_perm(MAY_DECIDE),
    }


@dataclass(frozen=True)
class WindowBar:
    label: str
    seconds: float
    percent: float
    tone: str


def _window(week: Evidence) -> list[WindowBar]:
    """The tool's run against what a turn's decoding can hide, on one scale; empty where either is not known."""
    if not week.run_seconds or week.decode_seconds is None:
        return []
    widest = max(week.run_seconds, week.decode_seconds) / 100
    return [
        WindowBar("a run takes", week.run_seconds, round(week.run_seconds / widest, 1), "run"),
        WindowBar("a turn decodes", week.decode_seconds, round(week.decode_seconds / widest, 1), "decode"),
    ]


def _what_it_is(record: ToolRecord, row: ToolRow) -> dict[str, Any]:
    return {
        "description": reveal(str(record.definition.get("description", ""))),
        "definition": as_text(record.definition),
        "pinned": _pinned_change(record, row),
        "is_declared": is_declared_reading(record),
        "needs_declaration": needs_declaration(record),
        "tells_by_call": tells_by_call(record),
        "vetoed": veto(record.definition),
        "programs": programs_that_only_read(record),
    }


def _pinned_change(record: ToolRecord, row: ToolRow) -> dict[str, Any] | None:
    """The newest decision that stands, where it is about another definition; `lines`: None where that is not known."""
    outdated = [one for one in row.standing if one.definition_hash != record.definition_hash]
    if not outdated:
        return None
    before = definition_of(record, outdated[0].definition_hash)
    return {"approval": outdated[0], "lines": None if before is None else diff(before, record.definition)}


def _since(record: ToolRecord, seen: Mapping[str, Any] | None) -> dict[str, Any]:
    """The tool's history, and what of it came after it was read."""
    suffix = f": {record}"
    history = AuditEntry.objects.filter(what__endswith=suffix).defer("before")
    told = {"suffix": suffix, "history": history[:MOST_HISTORY], "seen": seen}
    if seen is None:
        return told
    stepping = history.exclude(what__startswith=CHANGED)  # a price steps no version
    is_changed = seen["definition_hash"] != record.definition_hash
    before = definition_of(record, seen["definition_hash"]) if is_changed else None
    return {
        **told,
        "definition_changed": is_changed,
        "seen_lines": None if before is None else diff(before, record.definition),
        "since": stepping[: min(MOST_HISTORY, max(0, record.policy_version - seen["policy_version"]))],
    }


def _budgets(record: ToolRecord) -> list[tuple[BreakerKind, Any]]:
    """The limits that a canary is rolled back by; the scheduler's page changes them."""
    rules, subject = read_rules(), Subject(tool=record.pk)
    found = {kind: rules.limits(kind, [subject]).get(subject) for kind in (*AT_THE_SECOND, *AT_ONCE)}
    return [(BreakerKind(kind), limits) for kind, limits in found.items() if limits is not None]
