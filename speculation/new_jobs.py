"""New jobs: what an agent asks for, a guess, a second run of a served guess. From there on jobs.py alone moves them."""

from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Now

from speculation import jobs, prices, rows
from speculation.events import SessionLog
from speculation.models import JobStatus, Session, ToolJob
from speculation.specs import Guess, JobSpec
from speculation.verification import fingerprint_of_check
from tools.base import SideEffect, ToolResult

_ASKED_BEFORE = (
    "(SELECT count(*) FROM speculation_tooljob WHERE session_id = %s AND fingerprint = %s AND call_id IS NOT NULL)"
)
_WARMED = """EXISTS (
    SELECT FROM speculation_tooljob WHERE session_id = %s AND fingerprint = %s AND transformed
        AND status IN ('succeeded', 'discarded') AND expires_at > statement_timestamp())"""
_LATER = "statement_timestamp() + %s * interval '1 second'"


@dataclass(frozen=True)
class Ran:
    """A run that began before its job was stored: how many seconds ago all of it was, and what came of it so far."""

    asked_ago: float
    started_ago: float
    ended_ago: float = 0.0
    result: ToolResult | None = None
    processor_seconds: float | None = None


def request(log: SessionLog, spec: JobSpec, call_id: str, *, started_by: str = "") -> ToolJob:
    """An authoritative job: the agent asked, nothing speculated fits. IntegrityError if the call has one already.

    `started_by`: who runs it at once; `jobs.tell_started` is for the caller, once the log says that it was asked for.
    """
    job = _new(log, spec, call_id=call_id, policy_version=spec.tool.policy_version)
    computed = {"repeat": (_ASKED_BEFORE, [job.session_id, job.fingerprint])}
    if spec.warmed_by:
        computed["warmed"] = (_WARMED, [job.session_id, spec.warmed_by])
    if started_by:
        job.worker = started_by
        computed |= _running(job, 0.0)
    log.insert(job, computed)
    tell_queued(log, job)
    return job


def of_session(session: Session, spec: JobSpec, call_id: str, *, worker: str, repeat: int) -> ToolJob:
    """An authoritative job that its session's own worker runs before it is stored: see `as_run`."""
    fields = {"call_id": call_id, "worker": worker, "repeat": repeat, "policy_version": spec.tool.policy_version}
    return _made_of(spec, session=session, epoch=session.epoch, **fields)


def as_run(job: ToolJob, ran: Ran) -> rows.Computed:
    """Makes the job one that goes on or has ended, as if it had been queued and started; what the database works out of it."""
    asked_at = (_LATER, [-ran.asked_ago])
    computed = {"created_at": asked_at, "enqueued_at": asked_at} | _running(job, -ran.started_ago)
    if ran.result is not None:
        job.status, job.result, job.processor_seconds = JobStatus.SUCCEEDED, ran.result.to_json(), ran.processor_seconds
        computed["ended_at"] = (_LATER, [-ran.ended_ago])
    return computed


def _running(job: ToolJob, started_in: float) -> dict[str, tuple[str, list[Any]]]:
    """As `jobs.start` would leave it."""
    job.status, job.attempt = JobStatus.RUNNING, 1
    return {
        "started_at": (_LATER, [started_in]),
        "lease_until": (_LATER, [jobs.LEASE_SECONDS]),
        "expires_at": (_LATER, [started_in + job.ttl_seconds]),
    }


def speculate(log: SessionLog, spec: JobSpec, guess: Guess) -> ToolJob | None:
    """A speculative job, or None where the session holds or already tried the same call in this epoch."""
    if log.is_changing or spec.effect != SideEffect.NONE or log.scope_is_changing(spec.scope):
        return None
    if not _makes_way_for(log, spec):
        return None
    job = _new(
        log,
        replace(spec, pool_id=spec.pool_id or jobs.POOL),  # a guess always takes a slot: what runs in place is real
        pattern_id=guess.pattern_id,
        probability=guess.probability,
        utility=guess.utility,
        policy_version=guess.policy_version,
        transformed=spec.transformed,
    )
    computed = {
        "repeat": (_ASKED_BEFORE, [job.session_id, job.fingerprint]),
        "start_before": (_LATER, [guess.start_within_seconds]),
    }
    log.insert(job, computed)
    why = {"probability": guess.probability, "utility": guess.utility, "sources": dict(guess.sources)}
    tell_queued(log, job, **why, **prices.as_logged(spec))
    return job


def check(log: SessionLog, served: ToolJob, start_within_seconds: float) -> ToolJob:
    """A second run of what a served guess did, which answers nobody: see verification.py."""
    job = ToolJob(
        session=log.session,
        tool=served.tool,
        pool_id=jobs.POOL,
        arguments=served.arguments,
        fingerprint=fingerprint_of_check(served.pk),
        effect=SideEffect.NONE,
        transformed=True,
        verifies=served,
        epoch=log.session.epoch,
        scope=served.scope,
        scope_epoch=served.scope_epoch,
        repeat=served.repeat,
        expected_seconds=served.expected_seconds,
        timeout_seconds=served.timeout_seconds,
        ttl_seconds=served.ttl_seconds,
        policy_version=served.policy_version,
        start_before=jobs.in_seconds(start_within_seconds),
    )
    job.save(force_insert=True)
    log.append("check_queued", job=str(job.pk), of=str(served.pk), call_id=served.call_id, tool=served.tool.name)
    return job


def _new(log: SessionLog, spec: JobSpec, **fields: Any) -> ToolJob:
    scope_epoch = log.scopes.get(spec.scope, 0)
    return _made_of(spec, session=log.session, epoch=log.session.epoch, scope_epoch=scope_epoch, **fields)


def _made_of(spec: JobSpec, **fields: Any) -> ToolJob:
    return ToolJob(
        tool=spec.tool,
        pool_id=spec.pool_id,
        arguments=dict(spec.arguments),
        fingerprint=spec.fingerprint,
        effect=spec.effect,
        scope=spec.scope,
        expected_seconds=spec.expected_seconds,
        timeout_seconds=spec.timeout_seconds,
        ttl_seconds=spec.ttl_seconds,
        **fields,
    )


def tell_queued(log: SessionLog, job: ToolJob, **more: Any) -> None:
    if job.transformed:
        more["warm_up"] = True
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


def _makes_way_for(log: SessionLog, spec: JobSpec) -> bool:
    """False while an earlier guess at the same call may serve it, or has failed in this epoch; one that can serve nobody
    any more is given up.
    """
    is_in_the_way = False
    for pk, status, scope_epoch, is_expired in rows.select(_twins, log.session.pk, log.session.epoch, spec.fingerprint):
        if is_expired and status == JobStatus.SUCCEEDED:
            is_in_the_way |= not jobs.discard(log, ToolJob.objects.get(pk=pk), "expired")
        elif status != JobStatus.FAILED and spec.scope and scope_epoch != log.scopes[spec.scope]:
            jobs.drop_speculation(log, "invalidated", [ToolJob.objects.get(pk=pk)])
        else:
            is_in_the_way = True
    return not is_in_the_way


def _twins(session: Value, epoch: Value, fingerprint: Value) -> QuerySet[ToolJob, tuple[Any, ...]]:
    """Guesses at the call in this epoch that are held or have failed."""
    guesses = ToolJob.objects.filter(session=session, epoch=epoch, fingerprint=fingerprint, call_id=None)
    held = guesses.filter(status__in=(*jobs.HELD, JobStatus.FAILED)).order_by()
    return held.values_list("pk", "status", "scope_epoch", Q(expires_at__lte=Now(), expires_at__isnull=False))
