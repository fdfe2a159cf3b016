"""Jobs looked up on the way of a call: those that may answer it, its own one to be started, and that when it has ended."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from speculation import rows
from speculation.asked import AskedCall
from speculation.models import JobStatus, Session, ToolJob, ToolRecord

ENDED = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.DISCARDED)
"""Statuses in which a call's job is done; discarded where it was a whole that did not give the call its part."""

MOST_GUESSES = 8
"""So many guesses at a call are looked at, the newest first: one may be held in an epoch, older ones have ended."""

# As text: composing it anew for every call would cost more than asking it. Results are read only where they are needed.
_COLUMNS = ", ".join(f'"{field.column}"' for field in ToolJob._meta.concrete_fields if field.name != "result")
_KNOWN_JOBS = f"""
SELECT {_COLUMNS} FROM speculation_tooljob
WHERE session_id = %s AND (call_id = ANY(%s) OR call_id IS NULL AND fingerprint = ANY(%s))
ORDER BY call_id NULLS LAST, created_at DESC LIMIT %s
"""
_TO_START = f"""
SELECT {rows.columns(ToolJob, "job")}, {rows.columns(Session, "session")}, {rows.columns(ToolRecord, "tool")}
FROM speculation_tooljob job JOIN speculation_session session ON session.id = job.session_id
     JOIN speculation_toolrecord tool ON tool.id = job.tool_id
WHERE job.id = %s
"""
_ENDED = f"SELECT {rows.columns(ToolJob)} FROM speculation_tooljob WHERE id = ANY(%s) AND status = ANY(%s)"


def known_jobs(session: Session, asked: Sequence[AskedCall]) -> list[ToolJob]:
    """The calls' own jobs, then the newest guesses that may answer them; each with the tool of the call it is known for."""
    fingerprints = sorted({fingerprint for call in asked for fingerprint in call.fingerprints})
    call_ids = [call.call_id for call in asked]
    known = rows.read(ToolJob, _KNOWN_JOBS, [session.pk, call_ids, fingerprints, MOST_GUESSES * len(asked)])
    return _with_tools(known, asked)


def ended_jobs(waited_for: Mapping[UUID, AskedCall]) -> list[ToolJob]:
    """Those of the calls' jobs that have ended, with their results."""
    statuses = [str(status) for status in ENDED]
    return _with_tools(rows.read(ToolJob, _ENDED, [list(waited_for), statuses]), waited_for.values())


def job_to_start(job_id: UUID) -> ToolJob:
    """The job with its session and its tool. Raises DoesNotExist."""
    for job, job.session, job.tool in rows.read_together((ToolJob, Session, ToolRecord), _TO_START, [job_id]):
        return job
    raise ToolJob.DoesNotExist(f"Job {job_id} is gone.")


def _with_tools(jobs: list[ToolJob], asked: Iterable[AskedCall]) -> list[ToolJob]:
    """Each with the tool of the call it is known for, so that nobody asks for that again."""
    tools = {call.spec.tool.pk: call.spec.tool for call in asked}
    for job in jobs:
        if job.tool_id in tools:
            job.tool = tools[job.tool_id]
    return jobs
