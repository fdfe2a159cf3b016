"""When what a decision gave up has really ended: a worker lets go of a running tool as soon as the tool stops."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from speculation.models import ToolJob
from speculation.policy import Change

LOOK_EVERY_SECONDS = 0.02
PATIENCE_SECONDS = 1.0
"""A tool that can be stopped stops well within it; whoever revoked is not kept waiting for one that cannot."""


@dataclass(frozen=True)
class Ending:
    """`stopped`: runs that workers had to stop. `still_running`: those that have not let go yet.

    `last_seconds`: from the change to the end of the last that has; None where none has. `held`: what else was given
    up: queued ones, and results that nobody had asked for.
    """

    stopped: int
    still_running: int
    last_seconds: float | None
    held: int


def wait_for_end(changes: Iterable[Change], patience_seconds: float = PATIENCE_SECONDS) -> Ending:
    """Wait until every run that the changes stopped has let go, but no longer than that. Never in a transaction."""
    changes = list(changes)
    began = {job: change.at for change in changes for job in change.stopping}
    deadline = time.monotonic() + patience_seconds
    while (running := _still_running(began)) and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_SECONDS)
    ended = ToolJob.objects.filter(pk__in=began, ended_at__isnull=False).values_list("pk", "ended_at")
    lasted = [(at - start).total_seconds() for job, at in ended if (start := began[job]) is not None]
    held = sum(change.ended for change in changes) - len(began)
    return Ending(len(began), running, max(lasted, default=None), held)


def _still_running(jobs: dict[UUID, datetime | None]) -> int:
    return ToolJob.objects.filter(pk__in=jobs, ended_at=None).count() if jobs else 0
