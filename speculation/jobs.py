"""THE STATE MACHINE: the sole writer of a job's status and call_id.

Every verb takes a `SessionLog`: the session's row is locked, so its epoch is certain, and the move, the epoch's step and
the event are one transaction. `MOVES` says from where to where; each verb adds the guards of its own. The database
decides races: a move is one conditional UPDATE whose WHERE is the rule and whose row count is the verdict. A guard names
columns of the job's own row only: one that joins is rewritten as `id IN (SELECT ...)`, which is not re-checked after
waiting for a lock.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from django.db.models import F, Q, Value
from django.db.models.fields import DateTimeField
from django.db.models.functions import Cast, Now

from speculation.events import SessionLog
from speculation.models import JobStatus, Session, ToolJob
from speculation.specs import Guess, JobSpec
from tools.base import SideEffect, ToolResult

LEASE_SECONDS = 10.0
MOST_ATTEMPTS = 3


class Move(NamedTuple):
    frm: tuple[str, ...]
    to: str | None  # None: the status stays
    event: str


MOVES: Mapping[str, Move] = {
    "start": Move((JobStatus.QUEUED,), JobStatus.RUNNING, "job_started"),
    "commit": Move((JobStatus.RUNNING,), JobStatus.SUCCEEDED, "job_ended"),
    "fail": Move((JobStatus.RUNNING,), JobStatus.FAILED, "job_ended"),
    "retry_lost": Move((JobStatus.RUNNING,), JobStatus.QUEUED, "job_retried"),
    "retry_joined": Move((JobStatus.FAILED,), JobStatus.QUEUED, "job_retried"),
    "promote": Move((JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.SUCCEEDED), None, "call_asked"),
    "preempt": Move((JobStatus.QUEUED, JobStatus.RUNNING), JobStatus.PREEMPTED, "job_preempted"),
    "withdraw": Move((JobStatus.QUEUED,), JobStatus.FAILED, "job_ended"),
    "discard": Move((JobStatus.SUCCEEDED,), JobStatus.DISCARDED, "job_discarded"),
    "give_back": Move((JobStatus.SUCCEEDED, JobStatus.FAILED), JobStatus.DISCARDED, "job_discarded"),
}

HELD = (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.SUCCEEDED)
"""Statuses of a speculation that may still serve a call."""


def _move(job: ToolJob, verb: str, *guards: Q, **fields: Any) -> bool:
    """True for exactly one caller: the WHERE clause is the rule, the row count is the verdict."""
    move = MOVES[verb]
    if move.to is not None:
        fields["status"] = move.to
    moved = ToolJob.objects.filter(*guards, pk=job.pk, status__in=move.frm).update(**fields) == 1
    if moved:
        job.refresh_from_db()
    return moved


def _in_seconds(seconds: float) -> Any:
    """The database's clock `seconds` from now."""
    return Cast(Now() + Value(timedelta(seconds=seconds)), DateTimeField())


def request(log: SessionLog, spec: JobSpec, call_id: str) -> ToolJob:
    """An authoritative job: the agent asked, nothing speculated fits. IntegrityError if the call has one already."""
    job = _new(log.session, spec, call_id=call_id, policy_version=spec.tool.policy_version)
    job.save(force_insert=True)
    _tell_queued(log, job)
    return job


def speculate(log: SessionLog, spec: JobSpec, guess: Guess) -> ToolJob | None:
    """A speculative job, or None where the session holds or already tried the same call in this epoch."""
    if log.is_changing or spec.effect != SideEffect.NONE:
        return None
    _discard_expired_twin(log, spec.fingerprint)
    tried = (*HELD, JobStatus.FAILED)
    if ToolJob.objects.filter(
        session=log.session, epoch=log.session.epoch, fingerprint=spec.fingerprint, call_id=None, status__in=tried
    ).exists():
        return None
    job = _new(
        log.session,
        spec,
        pattern_id=guess.pattern_id,
        probability=guess.probability,
        utility=guess.utility,
        policy_version=guess.policy_version,
        start_before=_in_seconds(guess.start_within_seconds),
    )
    job.save(force_insert=True)
    _tell_queued(log, job, probability=guess.probability, utility=guess.utility, sources=dict(guess.sources))
    return job


