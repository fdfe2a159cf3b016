"""The Celery task that runs one job, and how it hears that nobody waits for the job any more.

A message carries only the job's id and the attempt it was sent for: a duplicate finds nothing to start. Messages are
acknowledged early; what a killed worker held is recovered by the sweep, from the lease.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from celery import shared_task
from celery.signals import worker_process_init
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from kombu.exceptions import OperationalError as BrokerError

from speculation import events, jobs, locks
from speculation.leases import owner
from speculation.models import ToolJob, ToolRecord
from speculation.notices import listener
from tools import catalog
from tools.base import Tool, ToolContext, ToolResult, ToolStopped
from tools.running import execute

logger = logging.getLogger(__name__)

KILL_AFTER_SECONDS = 15.0
"""Grace past a tool's own timeout before the worker's process is replaced: the last resort."""
AUTHORITATIVE_PRIORITY, SPECULATIVE_PRIORITY = 0, 6  # on Redis 0 is the most urgent


def enqueue(job: ToolJob) -> None:
    """Tell the broker once this transaction is committed. If the broker is away, the sweep tells it later."""
    job_id, attempt, timeout_seconds = str(job.pk), job.attempt, job.timeout_seconds
    priority = SPECULATIVE_PRIORITY if job.is_speculative else AUTHORITATIVE_PRIORITY

    def send() -> None:
        try:
            run_job.apply_async(
                args=[job_id, attempt],
                queue="tools",
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
    job = start(UUID(job_id), attempt)
    if job is not None:
        perform(job)


def start(job_id: UUID, attempt: int) -> ToolJob | None:
    """The started job, or None: preempted, too late, superseded, or another delivery of the same message won."""
    session_id, tool_id = ToolJob.objects.values_list("session_id", "tool_id").get(pk=job_id)
    with transaction.atomic():
        tool = locks.share_tools([tool_id])[tool_id]
        with events.writing(session_id) as log:
            job = ToolJob.objects.select_related("tool").get(pk=job_id)
            job.session = log.session
            if log.session.has_ended:
                return None
            started = jobs.start(log, job, attempt=attempt, worker=owner(), policy_version=tool.policy_version)
    return job if started else None


def perform(job: ToolJob) -> None:
    """Run a started job's tool and store what came of it, unless the job was given up meanwhile."""
    try:
        with holding(job) as should_stop:
            result = _run(job, should_stop)
    except ToolStopped:
        _let_go(job)
    else:
        _finish(job, result)


def _run(job: ToolJob, should_stop: Callable[[], bool]) -> ToolResult:
    tool = find_tool(job.tool)
    return execute(tool, job.arguments, context_for(job, should_stop))


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
        watch = threading.Thread(target=_watch, args=(job, noticed, ended, stop), name="lease", daemon=True)
        watch.start()
        try:
            yield stop.is_set
        finally:
            ended.set()
            noticed.set()
            watch.join()


def _watch(job: ToolJob, noticed: threading.Event, ended: threading.Event, stop: threading.Event) -> None:
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
        except DatabaseError as problem:  # the lease decides: without renewal the sweep takes the job back
            logger.warning("could not renew the lease of job %s: %s", job.pk, type(problem).__name__)
        finally:
            connection.close()  # a thread's connection goes back at once: nobody closes it later


def _finish(job: ToolJob, result: ToolResult) -> None:
    """Commit the result; an error answer of a run nobody asked for is a failure, and is never served."""
    attempt = job.attempt
    with events.writing(job.session_id) as log:
        job.refresh_from_db()
        if result.ok or job.call_id is not None:
            done = jobs.commit(log, job, attempt=attempt, result=result)
        else:
            done = jobs.fail(log, job, attempt=attempt, error=result.content)
        if not done:
            jobs.release(log, job, attempt=attempt)


def _let_go(job: ToolJob) -> None:
    """The tool stopped before it had a result: given up, or out of time, or a call joined it just too late."""
    attempt = job.attempt
    with events.writing(job.session_id) as log:
        job.refresh_from_db()
        if jobs.release(log, job, attempt=attempt):
            return
        error = f"The tool did not end within {job.timeout_seconds:g} s."
        if job.call_id is not None and job.promoted_at is None:
            jobs.commit(log, job, attempt=attempt, result=ToolResult(ok=False, content=error))
        elif jobs.fail(log, job, attempt=attempt, error=error, reason="timeout") and jobs.retry_joined(log, job):
            enqueue(job)  # the guess's time ran out, not the call's: the call gets a run of its own


@worker_process_init.connect
def forget_the_parent(**_: Any) -> None:
    """A forked child shares no threads and no connections with its parent."""
    events.bell.forget()
    connection.close()
    connection.close_pool()
