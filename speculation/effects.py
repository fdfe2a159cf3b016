"""What a tool may do to the world: by its own word, by an approver's where it says nothing, and what its server claims.

A server's hints suggest or veto, they never grant: whoever wrote them need not be whom the operator trusts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from speculation.models import ToolRecord
from tools import catalog
from tools.base import SideEffect, Tool, ToolError

HINTS: Mapping[tuple[str, bool], str] = {
    ("readOnlyHint", True): "only reads",
    ("readOnlyHint", False): "changes things",
    ("destructiveHint", True): "may destroy",
    ("destructiveHint", False): "destroys nothing",
    ("openWorldHint", True): "reaches outside",
    ("openWorldHint", False): "stays inside",
}


@dataclass(frozen=True)
class Hint:
    """One thing that the tool's server says of it in its annotations."""

    name: str
    value: bool

    @property
    def words(self) -> str:
        return HINTS[self.name, self.value]


def hints_of(definition: Mapping[str, Any]) -> list[Hint]:
    """Those that were given, and are a plain yes or no."""
    given = definition.get("annotations")
    annotations = given if isinstance(given, Mapping) else {}
    names = dict.fromkeys(name for name, _value in HINTS)
    return [Hint(name, annotations[name]) for name in names if isinstance(annotations.get(name), bool)]


def veto(definition: Mapping[str, Any]) -> str:
    """What the server itself says against running the tool early; empty if nothing."""
    claimed = {hint.name: hint.value for hint in hints_of(definition)}
    if claimed.get("readOnlyHint") is False:
        return "its server says that it changes things"
    if claimed.get("destructiveHint") and not claimed.get("readOnlyHint"):
        return "its server says that it may destroy"
    return ""


def reaches_outside(record: ToolRecord) -> bool:
    """True if its arguments leave this installation, by its policy or by what its server claims."""
    return record.open_world or Hint("openWorldHint", True) in hints_of(record.definition)


def is_declared_reading(record: ToolRecord) -> bool:
    """True if an approver said of this very definition that it only reads."""
    return bool(record.reads_only_by) and record.reads_only_hash == record.definition_hash


def tells_by_call(record: ToolRecord) -> bool:
    """True if the tool itself tells calls that only read from others, as a shell does."""
    try:
        tool = catalog.find(record.server, record.name, record.definition)
    except ToolError:
        return False
    return _tells(tool)


def warms_by(record: ToolRecord) -> str:
    """What the tool's warm-up does, in its own words; empty where it has none, or its code is elsewhere."""
    try:
        return catalog.find(record.server, record.name, record.definition).warms_by
    except ToolError:
        return ""


def _tells(tool: Tool) -> bool:
    return type(tool).effect_of is not Tool.effect_of


def needs_declaration(record: ToolRecord) -> bool:
    """True if nobody knows what it does: then nothing of it runs early before an approver has declared that it reads."""
    return record.effect == SideEffect.UNKNOWN and not is_declared_reading(record) and not tells_by_call(record)


def effect_of_tool(record: ToolRecord, tool: Tool) -> SideEffect:
    """Of the tool as a whole, before a call is known."""
    return _with_word_of_approver(record, tool, tool.policy.effect)


def effect_of_call(record: ToolRecord, tool: Tool, arguments: Mapping[str, Any]) -> SideEffect:
    """Of this very call. An approver's word stands in only where the tool tells nothing of any call."""
    return _with_word_of_approver(record, tool, tool.effect_of(arguments))


def _with_word_of_approver(record: ToolRecord, tool: Tool, told: SideEffect) -> SideEffect:
    stands_in = told == SideEffect.UNKNOWN and not _tells(tool) and is_declared_reading(record)
    return SideEffect.NONE if stands_in else told