def _new(session: Session, spec: JobSpec, **fields: Any) -> ToolJob:
    return ToolJob(
        session=session,
        tool=spec.tool,
        pool_id=spec.pool_id,
        arguments=dict(spec.arguments),
        fingerprint=spec.fingerprint,
        effect=spec.effect,
        epoch=session.epoch,
        repeat=ToolJob.objects.filter(session=session, fingerprint=spec.fingerprint, call_id__isnull=False).count(),
        expected_seconds=spec.expected_seconds,
        timeout_seconds=spec.timeout_seconds,
        ttl_seconds=spec.ttl_seconds,
        **fields,
    )


def _tell_queued(log: SessionLog, job: ToolJob, **more: Any) -> None:
    log.append(
        "job_queued",
        job=str(job.pk),
        tool=job.tool.name,
        arguments=job.arguments,
        effect=str(job.effect),
        speculative=job.is_speculative,
        call_id=job.call_id,
        epoch=job.epoch,
        pattern=job.pattern_id,
        **more,
    )


def _discard_expired_twin(log: SessionLog, fingerprint: str) -> None:
    twins = ToolJob.objects.filter(
        session=log.session,
        epoch=log.session.epoch,
        fingerprint=fingerprint,
        call_id=None,
        status=JobStatus.SUCCEEDED,
        expires_at__lte=Now(),
    )
    for twin in twins:
        discard(log, twin, "expired")


def start(log: SessionLog, job: ToolJob, *, attempt: int, worker: str, policy_version: int) -> bool:
    """queued -> running, for the one worker whose message carries this attempt.

    A speculation starts only in its own epoch, in time, and under the policy it was admitted with; since it is made in
    even epochs only, none starts while the world changes. A call that may change something steps the epoch here.
    """
    ours = Q(attempt=attempt)
    asked = Q(call_id__isnull=False)
    still_wanted = Q(start_before__gt=Now(), epoch=log.session.epoch, policy_version=policy_version)
    started = _move(
        job,
        "start",
        ours,
        asked | still_wanted,
        attempt=F("attempt") + 1,
        worker=worker,
        started_at=Now(),
        ended_at=None,
        lease_until=_in_seconds(LEASE_SECONDS),
        expires_at=Cast(Now() + F("ttl_seconds") * Value(timedelta(seconds=1)), DateTimeField()),
    )
    if started:
        if job.effect != SideEffect.NONE and job.call_id:
            drop_speculation(log, "invalidated")
            log.begin_change(job.call_id)
        log.append("job_started", job=str(job.pk), attempt=job.attempt)
    return started


def renew(job_id: Any, attempt: int) -> bool:
    """Keep a running job's lease; False means: it is no longer ours, stop."""
    return (
        ToolJob.objects.filter(pk=job_id, attempt=attempt, status=JobStatus.RUNNING).update(
            lease_until=_in_seconds(LEASE_SECONDS)
        )
        == 1
    )


def commit(log: SessionLog, job: ToolJob, *, attempt: int, result: ToolResult) -> bool:
    """running -> succeeded with a result. False: preempted or superseded meanwhile, drop the result."""
    return _end(log, job, "commit", attempt, ok=result.ok, result=result.to_json())


def fail(log: SessionLog, job: ToolJob, *, attempt: int, error: str, reason: str = "failed") -> bool:
    """running -> failed: no result. For a call: its outcome is unknown, or a joined run gets its one retry."""
    return _end(log, job, "fail", attempt, ok=False, error=error, end_reason=reason)


