"""The sweep: what was lost is found by its lease, never by the broker's redelivery.

Every agents worker sweeps; several at once do no harm, since each step is a move that one caller wins.
"""

import logging
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now

from speculation import jobs
from speculation.events import SessionLog
from speculation.models import JobStatus, ResourceScope, Session, SessionStatus, ToolJob
from speculation.specs import NOT_STARTED_IN_TIME
from speculation.submission import hand_over_again
from speculation.worker import enqueue

logger = logging.getLogger(__name__)

TELL_AGAIN_AFTER = timedelta(seconds=5)
"""How long a queued job or session waits before the broker is told again."""
MOST_AT_ONCE = 100


def sweep() -> dict[str, int]:
    """One round; returns how many of each were found."""
    return {
        "jobs_of_lost_workers": _each(_lost_jobs(), _recover),
        "slots_of_lost_workers": _free_lost_slots(),
        "jobs_told_again": _each(_forgotten_jobs(), _tell_again),
        "speculations_too_late": _each(
            _late_speculations(), lambda log, job: jobs.preempt(log, job, NOT_STARTED_IN_TIME)
        ),
        "guesses_outdated": _each(
            _outdated_guesses(), lambda log, job: bool(jobs.drop_speculation(log, "invalidated", [job]))
        ),
        "results_expired": _each(_expired_results(), lambda log, job: jobs.discard(log, job, "expired")),
        "sessions_handed_over": _hand_over_sessions(),
    }


def _each(found: QuerySet[ToolJob], act: Callable[[SessionLog, ToolJob], bool]) -> int:
    """How many it did something to. A row that nothing can be done with must not keep the sweep from those behind it."""
    count = 0
    for job in found.select_related("tool")[:MOST_AT_ONCE]:
        try:
            with jobs.moving(job) as log:
                job.refresh_from_db()
                count += act(log, job)
        except (OperationalError, InterfaceError):  # the database is away, for the others as well
            raise
        except Exception:
            logger.exception("could not recover job %s; the others go on", job.pk)
    return count


def _lost_jobs() -> QuerySet[ToolJob]:
    return ToolJob.objects.filter(status=JobStatus.RUNNING, lease_until__lte=Now())


def _recover(log: SessionLog, job: ToolJob) -> bool:
    """Run it again where that is harmless; else its call ends with an unknown outcome; a guess is given up."""
    if job.call_id is None:
        return jobs.preempt(log, job, "worker lost") and jobs.release(log, job, attempt=job.attempt)
    if not log.session.has_ended and jobs.retry_lost(log, job):
        enqueue(job)
        return True
    return jobs.fail_lost(log, job)


def _free_lost_slots() -> int:
    """Given up jobs whose worker never said that it let go."""
    lost = ToolJob.objects.filter(status=JobStatus.PREEMPTED, ended_at=None, lease_until__lte=Now())
    return lost.update(ended_at=F("lease_until"))


def _forgotten_jobs() -> QuerySet[ToolJob]:
    return ToolJob.objects.filter(
        status=JobStatus.QUEUED, call_id__isnull=False, enqueued_at__lte=Now() - TELL_AGAIN_AFTER
    )


def _tell_again(log: SessionLog, job: ToolJob) -> bool:
    if log.session.has_ended:
        return jobs.withdraw(log, job)
    told = ToolJob.objects.filter(pk=job.pk, status=JobStatus.QUEUED).update(enqueued_at=Now()) == 1
    if told:
        enqueue(job)
    return told


def _late_speculations() -> QuerySet[ToolJob]:
    return ToolJob.objects.filter(status=JobStatus.QUEUED, call_id=None, start_before__lte=Now())


def _outdated_guesses() -> QuerySet[ToolJob]:
    """Of shared state that has changed in another session: none can be served, some still run."""
    epoch_now = ResourceScope.objects.filter(pk=OuterRef("scope")).values("epoch")
    held = ToolJob.objects.filter(call_id=None, status__in=jobs.HELD).exclude(scope="")
    return held.exclude(scope_epoch=Subquery(epoch_now))


def _expired_results() -> QuerySet[ToolJob]:
    return ToolJob.objects.filter(status=JobStatus.SUCCEEDED, call_id=None, expires_at__lte=Now())


def _hand_over_sessions() -> int:
    """Queued sessions nobody claimed, and running ones whose owner's lease ran out; parked ones whose time is up.

    A queued session's `lease_until` says until when the broker need not be told again.
    """
    unclaimed = Q(status=SessionStatus.QUEUED) & (
        Q(lease_until__isnull=True, created_at__lte=Now() - TELL_AGAIN_AFTER) | Q(lease_until__lte=Now())
    )
    parked = Session.objects.filter(status=SessionStatus.RUNNING, lease_until=None)
    parked.filter(parked_at__lte=Now() - timedelta(seconds=settings.PASTE_MCP_QUIET_SECONDS)).update(lease_until=Now())
    orphaned = Q(status=SessionStatus.RUNNING, lease_until__lte=Now())
    found = list(Session.objects.filter(unclaimed | orphaned).values_list("pk", flat=True)[:MOST_AT_ONCE])
    Session.objects.filter(pk__in=found, status=SessionStatus.QUEUED).update(lease_until=Now() + TELL_AGAIN_AFTER)
    for session_id in found:
        hand_over_again(session_id)
    return len(found)
