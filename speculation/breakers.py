"""Breakers: switch speculation off for a tool, an agent or all where it does harm, and on again when its time is over.

`watch` measures what a sweep can see, `look_at` what must be answered at once, `note_quota` what a tool says itself. What
an opening does, and how the database lets one caller alone do it, is told in breakers_opening.py.
"""

from collections.abc import Iterable
from datetime import datetime
from math import isfinite

from django.db.models.functions import Now
from django.utils import timezone

from speculation.breakers_limits import last_closings, read_rules
from speculation.breakers_measured import Watch, measure
from speculation.breakers_open import open_now
from speculation.breakers_opening import close_by_itself, close_lapsed, enforce, open_breaker
from speculation.engine.breaking import Figure, Kind, Subject, judge
from speculation.models import AgentProfile, BreakerOpening, ToolQuota, ToolRecord

SWEPT = (Kind.WASTE, Kind.INTERFERENCE, Kind.ERRORS, Kind.UNSTARTED)
AT_ONCE = (Kind.DIVERGENCE, Kind.AUTH)


def watch() -> list[BreakerOpening]:
    """One look at all that a sweep can measure. Returns what it opened; what is over by time is closed.

    What is open is enforced again, in case whoever opened it was lost before it had given up all that was queued.
    """
    close_lapsed()
    for opening in open_now():
        enforce(opening)
    return _look(SWEPT, [*_tools(), *_agents(), Subject()])


def look_at(tool: ToolRecord) -> list[BreakerOpening]:
    """Right after a re-run of the tool contradicted a served result, or its credentials were refused."""
    return _look(AT_ONCE, [Subject(tool=tool.pk), *_agents(), Subject()])


def note_quota(tool: ToolRecord, left: float, resets_at: datetime | None = None) -> BreakerOpening | None:
    """The tool says how much of its quota is left. Below the floor it runs early no more until the quota is reset."""
    if not isfinite(left):
        return None
    said = {"left": left, "resets_at": resets_at, "noted_at": Now()}
    if not ToolQuota.objects.filter(tool=tool).update(**said):
        ToolQuota.objects.bulk_create([ToolQuota(tool=tool, left=left, resets_at=resets_at)], ignore_conflicts=True)
    subject = Subject(tool=tool.pk)
    trips = judge(Kind.QUOTA, [Figure(subject, left)], read_rules().limits(Kind.QUOTA, [subject]))
    opened = open_now().filter(kind=Kind.QUOTA, tool=tool).first()
    if opened is not None and not trips:
        close_by_itself(opened, f"{left:g} of its quota left again.")
    if opened is not None or not trips:
        return None
    is_later = resets_at is not None and resets_at > timezone.now()
    return open_breaker(trips[0], resets_at if is_later else None)


def _look(kinds: Iterable[Kind], subjects: list[Subject]) -> list[BreakerOpening]:
    rules, closed = read_rules(), last_closings()
    opened = []
    for kind in kinds:
        limits = rules.limits(kind, subjects)
        watches = [Watch(subject, one, closed.get((kind, subject))) for subject, one in limits.items()]
        trips = judge(kind, measure(kind, watches), limits, _open_subjects(kind))
        opened += [opening for trip in trips if (opening := open_breaker(trip)) is not None]
    return opened


def _open_subjects(kind: Kind) -> frozenset[Subject]:
    return frozenset(Subject(*row) for row in open_now().filter(kind=kind).values_list("tool", "agent"))


def _tools() -> list[Subject]:
    return [Subject(tool=key) for key in ToolRecord.objects.values_list("pk", flat=True)]


def _agents() -> list[Subject]:
    return [Subject(agent=key) for key in AgentProfile.objects.values_list("pk", flat=True)]