def fail_lost(log: SessionLog, job: ToolJob) -> bool:
    """running -> failed: the worker is gone and the call must not run again. Its outcome is unknown."""
    return _end(
        log,
        job,
        "fail",
        job.attempt,
        Q(lease_until__lte=Now()),
        ok=False,
        error="worker lost",
        end_reason="worker lost",
    )


def _end(log: SessionLog, job: ToolJob, verb: str, attempt: int, *guards: Q, ok: bool, **fields: Any) -> bool:
    ended = _move(job, verb, Q(attempt=attempt), *guards, ended_at=Now(), **fields)
    if ended:
        if job.effect != SideEffect.NONE and job.call_id:
            log.end_change(job.call_id)
        log.append(
            "job_ended",
            job=str(job.pk),
            status=str(job.status),
            ok=ok,
            run_seconds=(job.ended_at - job.started_at).total_seconds(),
            speculative=job.is_speculative,
        )
        log.notify(job.pk)
    return ended


def retry_lost(log: SessionLog, job: ToolJob) -> bool:
    """running -> queued: its worker is gone, somebody waits for it, and running it again does no harm."""
    moved = _move(
        job,
        "retry_lost",
        Q(call_id__isnull=False, lease_until__lte=Now(), attempt__lt=MOST_ATTEMPTS),
        Q(effect__in=[effect for effect in SideEffect if effect.may_repeat]),
        lease_until=None,
        enqueued_at=Now(),
    )
    if moved:
        log.append("job_retried", job=str(job.pk), reason="worker lost")
    return moved


def retry_joined(log: SessionLog, job: ToolJob) -> bool:
    """failed -> queued, once: a call had joined a speculation that then failed; it gets a run of its own."""
    moved = _move(
        job,
        "retry_joined",
        Q(call_id__isnull=False, promoted_at__isnull=False, attempt=1),
        ended_at=None,
        lease_until=None,
        error="",
        end_reason="",
        enqueued_at=Now(),
    )
    if moved:
        log.append("job_retried", job=str(job.pk), reason="joined run failed")
    return moved


def promote(log: SessionLog, job: ToolJob, call_id: str, *, policy_version: int) -> bool:
    """The agent asked for exactly this, or for a part of it: the job is its call's from now on. Nothing is copied.

    The epoch's equality also forbids it while the world changes: speculations belong to even epochs.
    """
    return _move(
        job,
        "promote",
        Q(call_id__isnull=True, transformed=False, epoch=log.session.epoch, policy_version=policy_version),
        Q(expires_at__isnull=True) | Q(expires_at__gt=Now()),
        call_id=call_id,
        promoted_at=Now(),
        start_before=None,
    )


def withdraw(log: SessionLog, job: ToolJob) -> bool:
    """queued -> failed: the session that asked for it has ended, so nobody wants the call any more. It never started."""
    moved = _move(
        job, "withdraw", Q(call_id__isnull=False), ended_at=Now(), error="session ended", end_reason="session ended"
    )
    if moved:
        log.append("job_ended", job=str(job.pk), status=str(job.status), ok=False, run_seconds=0.0, speculative=False)
    return moved


def preempt(log: SessionLog, job: ToolJob, reason: str) -> bool:
    """queued or running -> preempted, if nobody asked for it. The row is given up at once; its worker lets go later."""
    moved = _move(job, "preempt", Q(call_id__isnull=True), end_reason=reason)
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
    moved = _move(job, "discard", Q(call_id__isnull=True), end_reason=reason)
    if moved:
        log.append("job_discarded", job=str(job.pk), reason=reason)
    return moved


def give_back(log: SessionLog, job: ToolJob, reason: str) -> bool:
    """succeeded or failed -> discarded: the call that joined it cannot be answered from it, and is free for a run of its own.

    Only for a promoted job, which can only read; one that was requested is its call's, whatever came of it.
    """
    moved = _move(
        job,
        "give_back",
        Q(call_id__isnull=False, promoted_at__isnull=False, effect=SideEffect.NONE),
        call_id=None,
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
