"""Finding the session that somebody means: by its id, or by the end of it, which is what pages show."""

import re
from collections.abc import Sequence
from uuid import UUID

from django.db.models import CharField, QuerySet
from django.db.models.functions import Cast

from speculation.models import Session

MOST_OFFERED = 20
LEAST_DIGITS = 4


class NotFound(ValueError):
    """No session, or more than one, is meant; the message says so."""


def find_session(text: str) -> Session:
    """The session whose id is `text`, ends in it, or stands in it (an address was pasted). Raises NotFound."""
    digits = _digits(text)
    if len(digits) < LEAST_DIGITS:
        raise NotFound("Give a session's id, or its last 8 characters.")
    found = list(_sessions().filter(id_text__endswith=digits)[:2])
    if not found:
        raise NotFound(f"No session's id ends in {digits[-8:]}.")
    if len(found) > 1:
        raise NotFound(f"More than one session's id ends in {digits}. Give more of it.")
    return found[0]


def _digits(text: str) -> str:
    """The id as the database writes it, with its dashes; else the hexadecimal digits at the end."""
    text = text.strip().strip("/").lower()
    whole = re.search(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", text)
    if whole:
        return str(UUID(whole[0]))
    tail = re.fullmatch(r"[0-9a-f-]+", text)
    return tail[0].lstrip("-") if tail else ""


def other_arm(session: Session) -> Session | None:
    """Its pair: the same task, run with the other arm."""
    return session.pair


def same_task(session: Session) -> Sequence[Session]:
    """The newest other sessions of this agent with this task."""
    return _sessions().filter(agent=session.agent_id, task=session.task).exclude(pk=session.pk)[:MOST_OFFERED]


def newest_sessions() -> Sequence[Session]:
    return _sessions()[:MOST_OFFERED]


def _sessions() -> QuerySet[Session]:
    found = Session.objects.select_related("agent", "pair__agent").annotate(id_text=Cast("id", CharField()))
    return found.order_by("-created_at")
