"""Which jobs of a session may answer the calls that were just asked for: their own, and guesses at the same work."""

from collections.abc import Sequence

from speculation import rows
from speculation.asked import AskedCall
from speculation.models import Session, ToolJob

MOST_GUESSES = 8
"""So many guesses at a call are looked at, the newest first: one may be held in an epoch, older ones have ended."""

# As text: composing it anew for every call would cost more than asking it. Results are read only where they are needed.
_COLUMNS = ", ".join(f'"{field.column}"' for field in ToolJob._meta.concrete_fields if field.name != "result")
_KNOWN_JOBS = f"""
SELECT {_COLUMNS} FROM speculation_tooljob
WHERE session_id = %s AND (call_id = ANY(%s) OR call_id IS NULL AND fingerprint = ANY(%s))
ORDER BY call_id NULLS LAST, created_at DESC LIMIT %s
"""


def known_jobs(session: Session, asked: Sequence[AskedCall]) -> list[ToolJob]:
    """The calls' own jobs, then the newest guesses that may answer them; each with the tool of the call it is known for."""
    fingerprints = sorted({fingerprint for call in asked for fingerprint in call.fingerprints})
    call_ids = [call.call_id for call in asked]
    known = rows.read(ToolJob, _KNOWN_JOBS, [session.pk, call_ids, fingerprints, MOST_GUESSES * len(asked)])
    tools = {call.spec.tool.pk: call.spec.tool for call in asked}
    for job in known:
        if job.tool_id in tools:
            job.tool = tools[job.tool_id]
    return known
