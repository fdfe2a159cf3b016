"""THE STATE MACHINE: the sole writer of a job's status and call_id.

Jobs are made in new_jobs.py. Every verb takes a `SessionLog`: the session's row is locked, so its epoch is certain, and the move, the epoch's step and
the event are one transaction. An `UnlockedLog` makes them one statement, for `start` and `commit` of a call that only reads. `MOVES` says from where to where; each verb adds the guards of its own. The database
decides races: a move is one conditional UPDATE whose WHERE is the rule and whose row count is the verdict. A guard names
columns of the job's own row only: one that joins is rewritten as `id IN (SELECT ...)`, which is not re-checked after
waiting for a lock.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import F, Q, Value
from django.db.models.fields import DateTimeField
from django.db.models.functions import Cast, Coalesce, Now

from speculation import answers, events, locks
from speculation.events import SessionLog
from speculation.models import JobStatus, ToolJob
from tools.base import SideEffect, ToolResult

POOL = "tools"
"""The pool of slots that tools run in."""
LEASE_SECONDS = 10.0
MOST_ATTEMPTS = 3
ERROR_ANSWER = "error answer"
"""Why a guess ended as failed whose tool did its work: there is no such record, no such file. The guess was wrong."""


class Move(NamedTuple):
    frm: tuple[str, ...]
    to: str | None  # None: the status stays
    event: str


MOVES: Mapping[str, Move] = {
    "start": Move((JobStatus.QUEUED,), JobStatus.RUNNING, "job_started"),
    "commit": Move((JobStatus.RUNNING,), JobStatus.SUCCEEDED, "job_ended"),
    "fail": Move((JobStatus.RUNNING,), JobStatus.FAILED, "job_ended"),
    "retry_lost": Move((JobStatus.RUNNING,), JobStatus.QUEUED, "job_retried"),
    "retry_joined": Move((JobStatus.RUNNING,), JobStatus.QUEUED, "job_retried"),
    "promote": Move((JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.SUCCEEDED), None, "call_asked"),
    "preempt": Move((JobStatus.QUEUED, JobStatus.RUNNING), JobStatus.PREEMPTED, "job_preempted"),
    "outbid": Move((JobStatus.QUEUED,), JobStatus.PREEMPTED, "job_preempted"),
    "withdraw": Move((JobStatus.QUEUED,), JobStatus.FAILED, "job_ended"),
    "discard": Move((JobStatus.SUCCEEDED,), JobStatus.DISCARDED, "job_discarded"),
    "give_back": Move((JobStatus.SUCCEEDED, JobStatus.FAILED), JobStatus.DISCARDED, "job_discarded"),
}

HELD = (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.SUCCEEDED)
"""Statuses of a speculation that may still serve a call."""


def _move(log: SessionLog, job: ToolJob, verb: str, *guards: Q, **fields: Any) -> bool:
    """True for exactly one caller: the WHERE clause is the rule, the row count is the verdict."""
    move = MOVES[verb]
    if move.to is not None:
        fields["status"] = move.to
    return log.move(job, Q(status__in=move.frm), *guards, fields=fields)


def in_seconds(seconds: float) -> Any:
    """The database's clock `seconds` from now."""
    return Cast(Now() + Value(timedelta(seconds=seconds)), DateTimeField())


@contextmanager
def moving(job: ToolJob) -> Iterator[SessionLog]:
    """The locks for a move of this job: of the shared state that it changes, if any, then of its session."""
    with transaction.atomic():
        scopes = locks.hold_scopes([job.scope]) if job.scope and job.effect != SideEffect.NONE else {}
        with events.writing(job.session_id, scopes=scopes) as log:
            yield log


def start(log: SessionLog, job: ToolJob, *, attempt: int, worker: str, policy_version: int) -> bool:
    """queued -> running, for the one worker whose message carries this attempt.

    A speculation starts only in its own epoch, in time, and under the policy it was admitted with; since it is made in
    even epochs only, none starts while the world changes. A call that may change something steps the epoch here, and
    that of the state it shares. `policy_version`: the tool's, of no matter where somebody asked for the job.
    """
    asked = Q(call_id__isnull=False)
    still_wanted = Q(start_before__gt=Now(), epoch=log.session.epoch, policy_version=policy_version)
    started = _move(
        log,
        job,
        "start",
        Q(attempt=attempt),
        asked | still_wanted & _unchanged(log, job),
        attempt=attempt + 1,
        worker=worker,
        started_at=Now(),
        ended_at=None,
        lease_until=in_seconds(LEASE_SECONDS),
        expires_at=Cast(Now() + F("ttl_seconds") * Value(timedelta(seconds=1)), DateTimeField()),
    )
    if started:
        tell_started(log, job)
    return started


