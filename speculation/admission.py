"""Which waiting session runs next. A broker's message is a token that some session waits; this says which.

So messages may be lost, doubled or come in any order. Whoever admits holds a lock, so what the rule counted is still
true when the session starts; the claim itself is the conditional update of sessions.py, so that a cancellation wins or
loses against it as ever. A session whose worker was lost goes before all others: it had its turn.
"""

from collections.abc import Iterator
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from speculation import sessions
from speculation.engine.fair_share import Line, in_turn
from speculation.models import Session, SessionStatus
from speculation.parties import is_bounded
from speculation.turnstiles import Turnstile, go_through

_LINES = """
SELECT first.party, first.id, extract(epoch FROM clock_timestamp() - first.created_at)::float8,
    (SELECT count(*) FROM speculation_session AS other
        WHERE other.party = first.party AND other.status = 'running'
          AND (other.parked_at IS NULL OR other.lease_until IS NOT NULL)),
    (SELECT extract(epoch FROM clock_timestamp() - max(other.started_at))::float8
        FROM speculation_session AS other WHERE other.party = first.party)
FROM (
    SELECT DISTINCT ON (party) party, id, created_at FROM speculation_session
    WHERE status = 'queued' ORDER BY party, created_at, id
) AS first
"""


def admit(owner: str) -> Session | None:
    """Claim for `owner` the session whose turn it is. None: nothing waits, or nothing that waits may start."""
    with transaction.atomic():
        go_through(Turnstile.ADMIT)
        for session_id in _in_turn():
            if _is_free(session_id) and (session := sessions.claim(session_id, owner)):
                return session
    return None


def next_held_back() -> UUID | None:
    """A session that waits though workers may be free, where parties have a limit of running sessions.

    Its token was used up in vain: whoever ends a session sends another.
    """
    if not settings.PASTE_MOST_RUNNING_SESSIONS_A_KEY:
        return None
    return next(_firsts(), None)


def _in_turn() -> Iterator[UUID]:
    lost = Session.objects.filter(status=SessionStatus.RUNNING, lease_until__lte=Now())
    yield from lost.order_by("lease_until", "pk").values_list("pk", flat=True)
    yield from _firsts()


def _firsts() -> Iterator[UUID]:
    """The first of each party's line, in the order of the parties' turn."""
    with connection.cursor() as cursor:
        cursor.execute(_LINES)
        rows = cursor.fetchall()
    first_of = {party: session_id for party, session_id, *_ in rows}
    lines = [_line(party, waited, running, since_start) for party, _, waited, running, since_start in rows]
    return (first_of[line.party] for line in in_turn(lines))


def _line(party: str, waited_seconds: float, running: int, since_last_start_seconds: float | None) -> Line:
    unserved = waited_seconds if since_last_start_seconds is None else min(waited_seconds, since_last_start_seconds)
    most = settings.PASTE_MOST_RUNNING_SESSIONS_A_KEY if is_bounded(party) else 0
    return Line(party, running, waited_seconds, unserved, most_running=most or None)


def _is_free(session_id: UUID) -> bool:
    """False where somebody holds its row, maybe a hung process: admission waits for nobody."""
    row = Session.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=session_id)
    return row.values_list("pk", flat=True).first() is not None
