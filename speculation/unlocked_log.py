"""One move of a job, or a new one, with the events and notices that go with it: all in one statement, of a session that
nobody has locked. The statement locks the session's row itself, and needs no transaction around it.

For calls that change nothing: what is to be told of them depends on nothing that only a lock would hold still.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q

from speculation import rows
from speculation.bells import bell
from speculation.events import NO_SCOPES, NOTICE_CHANNEL, SessionLog
from speculation.models import Session, ToolJob

# First the session's row, then the job's, as everybody locks them. Who waited for either sees it as it is by then, and
# its conditions are asked again. Seqs count from 1 in the rows given.
_WRITE = """
WITH locked AS MATERIALIZED (
    SELECT id, last_seq FROM speculation_session WHERE id = %s AND ended_at IS NULL{only_if} FOR NO KEY UPDATE
), beside AS (
    {beside} RETURNING session_id, extract(epoch FROM ended_at - started_at) AS run_seconds
), stepped AS (
    UPDATE speculation_session SET last_seq = last_seq + %s WHERE id IN (SELECT session_id FROM beside)
), told AS (
    INSERT INTO speculation_eventrecord (session_id, seq, kind, at, payload)
    SELECT session_id, last_seq + seq, kind, clock_timestamp() - ago * interval '1 second',
           CASE kind WHEN 'job_ended' THEN payload || jsonb_build_object('run_seconds', run_seconds) ELSE payload END
    FROM locked, beside, json_to_recordset(%s::json) AS row (seq int, kind text, ago float, payload jsonb)
    RETURNING seq
)
SELECT (SELECT max(seq) FROM told), (SELECT count(pg_notify(%s, key)) FROM beside, unnest(%s::text[]) AS key)
"""
_OWNED = " AND attempt = %s AND epoch = %s"
_UNKNOWN = """ AND NOT EXISTS (
        SELECT FROM speculation_tooljob
        WHERE session_id = %s AND (call_id = %s OR call_id IS NULL AND fingerprint = ANY(%s))
    )"""


class UnlockedLog(SessionLog):
    """Takes one row's change and the events beside it as if all went well; `write` says whether it did."""

    def __init__(self, session: Session, *, owned: bool = False) -> None:
        """`owned`: by the caller; it may be nobody else's by then, and its world must be as it was seen."""
        super().__init__(copy(session), NO_SCOPES)
        self._only_if: list[tuple[str, list[Any]]] = [(_OWNED, [session.attempt, session.epoch])] if owned else []
        self.session.last_seq = 0
        self._ago = 0.0
        self._beside: tuple[str, list[Any]]
        self._take_back: Callable[[], None] = lambda: None

    def only_if_unknown(self, call_id: str, fingerprints: Sequence[str]) -> None:
        """The session has no job of this call and no guess, of any time, at such work."""
        self._only_if.append((_UNKNOWN, [self.session.pk, call_id, list(fingerprints)]))

    @contextmanager
    def ago(self, seconds: float) -> Iterator[None]:
        """What is appended in here happened so long before it is written."""
        self._ago = seconds
        try:
            yield
        finally:
            self._ago = 0.0

    def append(self, kind: str, at: datetime | None = None, **payload: Any) -> int:
        """As in a SessionLog; the seq counts from 1. How long a job ran is filled in where it is written."""
        assert at is None, "moments are told as so many seconds ago"
        self.session.last_seq += 1
        row = {"seq": self.session.last_seq, "kind": kind, "ago": self._ago, "payload": payload}
        self._rows.append(json.dumps(row))
        return self.session.last_seq

    def insert(self, job: ToolJob, computed: rows.Computed) -> None:
        self._beside = rows.insertion_from("locked", job, computed)

    def move(self, job: ToolJob, *conditions: Q, fields: Mapping[str, Any]) -> bool:
        """True: the job is as it will be, but for what the database works out; as it was again if `write` fails."""
        self._beside = rows.update_beside("session_id IN (SELECT id FROM locked)", job, *conditions, fields=fields)
        self._take_back = partial(job.__dict__.update, {name: getattr(job, name) for name in fields})
        for name, value in fields.items():
            if not hasattr(value, "resolve_expression"):
                setattr(job, name, value)
        return True

    def write(self) -> bool:
        """False, and nothing is written: the session has ended, what was to be so is not, or the job may not move so.

        Raises IntegrityError if a new job's call has one already.
        """
        session, (beside, values) = self.session, self._beside
        conditions = [text for text, _ in self._only_if]
        text = _WRITE.format(only_if="".join(conditions), beside=beside)
        given = [session.pk, *(value for _, values in self._only_if for value in values)]
        events = [session.last_seq, f"[{','.join(self._rows)}]", NOTICE_CHANNEL, self._notices]
        seq = None
        try:
            with rows.cursor() as cursor:
                cursor.execute(text, [*given, *values, *events])
                seq, _ = cursor.fetchone()
        finally:
            if seq is None:
                self._take_back()
        if seq is not None:
            transaction.on_commit(lambda: bell.ring(session.pk, seq))
        return seq is not None
