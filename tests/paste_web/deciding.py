"""A tool, who may decide about it, and what is posted."""

from typing import Any

from django.utils import timezone

from speculation import policy
from speculation.models import ToolRecord
from speculation.tool_rows import tool_rows

PAGE = "/tools/builtin/get_order/"


def a_tool() -> ToolRecord:
    return ToolRecord.objects.create(
        name="get_order",
        effect="none",
        definition_hash="a" * 64,
        definition={"description": "Reads \u202eone\u200b order."},
    )


def decision(tool: ToolRecord, **fields: Any) -> dict[str, Any]:
    return {
        "level": "full", "canary_percent": 10, "ttl_seconds": 30, "max_parallel": 2, "days": 90, "why": "reads only",
        "definition_hash": tool.definition_hash, "policy_version": tool.policy_version, **fields,
    }  # fmt: skip


def decide(tool: ToolRecord, level: str = "full", **options: Any) -> None:
    tool.refresh_from_db()
    policy.decide(
        tool, level, who="op1", why="reads only",
        expected_definition_hash=tool.definition_hash, expected_policy_version=tool.policy_version, **options,
    )  # fmt: skip


def chip_of(tool: ToolRecord) -> str:
    tool.refresh_from_db()
    return tool_rows([tool], timezone.now())[0].chip
