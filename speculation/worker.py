"""The Celery task that runs one job, and how it hears that nobody waits for the job any more.

A message carries only the job's id and the attempt it was sent for: a duplicate finds nothing to start. Messages are
acknowledged early; what a killed worker held is recovered by the sweep, from the lease.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from celery import shared_task
from celery.signals import task_postrun, worker_process_init
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from speculation import breakers, events, jobs, locks, processors, tool_servers
from speculation.bells import bell
from speculation.events import SessionLog
from speculation.known_jobs import job_to_start
from speculation.leases import AWAY, owner
from speculation.models import JobStatus, ToolJob, ToolRecord
from speculation.notices import listener
from speculation.unlocked_log import UnlockedLog
from speculation.verification import difference
from speculation.yielding import low_priority, raise_all
from tools import catalog
from tools.base import SideEffect, Tool, ToolContext, ToolResult, ToolStopped
from tools.running import execute, warm_up

logger = logging.getLogger(__name__)

T = TypeVar("T")
KILL_AFTER_SECONDS = 15.0
"""Grace past a tool's own timeout before the worker's process is replaced: the last resort."""
AGAIN_AFTER_SECONDS = (0.1, 0.5, 2.0)
"""Within a lease: after that the sweep has taken the job back."""
CALLS_QUEUE, GUESSES_QUEUE = "tools", "guesses"
"""Guesses have processes of their own: however long one takes to let go of its slot, no call waits for it at a worker."""
AUTHORITATIVE_PRIORITY, SPECULATIVE_PRIORITY = 0, 6
"""For a worker that serves both queues; on Redis 0 is the most urgent."""


def enqueue(job: ToolJob) -> None:
    """Tell the broker once this transaction is committed. If the broker is away, the sweep tells it later."""
    job_id, attempt, timeout_seconds = str(job.pk), job.attempt, job.timeout_seconds
    queue, priority = (
        (GUESSES_QUEUE, SPECULATIVE_PRIORITY) if job.is_speculative else (CALLS_QUEUE, AUTHORITATIVE_PRIORITY)
    )

    def send() -> None:
        try:
            run_job.apply_async(
                args=[job_id, attempt],
                queue=queue,
                priority=priority,
                time_limit=timeout_seconds + KILL_AFTER_SECONDS,
                retry=False,
            )
        except (BrokerError, OSError) as problem:
            logger.warning("the broker is away (%s); the sweep will send job %s", type(problem).__name__, job_id)

    transaction.on_commit(send)


@shared_task(name="speculation.run_job", ignore_result=True, acks_late=False)
def run_job(job_id: str, attempt: int) -> None:
    """Start the job if this message still may, run its tool, and say what came of it."""
    job = _insist(partial(start, UUID(job_id), attempt))
    if job is not None:
        perform(job)


def start(job_id: UUID, attempt: int) -> ToolJob | None:
    """The started job, or None: preempted, too late, superseded, or another delivery of the same message won."""
    job = job_to_start(job_id)
    if _only_reads(job):
        log = UnlockedLog(job.session)
        jobs.start(log, job, attempt=attempt, worker=owner(), policy_version=job.tool.policy_version)
        return job if log.write() else None
    changes = job.effect != SideEffect.NONE
    with transaction.atomic():
        tool = job.tool if job.call_id else locks.share_tools([job.tool_id])[job.tool_id]
        scopes = (locks.hold_scopes if changes else locks.share_scopes)([job.scope])
        with events.writing(job.session_id, scopes=scopes) as log:
            if log.session.has_ended:
                return None
            job.session, job.tool = log.session, tool
            started = jobs.start(log, job, attempt=attempt, worker=owner(), policy_version=tool.policy_version)
    return job if started else None


def _only_reads(job: ToolJob) -> bool:
    """True if it is a call's, for good, and changes nothing: it starts and ends whatever else happens to its session."""
    return job.call_id is not None and job.effect == SideEffect.NONE


Keep = Callable[[ToolJob], AbstractContextManager[Callable[[], bool]]]
Store = Callable[[ToolJob, ToolResult, float], None]


