"""Held guesses given up, session by session: how many, and which of them a worker has to stop first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from speculation import events, jobs
from speculation.models import JobStatus, ToolJob


@dataclass(frozen=True)
class GivenUp:
    """`ended`: guesses given up. `stopping`: those of them that a worker was running; it lets go as soon as it can.

    `at`: when what gave them up began, by the database's clock; None where nobody asks.
    """

    ended: int = 0
    stopping: Sequence[UUID] = ()
    at: datetime | None = None


def give_up(held: QuerySet[ToolJob], reason: str, at: datetime | None = None) -> GivenUp:
    """Preempt or discard them. One session's lock at a time, in order of id."""
    ended, stopping = 0, []
    for session_id in sorted(set(held.values_list("session_id", flat=True))):
        with events.writing(session_id) as log:
            found = list(held.filter(session_id=session_id))
            ended += jobs.drop_speculation(log, reason, found)
        stopping += [job.pk for job in found if job.status == JobStatus.PREEMPTED and job.started_at is not None]
    return GivenUp(ended, stopping, at)
