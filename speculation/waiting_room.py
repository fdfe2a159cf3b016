"""How many sessions may wait, in all and per party. Whoever finds no room learns when to come back."""

from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Extract, Now

from speculation.engine.draining import seconds_until_room
from speculation.models import Session, SessionStatus
from speculation.parties import is_bounded
from speculation.turnstiles import Turnstile, go_through

LATEST_DEPARTURES = 50
RECENT_SECONDS = 300


@dataclass(frozen=True)
class NoRoom:
    """The bound that was met. `is_of_party`: the party's own, not the one of all."""

    waiting: int
    is_of_party: bool
    retry_after_seconds: int

    def __str__(self) -> str:
        whose = " of this API key or user" if self.is_of_party else ""
        return f"All {self.waiting} places for waiting sessions{whose} are taken. Try again in {self.retry_after_seconds} s."


def look(party: str) -> NoRoom | None:
    """The bound that one more session of `party` would break. Nothing is locked: another may be faster."""
    return _bound_met(party, more=1)


def enter(party: str) -> NoRoom | None:
    """The bound that the session which this transaction has stored breaks; None: it may stay.

    Exact: the lock is held until the transaction ends, so whoever comes next counts this one.
    """
    go_through(Turnstile.SUBMIT)
    return _bound_met(party, more=0)


def _bound_met(party: str, more: int) -> NoRoom | None:
    waiting = Session.objects.filter(status=SessionStatus.QUEUED)
    counted = waiting.aggregate(all=Count("pk"), of_party=Count("pk", filter=Q(party=party)))
    if is_bounded(party) and counted["of_party"] + more > settings.PASTE_MOST_QUEUED_SESSIONS_A_KEY:
        own = Session.objects.filter(party=party)
        return _no_room(
            counted["of_party"] + more - 1, settings.PASTE_MOST_QUEUED_SESSIONS_A_KEY, own, is_of_party=True
        )
    if counted["all"] + more > settings.PASTE_MOST_QUEUED_SESSIONS:
        return _no_room(counted["all"] + more - 1, settings.PASTE_MOST_QUEUED_SESSIONS, Session.objects.all())
    return None


def _no_room(waiting: int, most: int, among: QuerySet[Session], *, is_of_party: bool = False) -> NoRoom:
    ago_seconds = Extract(Now() - F("started_at"), "epoch")
    left = among.filter(started_at__isnull=False).order_by("-started_at").annotate(ago_seconds=ago_seconds)
    latest = left.values_list("ago_seconds", flat=True)[:LATEST_DEPARTURES]
    recent = [float(seconds) for seconds in latest if seconds <= RECENT_SECONDS]
    return NoRoom(waiting, is_of_party, seconds_until_room(waiting, most, recent))
