"""Reads that nobody guessed, the most there are: nothing of the session has to be held still to ask them.

Such a call gets its job in one statement (unlocked_log.py), where `scheduler.serve` locks and looks, in ten. A guess that is
made at that very moment has come too late.
"""

from collections.abc import Sequence

from speculation import new_jobs, scheduler
from speculation.asked import AskedCall
from speculation.models import Session, ToolJob
from speculation.unlocked_log import UnlockedLog
from tools.base import SideEffect


def request(session: Session, asked: Sequence[AskedCall]) -> dict[str, ToolJob]:
    """By their ids, those of the calls that have a queued job now. The others are for `serve`: they may change something,
    share state with other sessions, run in place, have a job already or a guess at them; or the session is not as it was seen.
    """
    requested = {call.call_id: job for call in asked if _is_workers_read(call) and (job := _requested(session, call))}
    if requested:
        scheduler.find_places([call for call in asked if call.call_id in requested])
    return requested


def _is_workers_read(call: AskedCall) -> bool:
    return call.spec.effect == SideEffect.NONE and not call.spec.scope and call.spec.pool_id is not None


def _requested(session: Session, call: AskedCall) -> ToolJob | None:
    log = UnlockedLog(session, owned=True)
    log.only_if_unknown(call.call_id, call.fingerprints)
    job = new_jobs.request(log, call.spec, call.call_id)
    scheduler.tell_asked(log, call, job, "requested", call.reason)
    if not log.write():
        return None
    scheduler.enqueue(job)
    return job
