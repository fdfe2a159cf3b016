"""A call of an agent that runs elsewhere, from the endpoint's side: find its session, hand the call in, wait for the answer.

The session itself is run by an agents worker, as any other (remote_loop.py): it survives the web server, and has the same
log, guards and figures. Nobody holds a database connection while waiting.

Errors::

    NotAnswered               the message says what became of the call; `.may_retry` where it was never begun
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from uuid import UUID

from django.db import IntegrityError, connection
from django.db.models.functions import Now
from uuid6 import uuid7

from speculation import rows, submission
from speculation.agent.storable import storable_call
from speculation.agent.types import RequestedCall
from speculation.events import NOTICE_CHANNEL
from speculation.models import AgentProfile, ApiKey, RemoteCall, Session, SessionStatus, ToolJob
from speculation.notices import LOOK_AGAIN_SECONDS, assert_outside_transaction, listener
from speculation.remote_inbox import NOT_TAKEN, bell_of
from tools.base import ToolResult
from tools.running import clean_text

OPEN = (SessionStatus.QUEUED, SessionStatus.RUNNING)
LONGEST_TOOL_CHARACTERS = 200
TAKEN_WITHIN_SECONDS = 30.0
ANSWERED_WITHIN_SECONDS = 3600.0

# The session's row is shared, so that it cannot end between the look at it and the call's arrival.
_HAND_IN = """
WITH open AS (
    SELECT id, owner = '' AND parked_at IS NOT NULL AS is_parked FROM speculation_session
    WHERE submitted_by_id = %s AND agent_id = %s AND client_session = %s AND client_session <> ''
      AND status IN ('queued', 'running') FOR SHARE
), handed_in AS (
    INSERT INTO speculation_remotecall (id, session_id, tool, arguments, said, call_id)
    SELECT %s, id, %s, %s::jsonb, %s, '' FROM open RETURNING session_id
)
SELECT session_id, is_parked, pg_notify(%s, 'calls of ' || session_id) FROM handed_in, open  -- as bell_of has it
"""
_TAKE_OUT = """
DELETE FROM speculation_remotecall WHERE id = %s AND answer IS NOT NULL RETURNING answer, call_id
"""


_AGENT = f"SELECT {rows.columns(AgentProfile)} FROM speculation_agentprofile WHERE model_kind = 'remote' AND name = %s"


class NotAnswered(Exception):
    """The call has no answer. `may_retry`: it was never begun, so asking again does nothing twice."""

    def __init__(self, message: str, *, may_retry: bool) -> None:
        super().__init__(message)
        self.may_retry = may_retry


@dataclass(frozen=True)
class Caller:
    """Who calls: a key, for one agent, in one of its client's sessions. `client` is how the client names itself."""

    key: ApiKey
    agent: AgentProfile
    client_session: str
    client: str = ""

    def in_session(self, named: str, client: str = "") -> "Caller":
        """The same caller, where a call itself names its session or its client."""
        name = f"meta {named}" if named else self.client_session
        return replace(self, client_session=name, client=client or self.client)

    @property
    def session_hash(self) -> str:
        """What clients name sessions by may be a secret of theirs, and of any length."""
        return hashlib.sha256(self.client_session.encode("utf-8", "surrogatepass")).hexdigest()


class Answer(NamedTuple):
    """What the agent is told, and where it can be seen: `call_id` within the session."""

    result: ToolResult
    session_id: UUID
    call_id: str


def agent_named(name: str) -> AgentProfile | None:
    """The agent of that name, if it runs elsewhere."""
    found = rows.read(AgentProfile, _AGENT, [name])
    return found[0] if found else None


def ask(caller: Caller, tool: str, arguments: Mapping[str, Any], said: str = "") -> Answer:
    """Raises NotAnswered, SubmissionRefused, Django's database errors. Runs in a thread that may wait for long."""
    assert_outside_transaction()
    _check(tool, arguments)
    said, taken_by = clean_text(said), time.monotonic() + TAKEN_WITHIN_SECONDS
    call = RemoteCall(tool=tool, arguments=arguments, said=said)
    while True:
        answer = _ask_once(caller, call, taken_by)
        if answer is not None:
            return answer
        if time.monotonic() > taken_by:
            raise NotAnswered(_NOBODY, may_retry=True)


