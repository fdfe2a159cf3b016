"""Cheap reads, run by their session's own worker: told when they are over, in one transaction.

A call that changes nothing and takes milliseconds needs no row while it runs: if its worker dies, nothing has happened,
and whoever goes on with the session asks it again. So all of it is told at its end, as of the moments at which it happened.
One that takes longer than thought is told meanwhile as what it is, a running job with a lease, and ends as any other does.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from uuid import UUID

from django.db import IntegrityError, connection

from speculation import jobs, new_jobs, rows, scheduler, worker
from speculation.asked import AskedCall
from speculation.events import SessionLost
from speculation.leases import AWAY
from speculation.models import Session, ToolJob
from speculation.new_jobs import Ran
from speculation.notices import listener
from speculation.unlocked_log import UnlockedLog
from tools.base import SideEffect, ToolResult

logger = logging.getLogger(__name__)

TOLD_AFTER_SECONDS = 0.1
"""A run that takes longer is told while it goes on."""
TELL_AGAIN_AFTER_SECONDS = 1.0

# What the session knows of the work that is asked for: how often other calls asked, a guess, the call's own job.
_KNOWN = """
SELECT fingerprint, count(*) FILTER (WHERE NOT call_id = ANY(%(calls)s)), bool_or(call_id IS NULL),
       array_agg(call_id) FILTER (WHERE call_id = ANY(%(calls)s))