def perform(job: ToolJob, *, keep: Keep | None = None, store: Store | None = None) -> None:
    """Run a started job's tool and store what came of it, unless the job was given up meanwhile.

    `keep`, `store`: what does so for a run of another kind, instead of a lease and the job's next move.
    """
    keep, store = keep or holding, store or finish
    is_alone = job.pool_id is not None  # in place, other sessions' calls start programs of the same process
    try:
        with keep(job) as should_stop, low_priority() if job.is_speculative else nullcontext():
            used_before = processors.used_here(with_programs=is_alone)
            result = _run(job, should_stop)
            used_seconds = processors.used_here(with_programs=is_alone) - used_before
    except ToolStopped:
        _insist(partial(_let_go, job))
    else:
        _insist(partial(store, job, result, used_seconds))


def _insist(move: Callable[[], T]) -> T:
    """Again, shortly, where the database's connection was lost: the moves refuse what is done already, so twice is once.

    What has been done and cannot be told would end as an unknown outcome.
    """
    for pause_seconds in AGAIN_AFTER_SECONDS:
        try:
            return move()
        except AWAY as problem:
            logger.warning("could not start a job or store what came of it (%s), trying again", type(problem).__name__)
            connection.close()
            time.sleep(pause_seconds)
    return move()


def _run(job: ToolJob, should_stop: Callable[[], bool]) -> ToolResult:
    run = warm_up if job.is_warm_up else execute
    return run(find_tool(job.tool), job.arguments, context_for(job, should_stop))


def find_tool(record: ToolRecord) -> Tool:
    """The code behind a record. Raises ToolError where the catalog has no such tool."""
    return catalog.find(record.server, record.name, record.definition)


def context_for(job: ToolJob, should_stop: Callable[[], bool]) -> ToolContext:
    """The world that this job's session works on."""
    world = job.session.world
    return ToolContext(
        root=Path(world.get("root") or settings.PASTE_WORLDS / "none"),
        database_url=settings.DATABASE_URL if world.get("schema") else "",
        schema=world.get("schema", ""),
        repeat=job.repeat,
        network_latency_seconds=float(world.get("network_latency_seconds", 0.0)),
        allowed_private_hosts=frozenset(settings.PASTE_ALLOWED_PRIVATE_HOSTS),
        servers_file=settings.PASTE_MCP_SERVERS,
        commands=tool_servers.command_host() if settings.PASTE_MCP_SERVERS else None,
        should_stop=should_stop,
    )


@contextmanager
def holding(job: ToolJob) -> Iterator[Callable[[], bool]]:
    """Renew the job's lease while its tool runs; yields the question whether to stop.

    The answer turns true when a notice says that the job was given up, when a renewal finds it no longer ours, or when
    the tool has used up its time. A notice costs the tool nothing: the watching thread reads the row.
    """
    ended = threading.Event()
    stop = threading.Event()
    with listener().waiting_for(job.pk) as noticed:
        beside = threading.Thread(target=watch, args=(job, noticed, ended, stop), name="lease", daemon=True)
        beside.start()
        try:
            yield stop.is_set
        finally:
            ended.set()
            noticed.set()
            beside.join()


def watch(job: ToolJob, noticed: threading.Event, ended: threading.Event, stop: threading.Event) -> None:
    """Renew the lease until `ended`; look at the row at each notice, and set `stop` where nobody waits any more."""
    deadline = time.monotonic() + job.timeout_seconds
    while not ended.is_set():
        noticed.wait(jobs.LEASE_SECONDS / 3)
        if ended.is_set():
            return
        noticed.clear()
        try:
            if time.monotonic() > deadline or not jobs.renew(job.pk, job.attempt):
                stop.set()
                return
            if job.is_speculative and _has_been_asked_for(job):
                raise_all()
        except AWAY as problem:  # the lease decides: without renewal the sweep takes the job back
            logger.warning("could not renew the lease of job %s: %s", job.pk, type(problem).__name__)
        finally:
            connection.close()  # a thread's connection goes back at once: nobody closes it later


