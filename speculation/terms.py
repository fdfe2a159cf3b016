"""What no decision can be: the first thing against it in words, or nothing. Pure."""

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from speculation.effects import needs_declaration, reaches_outside, tells_by_call, veto, warms_by
from speculation.models import ApprovalLevel, ToolRecord
from speculation.storable import unstorable
from speculation.verdicts import LET_SOMETHING_RUN, WRITING
from tools.base import SideEffect

LONGEST_TTL_SECONDS = 86_400
MOST_PARALLEL = 1000
DECIDABLE_LEVELS = tuple(level for level in ApprovalLevel if level != ApprovalLevel.REVIEW)
"""What a person may decide; a tool is sent to review by what it did."""


def offered_levels(tool: ToolRecord) -> tuple[ApprovalLevel, ...]:
    """What a page offers: of a tool that writes its warm-up at most, and that only where it has one."""
    may_run = tool.effect not in WRITING and not needs_declaration(tool) and not veto(tool.definition)
    warming = (ApprovalLevel.TRANSFORMED,) if warms_by(tool) else ()
    running = (ApprovalLevel.CANARY, ApprovalLevel.FULL) if may_run else ()
    return (ApprovalLevel.NEVER, ApprovalLevel.SHADOW, *warming, *running)


def against_reason(why: str) -> str:
    is_said = bool(why.strip()) and not unstorable(why)
    return "" if is_said else "Give the reason, in plain text: whoever reads the audit later needs it."


def against_terms(
    canary_percent: int, ttl_seconds: float | None, max_parallel: int | None, argument_rule: Mapping[str, Any] | None
) -> str:
    if not 1 <= canary_percent <= 100:
        return "A canary takes 1 to 100 % of the sessions."
    if ttl_seconds is not None and not 0 < ttl_seconds <= LONGEST_TTL_SECONDS:
        return f"A result is kept for more than 0 and at most {LONGEST_TTL_SECONDS} s."
    if max_parallel is not None and not 1 <= max_parallel <= MOST_PARALLEL:
        return f"1 to {MOST_PARALLEL} speculations of a tool may run at once."
    return "" if argument_rule is None else against_rule(argument_rule)


def against_rule(argument_rule: Mapping[str, Any]) -> str:
    if why := unstorable(argument_rule):
        return f"The argument rule {why}."
    try:
        Draft202012Validator.check_schema(argument_rule)
    except SchemaError as problem:
        return f"The argument rule is no JSON Schema: {problem.message}"
    return ""


def against_level(tool: ToolRecord, level: str, may_tell_outsiders: bool) -> str:
    if level not in DECIDABLE_LEVELS:
        return f"There is no level {level!r}; there are {', '.join(DECIDABLE_LEVELS)}."
    if level not in LET_SOMETHING_RUN:
        return ""
    if against := _against_warming(tool) if level == ApprovalLevel.TRANSFORMED else _against_running(tool):
        return against
    if reaches_outside(tool) and not may_tell_outsiders:
        return f"{tool.name} sends its arguments to an outside party. Allow that apart, or choose shadow."
    return ""


def _against_running(tool: ToolRecord) -> str:
    if tool.effect in WRITING:
        return f"{tool.name} writes: it never runs before it is asked for."
    if vetoed := veto(tool.definition):
        return f"{tool.name} never runs before it is asked for: {vetoed}."
    if needs_declaration(tool):
        return f"Nobody knows what {tool.name} does. Declare first that it only reads, or choose shadow."
    return ""


def _against_warming(tool: ToolRecord) -> str:
    return "" if warms_by(tool) else f"{tool.name} has no warm-up, so there is nothing of it to run transformed."


def against_declaration(tool: ToolRecord) -> str:
    """What speaks against an approver's word that the tool only reads."""
    if tool.effect != SideEffect.UNKNOWN:
        return f"{tool.name} says itself what it does; there is nothing to declare."
    if tells_by_call(tool):
        return f"{tool.name} tells itself which of its calls only read; there is nothing to declare."
    if vetoed := veto(tool.definition):
        return f"That {tool.name} only reads cannot be declared: {vetoed}."
    return ""
