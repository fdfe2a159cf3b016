"""Row locks, always in this order: tool, scope, pool, session, job. Only the pool's holder may lock several sessions.

All are FOR NO KEY UPDATE: a stronger lock on the pool would stop the insert of a job by whoever holds a session, since
the job's foreign key asks for FOR KEY SHARE, and the pool's holder may be waiting for that very session.

The session's lock is taken by events.writing; a job's by its conditional UPDATE.
"""

from collections.abc import Iterable

from speculation import rows
from speculation.models import ToolRecord, WorkerPool

# Whoever shares a row lets later sharers in past somebody who waits to change it, for seconds when there are many: a
# revocation would come too late. Advisory locks queue fairly; the function is evaluated before the row is locked.
_TURN = 7_104_003
_SHARE_TOOLS = f"""
SELECT {rows.columns(ToolRecord)}, pg_advisory_xact_lock_shared(%s, id::int) AS turn FROM speculation_toolrecord
WHERE id = ANY(%s) ORDER BY id FOR SHARE
"""
_HOLD_TOOL = f"""
SELECT {rows.columns(ToolRecord)}, pg_advisory_xact_lock(%s, id::int) AS turn FROM speculation_toolrecord
WHERE id = %s FOR NO KEY UPDATE
"""


def share_tools(tool_ids: Iterable[int]) -> dict[int, ToolRecord]:
    """Tools whose policy cannot change until this transaction ends."""
    wanted = sorted(set(tool_ids))
    return {tool.pk: tool for tool in rows.read(ToolRecord, _SHARE_TOOLS, [_TURN, wanted])} if wanted else {}


def hold_tool(tool_id: int) -> ToolRecord:
    """The tool, locked against every reader of its policy: for whoever changes a decision. Raises DoesNotExist."""
    for tool in rows.read(ToolRecord, _HOLD_TOOL, [_TURN, tool_id]):
        return tool
    raise ToolRecord.DoesNotExist


def hold_pool(name: str) -> WorkerPool:
    """The pool, locked: whoever holds it may count slots, admit and preempt."""
    return WorkerPool.objects.select_for_update(no_key=True).get(pk=name)


def share_scopes(names: Iterable[str]) -> dict[str, int]:
    """Epochs of shared states that no call starts or ends changing until this transaction ends. Empty names are none."""
    return _lock_scopes(names, "SHARE")


def hold_scopes(names: Iterable[str]) -> dict[str, int]:
    """The same, for whoever starts or ends a change of them."""
    return _lock_scopes(names, "NO KEY UPDATE")


def _lock_scopes(names: Iterable[str], strength: str) -> dict[str, int]:
    wanted = sorted(set(names) - {""})
    if not wanted:
        return {}
    select = f"SELECT name, epoch FROM speculation_resourcescope WHERE name = ANY(%s) ORDER BY name FOR {strength}"
    with rows.cursor() as cursor:
        cursor.execute(select, [wanted])
        found = dict(cursor.fetchall())
        if len(found) < len(wanted):
            insert = "INSERT INTO speculation_resourcescope SELECT unnest(%s::text[]), 0 ON CONFLICT DO NOTHING"
            cursor.execute(insert, [wanted])
            cursor.execute(select, [wanted])
            found = dict(cursor.fetchall())
    return found