def tell_started(log: SessionLog, job: ToolJob) -> None:
    """What follows from a start beside the row."""
    if job.effect != SideEffect.NONE and job.call_id:
        drop_speculation(log, "invalidated")
        log.begin_change(job.call_id, job.scope)
    log.append("job_started", job=str(job.pk), attempt=job.attempt)


def _unchanged(log: SessionLog, job: ToolJob) -> Q:
    """The shared state that the job read, or is to read, is as it was when the job was made."""
    return Q(scope_epoch=log.scopes[job.scope]) if job.scope and job.scope in log.scopes else Q(scope="")


def renew(job_id: Any, attempt: int) -> bool:
    """Keep a running job's lease; False means: it is no longer ours, stop."""
    return (
        ToolJob.objects.filter(pk=job_id, attempt=attempt, status=JobStatus.RUNNING).update(
            lease_until=in_seconds(LEASE_SECONDS)
        )
        == 1
    )


def commit(
    log: SessionLog, job: ToolJob, *, attempt: int, result: ToolResult, processor_seconds: float | None = None
) -> bool:
    """running -> succeeded with a result. False: preempted or superseded meanwhile, drop the result."""
    measured = {} if processor_seconds is None else {"processor_seconds": processor_seconds}
    return _end(log, job, "commit", attempt, ok=result.ok, result=result.to_json(), **measured)


def fail(log: SessionLog, job: ToolJob, *, attempt: int, error: str, reason: str = "failed") -> bool:
    """running -> failed: no result. For a call: its outcome is unknown."""
    return _end(log, job, "fail", attempt, ok=False, error=error, end_reason=reason)


def fail_unasked(log: SessionLog, job: ToolJob, *, attempt: int, error: str, reason: str = "failed") -> bool:
    """running -> failed, if nobody asked for it: the error of a guess is no answer to anything."""
    return _end(log, job, "fail", attempt, Q(call_id=None), ok=False, error=error, end_reason=reason)


def fail_lost(log: SessionLog, job: ToolJob) -> bool:
    """running -> failed: the worker is gone and the call must not run again. Its outcome is unknown."""
    is_lost = Q(lease_until__lte=Now())
    reason = "worker lost"
    return _end(log, job, "fail", job.attempt, is_lost, ok=False, error=reason, end_reason=reason)


def _end(log: SessionLog, job: ToolJob, verb: str, attempt: int, *guards: Q, ok: bool, **fields: Any) -> bool:
    """The end of a run, and in the same transaction what its call is told, if the job is that call's own."""
    ended = _move(log, job, verb, Q(attempt=attempt), *guards, ended_at=Now(), **fields)
    if ended:
        if job.effect != SideEffect.NONE and job.call_id:
            log.end_change(job.call_id, job.scope, is_over=not _others_change(job))
        tell_ended(log, job, ok=ok)
        log.notify(job.pk)
    return ended


def tell_ended(log: SessionLog, job: ToolJob, *, ok: bool) -> None:
    """The end of a run, and what its call is told, if the job is that call's own."""
    run_seconds = (job.ended_at - job.started_at).total_seconds() if job.started_at and job.ended_at else None
    log.append(
        "job_ended",
        job=str(job.pk),
        status=str(job.status),
        ok=ok,
        run_seconds=run_seconds,
        speculative=job.is_speculative,
    )
    if job.call_id and not job.in_part and not log.session.has_ended:
        log.append("call_returned", **answers.returned_by(job))


def _others_change(job: ToolJob) -> bool:
    """Another call of the session that may change something runs, or is to be run again."""
    others = ToolJob.objects.filter(session=job.session_id, call_id__isnull=False).exclude(pk=job.pk)
    unfinished = Q(status=JobStatus.RUNNING) | Q(status=JobStatus.QUEUED, attempt__gt=0)
    return others.filter(unfinished).exclude(effect=SideEffect.NONE).exists()


def retry_lost(log: SessionLog, job: ToolJob) -> bool:
    """running -> queued: its worker is gone, somebody waits for it, and running it again does no harm.

    What ran in place is for the tools workers now: whoever owned the session may be gone as well.
    """
    moved = _move(
        log,
        job,
        "retry_lost",
        Q(call_id__isnull=False, lease_until__lte=Now(), attempt__lt=MOST_ATTEMPTS),
        Q(effect__in=[effect for effect in SideEffect if effect.may_repeat]),
        pool_id=Coalesce("pool_id", Value(POOL)),
        lease_until=None,
        enqueued_at=Now(),
    )
    if moved:
        log.append("job_retried", job=str(job.pk), reason="worker lost")
    return moved


