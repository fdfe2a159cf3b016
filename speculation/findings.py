"""What a session's own guesses have found so far, for chains to stand on: results that still hold and nobody asked for."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import F, QuerySet
from django.db.models.functions import Now

from speculation.engine.types import Event, EventKind
from speculation.models import JobStatus, Session, ToolJob
from speculation.toolbox import Toolbox
from tools.base import ToolCall, ToolResult


class Findings:
    """The held results of one session, as of the last look."""

    def __init__(self, session: Session, toolbox: Toolbox) -> None:
        self._session, self._toolbox = session, toolbox
        self._events: dict[UUID, tuple[str, Event]] = {}
        """By job: the call's fingerprint, and the event that asking for it now would be."""

    def __bool__(self) -> bool:
        return bool(self._events)

    def lacks(self, jobs: Iterable[ToolJob]) -> bool:
        """True if the results of some of these are not known."""
        return any(job.pk not in self._events for job in jobs)

    def look(self) -> bool:
        """Read the rows again: what was asked for, has expired or belongs to an older world is gone. True if there is news."""
        held = set(self._held().values_list("pk", flat=True))
        new = held - self._events.keys()
        self._events = {pk: found for pk, found in self._events.items() if pk in held}
        if new:
            jobs = self._held().filter(pk__in=new).select_related("tool")
            self._events |= {job.pk: (job.fingerprint, _event_of(job)) for job in jobs}
        return bool(new)

    def result_of(self, call: ToolCall) -> Event | None:
        """The result of that call, if one is held; the newest of several."""
        box = self._toolbox.get(call.tool)
        if box is None:
            return None
        wanted = box.spec_of(call.arguments).fingerprint
        return next((event for known, event in reversed(self._events.values()) if known == wanted), None)

    def _held(self) -> QuerySet[ToolJob]:
        """Results that could be promoted now."""
        return ToolJob.objects.filter(
            session=self._session,
            call_id=None,
            status=JobStatus.SUCCEEDED,
            transformed=False,
            epoch=F("session__epoch"),
            policy_version=F("tool__policy_version"),
            expires_at__gt=Now(),
        )


def _event_of(job: ToolJob) -> Event:
    result = ToolResult.from_json(job.result)
    return Event(
        EventKind.TOOL,
        tool=job.tool.name,
        status="ok" if result.ok else "error",
        arguments=job.arguments,
        result=result.content if result.structured is None else result.structured,
    )