FROM speculation_tooljob
WHERE session_id = %(session)s AND (fingerprint = ANY(%(works)s) OR call_id = ANY(%(calls)s))
GROUP BY fingerprint
"""


def at_once(session_id: UUID, asked: Sequence[AskedCall]) -> dict[str, int]:
    """By their ids, the calls that may be read here and now: cheap, and no job of the session is theirs or a guess at
    them. With each how often the session asked for the same before.
    """
    cheap = {call.call_id for call in asked if _is_cheap_read(call)}
    if not cheap:
        return {}
    found = {}
    times, guessed, have_jobs = _known(session_id, asked)
    for call in asked:
        work = call.spec.fingerprint
        if call.call_id in cheap and call.call_id not in have_jobs and guessed.isdisjoint(call.fingerprints):
            found[call.call_id] = times.get(work, 0)
        if call.call_id not in have_jobs:
            times[work] = times.get(work, 0) + 1
    return found


def _is_cheap_read(call: AskedCall) -> bool:
    return call.spec.pool_id is None and call.spec.effect == SideEffect.NONE and not call.spec.scope


def _known(session_id: UUID, asked: Sequence[AskedCall]) -> tuple[dict[str, int], set[str], set[str]]:
    """How often each work was asked for, the works that were guessed, and the calls that have jobs."""
    works = sorted({fingerprint for call in asked for fingerprint in call.fingerprints})
    values = {"session": session_id, "works": works, "calls": [call.call_id for call in asked]}
    times, guessed, have_jobs = {}, set(), set()
    with rows.cursor() as cursor:
        cursor.execute(_KNOWN, values)
        for work, count, is_guessed, own in cursor.fetchall():
            times[work] = count + len(own or ())
            have_jobs.update(own or ())
            if is_guessed:
                guessed.add(work)
    return times, guessed, have_jobs


def read(session: Session, call: AskedCall, repeat: int, asked_at: float) -> ToolJob:
    """The call's ended job. `repeat`: as `at_once` says; `asked_at`: by `time.monotonic`.

    Raises SessionLost if the session is somebody else's by now; nothing is stored then.
    """
    run = _Read(session, call, repeat, asked_at)
    worker.perform(run.job, keep=run.kept, store=run.store)
    if not run.is_told:  # it was stopped, since its session is lost
        raise SessionLost(session)
    return run.job


class _Read:
    """One run. It is told once: by its own thread at the end, or before by another if it takes long."""

    def __init__(self, session: Session, call: AskedCall, repeat: int, asked_at: float) -> None:
        self._session, self._call, self._asked_at = session, call, asked_at
        owner = scheduler.in_place(session.attempt)
        self.job = new_jobs.of_session(session, call.spec, call.call_id, worker=owner, repeat=repeat)
        self._started_at = asked_at
        self._ended_at: float | None = None
        self._telling = threading.Lock()
        self.is_told = False
        self._over, self._stop = threading.Event(), threading.Event()

    @contextmanager
    def kept(self, job: ToolJob) -> Iterator[Callable[[], bool]]:
        """In place of a lease, which only what is told has."""
        self._started_at = time.monotonic()
        _latecomers.watch(self)
        try:
            yield self._stop.is_set
        finally:
            self._ended_at = time.monotonic()
            with self._telling:  # not half told
                self._over.set()

    def store(self, job: ToolJob, result: ToolResult, processor_seconds: float) -> None:
        if self.is_told:
            worker.finish(job, result, processor_seconds)
            return
        try:
            self._tell(result, processor_seconds)
        except IntegrityError:  # the last try was stored, and only its answer was lost
            rows.refresh(job)
            self.is_told = True
        worker.heed(job, result)

    def _tell(self, result: ToolResult | None = None, processor_seconds: float | None = None) -> None:
        """Raises SessionLost, and IntegrityError if the call has a job already."""
        now = time.monotonic()
        ended_at = now if self._ended_at is None else self._ended_at
        ran = Ran(now - self._asked_at, now - self._started_at, now - ended_at, result, processor_seconds)
        while not self._written(ran):
            fresh = Session.objects.get(pk=self._session.pk)
            if fresh.attempt != self._session.attempt or fresh.has_ended:
                raise SessionLost(fresh)
            self.job.epoch = self._session.epoch = fresh.epoch
        self.is_told = True

    def _written(self, ran: Ran) -> bool:
        """False where the session is not as it was last seen."""
        job, log = self.job, UnlockedLog(self._session, owned=True)
        log.insert(job, new_jobs.as_run(job, ran))
        with log.ago(ran.asked_ago):
            new_jobs.tell_queued(log, job)
            scheduler.tell_asked(log, self._call, job, "requested", self._call.reason)
        with log.ago(ran.started_ago):
            jobs.tell_started(log, job)
        if ran.result is not None:
            with log.ago(ran.ended_ago):
                jobs.tell_ended(log, job, ok=ran.result.ok)
        return log.write()

    @property
    def is_late_at(self) -> float:
        return self._started_at + TOLD_AFTER_SECONDS

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    def tell_meanwhile(self) -> None:
        """In a thread of its own: tell that it runs, then keep its lease until it has ended."""
        try:
            while not (self.is_over or self._told_running()):
                self._over.wait(TELL_AGAIN_AFTER_SECONDS)
            if not self.is_over:
                with listener().waiting_for(self.job.pk) as noticed:
                    worker.watch(self.job, noticed, self._over, self._stop)
        except SessionLost:
            self._stop.set()
        finally:
            connection.close()

    def _told_running(self) -> bool:
        """False where the database is away: its end may still be told."""
        try:
            with self._telling:
                if not self.is_over:
                    self._tell()
        except AWAY as problem:
            logger.warning("could not tell that a call runs: %s", type(problem).__name__)
            connection.close()
        return self.is_told


class _Latecomers:
    """Has those told that are not over in time. One thread for all of a process, which starts with the first."""

    def __init__(self) -> None:
        self._runs: SimpleQueue[_Read] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, run: _Read) -> None:
        """All are given the same time, so the first to come is the first to be late."""
        self._runs.put(run)
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._wait_for_ever, name="latecomers", daemon=True)
                    self._thread.start()

    def _wait_for_ever(self) -> None:
        while True:
            run = self._runs.get()
            time.sleep(max(0.0, run.is_late_at - time.monotonic()))
            if not run.is_over:
                threading.Thread(target=run.tell_meanwhile, name="in place", daemon=True).start()


_latecomers = _Latecomers()