def retry_joined(log: SessionLog, job: ToolJob, *, attempt: int) -> bool:
    """running -> queued, once: a call had joined a guess that came to nothing; it gets a run of its own."""
    moved = _move(
        log,
        job,
        "retry_joined",
        Q(call_id__isnull=False, promoted_at__isnull=False, attempt=attempt) & Q(attempt=1),
        lease_until=None,
        enqueued_at=Now(),
    )
    if moved:
        log.append("job_retried", job=str(job.pk), reason="joined run failed")
    return moved


def promote(
    log: SessionLog, job: ToolJob, call_id: str, *, policy_version: int, in_part: bool = False
) -> bool:
    """The agent asked for exactly this, or for a part of it: the job is its call's from now on. Nothing is copied.

    The epoch's equality also forbids it while the world changes: speculations belong to even epochs. Shared state
    must be unchanged as well. `in_part`: what the call is told has to be cut out of the result.
    """
    promoted = _move(
        log,
        job,
        "promote",
        Q(call_id__isnull=True, transformed=False, epoch=log.session.epoch, policy_version=policy_version),
        Q(expires_at__isnull=True) | Q(expires_at__gt=Now()),
        _unchanged(log, job),
        call_id=call_id,
        in_part=in_part,
        promoted_at=Now(),
        start_before=None,
    )
    if promoted and job.status == JobStatus.RUNNING:
        log.notify(job.pk)  # its worker: it runs for somebody now
    return promoted


def withdraw(log: SessionLog, job: ToolJob) -> bool:
    """queued -> failed: the session that asked for it has ended, so nobody wants the call any more. It never started."""
    moved = _move(
        log, job, "withdraw", Q(call_id__isnull=False), ended_at=Now(), error="session ended", end_reason="session ended"
    )
    if moved:
        log.append("job_ended", job=str(job.pk), status=str(job.status), ok=False, run_seconds=0.0, speculative=False)
    return moved


def preempt(log: SessionLog, job: ToolJob, reason: str) -> bool:
    """queued or running -> preempted, if nobody asked for it. The row is given up at once; its worker lets go later."""
    return _give_up(log, job, "preempt", reason)


def outbid(log: SessionLog, job: ToolJob) -> bool:
    """queued -> preempted, if nobody asked for it: a better guess takes its slot. One that runs keeps it."""
    return _give_up(log, job, "outbid", "replaced by a better guess")


def _give_up(log: SessionLog, job: ToolJob, verb: str, reason: str) -> bool:
    moved = _move(log, job, verb, Q(call_id__isnull=True), end_reason=reason)
    if moved:
        if job.started_at is None:  # no worker has it, so nothing has to let go
            ToolJob.objects.filter(pk=job.pk).update(ended_at=Now())
        log.append("job_preempted", job=str(job.pk), reason=reason)
        log.notify(job.pk)
    return moved


def release(log: SessionLog, job: ToolJob, *, attempt: int) -> bool:
    """The worker of a preempted job has let go of its slot."""
    released = (
        ToolJob.objects.filter(pk=job.pk, status=JobStatus.PREEMPTED, attempt=attempt, ended_at=None).update(
            ended_at=Now()
        )
        == 1
    )
    if released:
        log.append("job_released", job=str(job.pk))
    return released


def discard(log: SessionLog, job: ToolJob, reason: str) -> bool:
    """succeeded -> discarded, if nobody asked for it."""
    moved = _move(log, job, "discard", Q(call_id__isnull=True), end_reason=reason)
    if moved:
        log.append("job_discarded", job=str(job.pk), reason=reason)
    return moved


def give_back(log: SessionLog, job: ToolJob, reason: str) -> bool:
    """succeeded or failed -> discarded: the call that joined it cannot be answered from it, and is free for a run of its own.

    Only for a promoted job, which can only read; one that was requested is its call's, whatever came of it.
    """
    moved = _move(
        log,
        job,
        "give_back",
        Q(call_id__isnull=False, promoted_at__isnull=False, in_part=True, effect=SideEffect.NONE),
        call_id=None,
        in_part=False,
        promoted_at=None,
        end_reason=reason,
    )
    if moved:
        log.append("job_discarded", job=str(job.pk), reason=reason)
        log.notify(job.pk)
    return moved


def drop_speculation(log: SessionLog, reason: str, jobs: Sequence[ToolJob] | None = None) -> int:
    """Give up held speculations of the session (all, or these). Returns how many ended."""
    held = jobs if jobs is not None else ToolJob.objects.filter(session=log.session, call_id=None, status__in=HELD)
    return sum(
        discard(log, job, reason) if job.status == JobStatus.SUCCEEDED else preempt(log, job, reason) for job in held
    )
