"""The calls of one remote session, as its owner takes and answers them. The other side of the door: remote_calls.py."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from speculation import events, rows
from speculation.agent.types import Message, RequestedCall
from speculation.events import NOTICE_CHANNEL
from speculation.models import EventRecord, RemoteCall, Session

NOT_TAKEN = ""

_LOOK = """
SELECT cancel_requested_at IS NOT NULL, client_left_at IS NOT NULL,
       EXISTS (SELECT FROM speculation_remotecall WHERE session_id = %(session)s AND call_id = '')
FROM speculation_session WHERE id = %(session)s
"""
_TELL = """
WITH told AS (
    UPDATE speculation_remotecall SET answer = %s::jsonb
    WHERE session_id = %s AND call_id = %s AND answer IS NULL RETURNING id
)
SELECT pg_notify(%s, id::text) FROM told
"""


def bell_of(session_id: UUID) -> str:
    """What rings when a call has come in: apart from the session's own bell, which asks for its end."""
    return f"calls of {session_id}"


class Look(NamedTuple):
    """What stands at the door."""

    is_cancelled: bool
    has_left: bool
    has_calls: bool


class Inbox:
    """One session's calls, for its owner: SessionLost where somebody else is."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def look(self) -> Look:
        with rows.cursor() as cursor:
            cursor.execute(_LOOK, {"session": self._session.pk})
            return Look(*cursor.fetchone())

    def take(self, turn: int, first_index: int, said: str) -> tuple[list[RequestedCall], list[str]]:
        """All that has come in, as calls of this turn from `first_index` on, and what users have said since `said`.

        Both stand in the log, and the calls are taken, in one transaction: whoever goes on with the session finds them there.
        Clients may tell the user's words with each call: they are new only when they are others.
        """
        with events.writing(self._session.pk, attempt=self._session.attempt) as log:
            found = list(
                RemoteCall.objects.filter(session=self._session, call_id=NOT_TAKEN).order_by("created_at", "id")
            )
            calls = [_requested(one, f"{turn}.{first_index + n}") for n, one in enumerate(found)]
            for one, call in zip(found, calls, strict=True):
                RemoteCall.objects.filter(pk=one.pk).update(call_id=call.call_id)
            news = [text for text, _ in groupby([said, *(one.said for one in found if one.said)])][1:]
            for text in news:
                log.append("user_said", text=text)
            if calls:
                _tell_calls(log, turn, calls, is_first=first_index == 0)
        return calls, news

    def tell(self, call_id: str, message: Message) -> None:
        """Put the answer beside its call and wake whoever waits. Twice is once."""
        answer = {"ok": message.ok, "content": message.content, "structured": message.structured}
        values = [json.dumps(answer), self._session.pk, call_id, NOTICE_CHANNEL]
        with rows.cursor() as cursor:
            cursor.execute(_TELL, values)

    def left_open(self) -> Sequence[str]:
        """Calls that an earlier owner took and did not answer here."""
        waiting = RemoteCall.objects.filter(session=self._session, answer__isnull=True).exclude(call_id=NOT_TAKEN)
        return list(waiting.order_by("call_id").values_list("call_id", flat=True))

    def last_turn(self) -> tuple[int, list[RequestedCall]]:
        """The newest turn that has calls, with all of them; (0, []) before the first."""
        told = EventRecord.objects.filter(session=self._session, kind__in=("turn_ended", "turn_extended"))
        last = told.order_by("-seq").first()
        if last is None:
            return 0, []
        turn = int(last.payload["turn"])
        same = told.filter(payload__turn=turn).order_by("seq")
        return turn, [RequestedCall(**call) for record in same for call in record.payload["calls"]]

    def last_answered_at(self) -> datetime | None:
        """When the last call was answered, by the database's clock; None before the first."""
        told = EventRecord.objects.filter(session=self._session, kind="call_returned").order_by("-seq")
        return told.values_list("at", flat=True).first()

    def last_said(self) -> str:
        """The user's last words that stand in the log."""
        said = EventRecord.objects.filter(session=self._session, kind="user_said").order_by("-seq").first()
        return "" if said is None else str(said.payload["text"])


def _requested(one: RemoteCall, call_id: str) -> RequestedCall:
    return RequestedCall(call_id, one.tool, one.arguments, provider_call_id=str(one.pk))


def _tell_calls(log: events.SessionLog, turn: int, calls: Iterable[RequestedCall], *, is_first: bool) -> None:
    told: list[Mapping[str, Any]] = [asdict(call) for call in calls]
    if is_first:
        log.append("turn_ended", turn=turn, text="", calls=told, finish_reason="tool_calls", usage={})
    else:
        log.append("turn_extended", turn=turn, calls=told)
