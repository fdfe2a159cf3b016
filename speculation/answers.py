"""What an agent is told of one call: the payload of `call_returned`, made from the call's ended job. Pure.

Every call ends in exactly one of three: its result, the tool's error (a result that says so), or an unknown outcome.
"""

from typing import Any

from speculation.models import JobStatus, ToolJob
from tools.base import ToolResult

UNKNOWN_OUTCOME = (
    "The outcome of this call is unknown: its worker was lost while it ran, and running it again might do it twice. "
    "Check what has happened before you go on."
)


def turn_of(call_id: str) -> int:
    """The turn that a call of ours belongs to: ids are "turn.index"."""
    return int(call_id.partition(".")[0])


def returned_by(job: ToolJob) -> dict[str, Any]:
    """What an ended job answers to the call whose own it is."""
    assert job.call_id is not None
    if job.status == JobStatus.FAILED:
        return unknown_outcome(job.call_id, job)
    return returned(job.call_id, job.tool.name, ToolResult.from_json(job.result), job)


def unknown_outcome(call_id: str, job: ToolJob) -> dict[str, Any]:
    result = ToolResult(ok=False, content=UNKNOWN_OUTCOME)
    return {**returned(call_id, job.tool.name, result, job), "unknown_outcome": True}


def returned(call_id: str, tool: str, result: ToolResult, job: ToolJob | None = None) -> dict[str, Any]:
    """The payload for a result. `job`: None where nothing ran, because there is no such tool.

    What is no text stays with the job: "attached" says that it is there.
    """
    return {
        "turn": turn_of(call_id),
        "call_id": call_id,
        "tool": tool,
        "job": str(job.pk) if job else None,
        "ok": result.ok,
        "content": result.content,
        "structured": result.structured,
        "unknown_outcome": False,
        **({"attached": True} if result.blocks else {}),
    }