def _check(tool: str, arguments: Mapping[str, Any]) -> None:
    """A call is never changed behind its model's back: what cannot be stored is not run."""
    if problem := storable_call(RequestedCall("", tool, arguments)).problem:
        raise NotAnswered(problem, may_retry=False)
    if len(tool) > LONGEST_TOOL_CHARACTERS:
        raise NotAnswered(f"No tool has a name of {len(tool)} characters.", may_retry=False)


_NOBODY = f"No worker has taken the call within {TAKEN_WITHIN_SECONDS:.0f} s. Nothing was run; try again later."
_LOST = "The session ended before this call was answered, so its outcome is unknown. Check what has happened before you go on."


def leave(caller: Caller) -> bool:
    """The client makes no more calls: its session ends now instead of when it has been quiet for long. False: none is open."""
    session_id = _find(caller)
    if session_id is None:
        return False
    Session.objects.filter(pk=session_id, client_left_at=None).update(client_left_at=Now())
    with rows.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [NOTICE_CHANNEL, bell_of(session_id)])
    submission.wake(session_id)
    return True


def _find(caller: Caller) -> UUID | None:
    mine = Session.objects.filter(submitted_by=caller.key, agent=caller.agent, client_session=caller.session_hash)
    return mine.filter(status__in=OPEN).values_list("pk", flat=True).first()


def _open(caller: Caller, said: str) -> None:
    """Another request of the same client may have opened one at this moment: then there is one."""
    with suppress(IntegrityError):
        submission.open_remote(
            caller.agent, said, client=caller.client, client_session=caller.session_hash, submitted_by=caller.key
        )


def _ask_once(caller: Caller, call: RemoteCall, taken_by: float) -> Answer | None:
    """None: the session ended before it took the call, so it may be asked in another."""
    call.pk = uuid7()
    with listener().waiting_for(call.pk) as bell:
        session_id = hand_in(caller, call)
        if session_id is None:
            _open(caller, call.said)
            return None
        until = time.monotonic() + ANSWERED_WITHIN_SECONDS
        while True:
            connection.close()
            bell.wait(LOOK_AGAIN_SECONDS)
            bell.clear()
            if (answer := _taken_out(session_id, call.pk)) is not None:
                return answer
            if _has_ended(session_id):
                return _taken_out(session_id, call.pk) or _given_up(call.pk)
            if time.monotonic() > taken_by and _withdrawn(call.pk):
                raise NotAnswered(_NOBODY, may_retry=True)
            if time.monotonic() > until:
                raise NotAnswered(_LOST, may_retry=False)


def hand_in(caller: Caller, call: RemoteCall) -> UUID | None:
    """The open session that has the call now, woken where it was parked; None where none is open."""
    whose = [caller.key.pk, caller.agent.pk, caller.session_hash]
    what = [call.pk, call.tool, json.dumps(call.arguments), call.said]
    with rows.cursor() as cursor:
        cursor.execute(_HAND_IN, [*whose, *what, NOTICE_CHANNEL])
        found = cursor.fetchone()
    if found is None:
        return None
    session_id: UUID = found[0]
    if found[1]:
        submission.wake(session_id)
    return session_id


def _taken_out(session_id: UUID, pk: UUID) -> Answer | None:
    with rows.cursor() as cursor:
        cursor.execute(_TAKE_OUT, [pk])
        found = cursor.fetchone()
    if found is None:
        return None
    told, call_id = json.loads(found[0]), found[1]
    if told.get("attached"):
        told["blocks"] = _blocks(session_id, call_id)
    return Answer(ToolResult.from_json(told), session_id, call_id)


def _blocks(session_id: UUID, call_id: str) -> Sequence[Mapping[str, Any]]:
    """What the answer has beside text: large, so it goes by no log and stands in the job's result alone."""
    own = ToolJob.objects.filter(session=session_id, call_id=call_id)
    return own.values_list("result__blocks", flat=True).first() or ()


def _has_ended(session_id: UUID) -> bool:
    return Session.objects.filter(pk=session_id, ended_at__isnull=False).exists()


def _withdrawn(pk: UUID) -> bool:
    """True for exactly one side: the call was not taken, and now never will be."""
    return RemoteCall.objects.filter(pk=pk, call_id=NOT_TAKEN).delete()[0] == 1


def _given_up(pk: UUID) -> None:
    """Its session has ended: a call that was not taken is asked elsewhere, any other has an unknown outcome."""
    if not _withdrawn(pk):
        RemoteCall.objects.filter(pk=pk).delete()
        raise NotAnswered(_LOST, may_retry=False)
