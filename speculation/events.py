"""Append to a session's log, and tell the watchers once it is committed. The log is the truth; watchers only hear a bell.

Every kind, with its payload. All readers (timeline, figures, mining, resume, API, pages) rest on this list. `call_id` is
"turn.index" (turns from 1, indices from 0); `job` is a ToolJob's id as text; times are in the row's own `at`.

session_queued     {agent, task, arm, model, scripted, elsewhere?}      elsewhere: its agent runs elsewhere, and nobody hears its model
session_started    {attempt, owner}            session_resumed {attempt, owner, parked?}      parked: no worker was lost; there was
                    nothing to do for one
user_said          {text}                      the task itself is the first
turn_started       {turn, attempt}             the request to the model is sent
turn_queued        {turn}                      its endpoint serves as many requests as it may; only where a limit is set
turn_seated        {turn}                      the wait is over, the request is sent
first_token        {turn}
tool_named         {turn, index, tool}
arguments_sealed   {turn, index, call_id, tool}
turn_ended         {turn, text, calls: [{call_id, tool, arguments, provider_call_id, problem}], finish_reason, usage}
turn_extended      {turn, calls}                further calls of a turn that has ended: a remote agent's client sends a turn's calls
                    one by one
predicted          {turn, candidates: [{tool, arguments, probability, utility, pattern, verdict, job?, after?}],
                    abstained: [{tool, reason}]}           verdict: "admitted" or a refusal's reason; after: [{tool,
                    arguments}], the guesses with known results that this one stands on, in order
job_queued         {job, tool, arguments, effect, speculative, call_id?, epoch, probability?, utility?, pattern?, sources?,
                    warm_up?, price?}          warm_up: it runs what makes a call quicker, not the call, and answers none;
                    price: what the guess costs if nobody asks for it, as text; only where its tool has one
job_started        {job, attempt}
job_ended          {job, status: succeeded|failed, ok, run_seconds, speculative}
job_preempted      {job, reason}               the row is given up at once; job_released tells when its worker let go.
                    reason: "slot needed", "replaced by a better guess", "not started in time", "worker lost", "refuted by
                    what the model wrote" (counted as a miss if nobody asks for it later), or one of job_discarded's
job_released       {job}
job_discarded      {job, reason: miss|expired|invalidated|revoked|session_ended|the whole did not give this part}
job_retried        {job, reason}
call_asked         {call_id, turn, tool, arguments, effect, job, outcome: used|joined|raised|requested, reason, part_of?}
                    used: a finished speculation served it; joined: a running one; raised: a queued one; requested: none,
                    and `reason` says why ("not predicted", "expired", "world changed", "writes: not eligible", ...);
                    part_of: the job's own arguments, where it is a whole of which the call asks for a part; if it turns
                    out not to give that, it is discarded and the call has a second call_asked with its new job
call_returned      {call_id, turn, tool, job, ok, content, structured, unknown_outcome}     what the model was told (and "attached"): once a
                    call, in the transaction that ends its job or finds it ended
check_queued       {job, of, call_id, tool}    a served guess is run again, to see whether it was right
checked            {job, of, call_id, differs_at}      differs_at: where the two results differ, empty if nowhere
epoch_stepped      {epoch, call_id}
session_ended      {status, answer, error, as_of?}        as_of: when its work was over, where only a wait for more came after
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q

from speculation import rows
from speculation.bells import bell
from speculation.models import JobStatus, ResourceScope, Session, ToolJob

NOTICE_CHANNEL = "paste_jobs"
NO_SCOPES: Mapping[str, int] = MappingProxyType({})


# clock_timestamp() is the clock at this very row, unlike now(), which stands still within a transaction. One statement,
# since each one more is a round trip that somebody's call waits for.
_FLUSH = """
WITH stepped AS (
    UPDATE speculation_session SET last_seq = %(last_seq)s, epoch = %(epoch)s WHERE id = %(session)s
), told AS (
    INSERT INTO speculation_eventrecord (session_id, seq, kind, at, payload)
    SELECT %(session)s, seq, kind, coalesce(at, clock_timestamp()), payload
    FROM json_to_recordset(%(rows)s::json) AS row (seq int, kind text, at timestamptz, payload jsonb)
)
SELECT pg_notify(%(channel)s, key) FROM unnest(%(notices)s::text[]) AS key
"""


# One event and nothing else: the update is the lock, and one statement needs no transaction around it.
_APPEND = """
WITH stepped AS (
    UPDATE speculation_session SET last_seq = last_seq + 1
    WHERE id = %(session)s
      AND (%(attempt)s::int IS NULL OR attempt = %(attempt)s::int AND ended_at IS NULL)
    RETURNING last_seq
)
INSERT INTO speculation_eventrecord (session_id, seq, kind, at, payload)
SELECT %(session)s, last_seq, %(kind)s, clock_timestamp(), %(payload)s::jsonb FROM stepped RETURNING seq
"""


_LOCK = f"SELECT {rows.columns(Session)} FROM speculation_session WHERE id = %s FOR NO KEY UPDATE"


class SessionLost(Exception):
    """Another worker owns the session now (its attempt moved on), or it has ended: stop and write nothing."""

    def __init__(self, session: Session) -> None:
        super().__init__(f"session {session.short_id} is no longer ours")


class SessionLog:
    """One session, locked, with the events and the epoch that this transaction adds to it."""

    def __init__(self, session: Session, scopes: Mapping[str, int]) -> None:
        self.session = session
        self.scopes = scopes
        """Epochs of the shared states that this transaction has locked."""
        self._rows: list[str] = []
        self._notices: list[str] = []

    def append(self, kind: str, at: datetime | None = None, **payload: Any) -> int:
        """Add an event; returns its seq. `at` only for what happened before this transaction began."""
        self.session.last_seq += 1
        row = {"seq": self.session.last_seq, "kind": kind, "at": at and at.isoformat(), "payload": payload}
        self._rows.append(json.dumps(row))
        return self.session.last_seq

    def insert(self, job: ToolJob, computed: rows.Computed) -> None:
        """A new job of the session; what the database works out is read back. Raises IntegrityError."""
        rows.insert(job, computed)

    def move(self, job: ToolJob, *conditions: Q, fields: Mapping[str, Any]) -> bool:
        """Change a job of the session where all conditions hold; True if it did, and then `job` is as it is now."""
        return rows.update(job, *conditions, fields=fields)

    def notify(self, key: object) -> None:
        """Wake whoever waits for `key` (a job) once this transaction is committed."""
        self._notices.append(str(key))

    @property
    def is_changing(self) -> bool:
        """True while a call that may change something runs: nothing is speculated or promoted meanwhile."""
        return self.session.epoch % 2 == 1

    def begin_change(self, call_id: str, scope: str = "") -> None:
        """The world may change from here on. A second start of the same call steps on to the next odd epoch."""
        self._step_epoch(self.session.epoch + 1 + self.session.epoch % 2, call_id)
        self._step_scope(scope)

    def end_change(self, call_id: str, scope: str = "", *, is_over: bool = True) -> None:
        """A change has ended, whatever came of it. `is_over`: no other of the session runs; else the epoch stays odd."""
        if self.is_changing:
            self._step_epoch(self.session.epoch + (1 if is_over else 2), call_id)
        self._step_scope(scope)

    def scope_is_changing(self, scope: str) -> bool:
        """True while a call of any session that may change this shared state runs, or will be run again."""
        if not scope:
            return False
        again = Q(status=JobStatus.QUEUED, attempt__gt=0)
        changing = Q(call_id__isnull=False) & ~Q(effect="none") & (Q(status=JobStatus.RUNNING) | again)
        return ToolJob.objects.filter(changing, scope=scope).exists()

    def _step_scope(self, scope: str) -> None:
        if scope:
            assert scope in self.scopes, "a change of shared state is made under the scope's lock"
            ResourceScope.objects.filter(pk=scope).update(epoch=F("epoch") + 1)

    def _step_epoch(self, epoch: int, call_id: str) -> None:
        self.session.epoch = epoch
        self.append("epoch_stepped", epoch=epoch, call_id=call_id)

    def flush(self) -> None:
        """Write what was gathered, in one statement. Called once, by `writing`, inside its transaction."""
        if not self._rows and not self._notices:
            return
        with rows.cursor() as cursor:
            cursor.execute(
                _FLUSH,
                {
                    "session": self.session.pk,
                    "last_seq": self.session.last_seq,
                    "epoch": self.session.epoch,
                    "rows": f"[{','.join(self._rows)}]",
                    "channel": NOTICE_CHANNEL,
                    "notices": self._notices,
                },
            )
        if self._rows:
            seq, pk = self.session.last_seq, self.session.pk
            transaction.on_commit(lambda: bell.ring(pk, seq))


@contextmanager
def writing(
    session_id: UUID, *, attempt: int | None = None, scopes: Mapping[str, int] = NO_SCOPES
) -> Iterator[SessionLog]:
    """The session's row locked for one transaction. `attempt`: the caller's ownership, checked under the lock.

    `scopes`: epochs of shared states that the caller has locked before.

    Raises SessionLost if the attempt has moved on, Session.DoesNotExist if there is none.
    """
    with transaction.atomic(savepoint=False):
        session = _locked(session_id)
        if attempt is not None and (session.attempt != attempt or session.has_ended):
            raise SessionLost(session)
        session_log = SessionLog(session, scopes)
        yield session_log
        session_log.flush()


def _locked(session_id: UUID) -> Session:
    """As text: composing the statement anew would cost more than asking it. Raises Session.DoesNotExist."""
    for session in rows.read(Session, _LOCK, [session_id]):
        return session
    raise Session.DoesNotExist


def append(session_id: UUID, kind: str, *, as_attempt: int | None = None, **payload: Any) -> int:
    """One event in a statement of its own: a stream writes many, and a lock, an insert and a commit were four round trips.

    `as_attempt` as in `writing`, with its errors. Returns the event's seq.
    """
    values = {"session": session_id, "attempt": as_attempt, "kind": kind, "payload": json.dumps(payload)}
    with rows.cursor() as cursor:
        cursor.execute(_APPEND, values)
        written = cursor.fetchone()
    if written is None:
        raise SessionLost(Session.objects.get(pk=session_id))
    seq: int = written[0]
    transaction.on_commit(lambda: bell.ring(session_id, seq))
    return seq
