"""Sessions that run age while pictures are taken: this puts them back to where they were, before they look forgotten."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import F

from speculation.models import EventRecord, Session, ToolJob

MOMENTS = ("created_at", "enqueued_at", "started_at", "promoted_at", "ended_at", "lease_until")


def bring_up(sessions: Iterable[Session], now: datetime, then: datetime) -> None:
    """As if what was so at `then` were so at `now`, for those of the sessions that have not ended."""
    running = Session.objects.filter(pk__in=[session.pk for session in sessions], ended_at=None)
    ids, later = list(running.values_list("pk", flat=True)), now - then
    EventRecord.objects.filter(session__in=ids).update(at=F("at") + later)
    ToolJob.objects.filter(session__in=ids).update(**{name: F(name) + later for name in MOMENTS})
    running.update(created_at=F("created_at") + later, started_at=F("started_at") + later)
