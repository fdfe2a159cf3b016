"""The calls of one remote session, as its owner takes and answers them. The other side of the door: remote_calls.py."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from speculation import rows
from speculation.agent.types import Message, RequestedCall
from speculation.bells import bell
from speculation.events import NOTICE_CHANNEL, SessionLost
from speculation.models import EventRecord, RemoteCall, Session

NOT_TAKEN = ""

# The session's row first, as everybody locks it; its owner alone takes calls. What users said is new only where it is
# other than what was said before, since clients may tell it with each call.
_TAKE = """
WITH mine AS MATERIALIZED (
    SELECT id, last_seq, cancel_requested_at IS NOT NULL AS is_cancelled, client_left_at IS NOT NULL AS has_left
    FROM speculation_session WHERE id = %(session)s AND attempt = %(attempt)s AND ended_at IS NULL FOR NO KEY UPDATE
), waiting AS (
    SELECT call.id, tool, arguments, said, %(first)s + row_number() OVER (ORDER BY created_at, call.id) - 1 AS index
    FROM speculation_remotecall AS call, mine
    WHERE session_id = mine.id AND call_id = '' AND NOT is_cancelled
), taken AS (
    UPDATE speculation_remotecall AS call SET call_id = %(turn)s || '.' || index FROM waiting WHERE call.id = waiting.id
), heard AS (
    SELECT said, index FROM (
        SELECT said, index, lag(said, 1, %(said)s) OVER (ORDER BY index) AS before FROM waiting WHERE said <> ''
    ) AS all_said WHERE said <> before
), calls AS (
    SELECT jsonb_agg(jsonb_build_object('call_id', %(turn)s || '.' || index, 'tool', tool, 'arguments', arguments,
        'provider_call_id', id, 'problem', '') ORDER BY index) AS list FROM waiting HAVING count(*) > 0
), new AS (
    SELECT 'user_said' AS kind, jsonb_build_object('text', said) AS payload, index FROM heard
    UNION ALL
    SELECT %(kind)s, %(ended)s::jsonb || jsonb_build_object('calls', list), 1000000000 FROM calls
), numbered AS (
    SELECT kind, payload, row_number() OVER (ORDER BY index) AS number FROM new
), stepped AS (
    UPDATE speculation_session SET last_seq = last_seq + (SELECT count(*) FROM numbered)
    WHERE id IN (SELECT id FROM mine) AND EXISTS (SELECT FROM numbered)
), told AS (
    INSERT INTO speculation_eventrecord (session_id, seq, kind, at, payload)
    SELECT mine.id, last_seq + number, kind, clock_timestamp(), payload FROM mine, numbered RETURNING seq
)
SELECT is_cancelled, has_left, (SELECT list FROM calls), (SELECT jsonb_agg(said ORDER BY index) FROM heard),
       (SELECT max(seq) FROM told)
FROM mine
"""
_LOOK = """
SELECT cancel_requested_at IS NOT NULL OR client_left_at IS NOT NULL
    OR EXISTS (SELECT FROM speculation_remotecall WHERE session_id = %(session)s AND call_id = '')
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


class Taken(NamedTuple):
    """What stood at the door: calls, and what users said that is new. None of either where the session is to end."""

    is_cancelled: bool
    has_left: bool
    calls: Sequence[RequestedCall]
    said: Sequence[str]


class Inbox:
    """One session's calls, for its owner: SessionLost where somebody else is."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def is_wanted(self) -> bool:
        """True if a call has come in, or somebody wants the session to end. Asked by whoever no longer owns it, too."""
        with rows.cursor() as cursor:
            cursor.execute(_LOOK, {"session": self._session.pk})
            return bool(cursor.fetchone()[0])

    def take(self, turn: int, first_index: int, said: str) -> Taken:
        """All that has come in, as calls of this turn from `first_index` on, and what users have said since `said`.

        Both stand in the log, and the calls are taken, in one statement: whoever goes on with the session finds them there.
        Raises SessionLost.
        """
        is_first = first_index == 0
        ended = {"turn": turn, **({"text": "", "finish_reason": "tool_calls", "usage": {}} if is_first else {})}
        values = {
            "session": self._session.pk,
            "attempt": self._session.attempt,
            "turn": str(turn),
            "first": first_index,
            "said": said,
            "kind": "turn_ended" if is_first else "turn_extended",
            "ended": json.dumps(ended),
        }
        with rows.cursor() as cursor:
            cursor.execute(_TAKE, values)
            found = cursor.fetchone()
        if found is None:
            raise SessionLost(self._session)
        is_cancelled, has_left, calls, news, seq = found
        if seq is not None:
            bell.ring(self._session.pk, seq)
        return Taken(is_cancelled, has_left, [RequestedCall(**call) for call in _json(calls)], _json(news))

    def tell(self, call_id: str, message: Message) -> None:
        """Put the answer beside its call and wake whoever waits. Twice is once."""
        answer: dict[str, Any] = {"ok": message.ok, "content": message.content, "structured": message.structured}
        if message.attached:
            answer["attached"] = True
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


def _json(text: str | None) -> list[Any]:
    """A list that the database made, which it gives as text."""
    return [] if text is None else list(json.loads(text))
