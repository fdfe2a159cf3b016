"""Row locks, always in this order: tool, pool, session, job. Only the pool's holder may lock several sessions.

All are FOR NO KEY UPDATE: a stronger lock on the pool would stop the insert of a job by whoever holds a session, since
the job's foreign key asks for FOR KEY SHARE, and the pool's holder may be waiting for that very session.

The session's lock is taken by events.writing; a job's by its conditional UPDATE.
"""

from collections.abc import Iterable

from speculation.models import ToolRecord, WorkerPool


def share_tools(tool_ids: Iterable[int]) -> dict[int, ToolRecord]:
    """Tools whose policy cannot change until this transaction ends (FOR SHARE, which Django has no word for)."""
    rows = ToolRecord.objects.raw(
        "SELECT * FROM speculation_toolrecord WHERE id = ANY(%s) ORDER BY id FOR SHARE", [sorted(set(tool_ids))]
    )
    return {tool.pk: tool for tool in rows}


def hold_tool(tool_id: int) -> ToolRecord:
    """The tool, locked against every reader of its policy: for whoever changes a decision."""
    return ToolRecord.objects.select_for_update(no_key=True).get(pk=tool_id)


def hold_pool(name: str) -> WorkerPool:
    """The pool, locked: whoever holds it may count slots, admit and preempt."""
    return WorkerPool.objects.select_for_update(no_key=True).get(pk=name)