def _has_been_asked_for(job: ToolJob) -> bool:
    return ToolJob.objects.filter(pk=job.pk, call_id__isnull=False).exists()


def finish(job: ToolJob, result: ToolResult, processor_seconds: float) -> None:
    """Commit the result; an error answer of a run nobody asked for is a failure, and is never served."""
    if not (_only_reads(job) and _committed(job, result, processor_seconds)):
        _finish_locked(job, result, processor_seconds)
    heed(job, result)


def _committed(job: ToolJob, result: ToolResult, processor_seconds: float) -> bool:
    """False where its session has ended, or another attempt holds it."""
    log = UnlockedLog(job.session)
    jobs.commit(log, job, attempt=job.attempt, result=result, processor_seconds=processor_seconds)
    return log.write()


def _finish_locked(job: ToolJob, result: ToolResult, processor_seconds: float) -> None:
    attempt = job.attempt
    with jobs.moving(job) as log:
        is_guess_that_failed = not result.ok and jobs.fail_unasked(
            log, job, attempt=attempt, error=result.content, reason=result.failure or jobs.ERROR_ANSWER
        )
        if not (
            is_guess_that_failed
            or jobs.commit(log, job, attempt=attempt, result=result, processor_seconds=processor_seconds)
        ):
            jobs.release(log, job, attempt=attempt)
        differs_at = _judge(log, job) if job.verifies_id and job.status == JobStatus.SUCCEEDED else None
    if differs_at is not None:
        _count_check(job, differs_at)


def _judge(log: SessionLog, check: ToolJob) -> str:
    """Where a second run and the served result differ; empty if nowhere. The second run is then done with."""
    served = ToolJob.objects.get(pk=check.verifies_id)
    differs_at = difference(
        ToolResult.from_json(served.result), ToolResult.from_json(check.result), find_tool(check.tool).volatile
    )
    jobs.discard(log, check, "diverged" if differs_at else "verified")
    log.append("checked", job=str(check.pk), of=str(served.pk), call_id=served.call_id, differs_at=differs_at)
    return differs_at


def heed(job: ToolJob, result: ToolResult) -> None:
    """What the other side said of itself: how much more it takes, or that it does not know us."""
    if result.quota is not None:
        resets = result.quota.resets_in_seconds
        breakers.note_quota(job.tool, result.quota.left, resets and timezone.now() + timedelta(seconds=resets))
    if result.failure == "auth" and job.is_speculative:
        breakers.look_at(job.tool)


def _count_check(check: ToolJob, differs_at: str) -> None:
    """On the tool's row, after the session's lock is gone: a tool is locked before a session."""
    counter = "diverged" if differs_at else "verified"
    ToolRecord.objects.filter(pk=check.tool_id).update(**{counter: F(counter) + 1})
    if differs_at:
        logger.warning("a served result of %s is contradicted by a second run, at %s", check.tool, differs_at)
        breakers.look_at(check.tool)


def _let_go(job: ToolJob) -> None:
    """The tool stopped before it had a result: given up, or out of time, or a call joined it just too late."""
    attempt = job.attempt
    with jobs.moving(job) as log:
        if jobs.release(log, job, attempt=attempt):
            return
        if jobs.retry_joined(log, job, attempt=attempt):
            enqueue(job)  # the guess's time ran out, not the call's: the call gets a run of its own
            return
        error = f"The tool did not end within {job.timeout_seconds:g} s."
        if not jobs.fail_unasked(log, job, attempt=attempt, error=error, reason="timeout"):
            jobs.commit(log, job, attempt=attempt, result=ToolResult(ok=False, content=error))


@worker_process_init.connect
def forget_the_parent(**_: Any) -> None:
    """A forked child shares no threads and no connections with its parent."""
    bell.forget()
    connection.close()
    connection.close_pool()


@task_postrun.connect
def hand_back_the_connection(**_: Any) -> None:
    """To this process's pool, where it stays open for the next job."""
    connection.close()
