"""What runs at this moment: sessions that decode, that wait for a tool, or that are in line."""

from dataclasses import dataclass

from django.db.models import Exists, OuterRef

from speculation.models import Session, SessionStatus, ToolJob


@dataclass(frozen=True)
class Running:
    queued: int
    decoding: int
    waiting: int

    @property
    def running(self) -> int:
        return self.decoding + self.waiting


def running_now() -> Running:
    """A session waits while a call of its own is queued or runs; otherwise its model decodes."""
    open_calls = ToolJob.objects.filter(session=OuterRef("pk"), call_id__isnull=False, status__in=["queued", "running"])
    running = Session.objects.filter(status=SessionStatus.RUNNING)
    waiting = running.filter(Exists(open_calls)).count()
    return Running(
        queued=Session.objects.filter(status=SessionStatus.QUEUED).count(),
        decoding=running.count() - waiting,
        waiting=waiting,
    )
