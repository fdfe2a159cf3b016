"""Decisions of a test, and what they come to."""

from datetime import UTC, datetime
from typing import Any

from speculation import jobs, policy
from speculation.models import AgentProfile, ToolJob, ToolRecord
from speculation.verdicts import is_speculable, newest_approval
from tests.speculation.conftest import Desk
from tools.base import SideEffect, Tool, ToolContext, ToolPolicy, ToolResult

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)


def decide(tool: ToolRecord, level: str = "full", **options: Any) -> policy.Change:
    tool.refresh_from_db()
    options = {"who": "op1", "why": "reads only", **options}
    options.setdefault("expected_definition_hash", tool.definition_hash)
    options.setdefault("expected_policy_version", tool.policy_version)
    return policy.decide(tool, level, **options)


def verdict_on(tool: ToolRecord, agent: AgentProfile | None = None, **options: Any) -> str:
    """The first reason against, or "" where the call may run early."""
    tool.refresh_from_db()
    options = {"effect": "none", "arguments": {"path": "a"}, "pool": None, "canary_draw": 0.0, "now": NOW, **options}
    verdict = is_speculable(tool, newest_approval(tool, agent), **options)
    assert verdict.allowed or verdict.reason
    return "" if verdict.allowed else verdict.reason


class Reader(Tool):
    name = "reader"
    description = "Reads."
    parameters = {"type": "object"}
    policy = ToolPolicy(effect=SideEffect.NONE, expected_seconds=2.5)

    def run(self, arguments: Any, context: ToolContext) -> ToolResult:
        return ToolResult(True, "read")


class ChangedReader(Reader):
    description = "Reads, and tells a friend."


def succeed(desk: Desk, job: ToolJob) -> None:
    assert desk.start(job) and desk.move(jobs.commit, job, attempt=1, result=ToolResult(True, "read"))


def hold_one_of_each(desk: Desk) -> list[ToolJob]:
    """Speculations queued, running and succeeded, then a running one that a call has joined."""
    held = [desk.speculate(path) for path in ("queued", "running", "succeeded", "joined")]
    succeed(desk, held[2])
    assert desk.start(held[1]) and desk.start(held[3]) and desk.promote(held[3], "1.0")
    return held
