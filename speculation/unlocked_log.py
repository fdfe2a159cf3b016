"""Several events and a new job beside them, in one statement, of a session that nobody has locked."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from datetime import datetime
from typing import Any

from django.db import transaction

from speculation import rows
from speculation.events import NO_SCOPES, SessionLog, bell
from speculation.models import Session, ToolJob

# The update is the lock, and one statement needs no transaction around it. Seqs count from 1 in the rows given.
_WRITE = """
WITH stepped AS (
    UPDATE speculation_session SET last_seq = last_seq + %s
    WHERE id = %s AND attempt = %s AND epoch = %s AND ended_at IS NULL
    RETURNING id, last_seq - %s AS seq_before
), beside AS ({beside})
INSERT INTO speculation_eventrecord (session_id, seq, kind, at, payload)
SELECT id, seq_before + seq, kind, clock_timestamp() - ago * interval '1 second', payload
FROM stepped, json_to_recordset(%s::json) AS row (seq int, kind text, ago float, payload jsonb)
RETURNING seq
"""


class UnlockedLog(SessionLog):
    """All that is told is written if the session is as it was seen."""

    def __init__(self, session: Session) -> None:
        super().__init__(copy(session), NO_SCOPES)
        self.session.last_seq = 0
        self._ago = 0.0

    @contextmanager
    def ago(self, seconds: float) -> Iterator[None]:
        """What is appended in here happened so long before it is written."""
        self._ago = seconds
        try:
            yield
        finally:
            self._ago = 0.0

    def append(self, kind: str, at: datetime | None = None, **payload: Any) -> int:
        """As in a SessionLog; the seq counts from 1."""
        assert at is None, "moments are told as so many seconds ago"
        self.session.last_seq += 1
        row = {"seq": self.session.last_seq, "kind": kind, "ago": self._ago, "payload": payload}
        self._rows.append(json.dumps(row))
        return self.session.last_seq

    def write(self, row: ToolJob, computed: rows.Computed) -> bool:
        """The events, and a new job beside them. False, and nothing is written: another attempt owns the session, it has
        ended, or its world has changed. Raises IntegrityError if the job's call has one already.
        """
        session, count = self.session, len(self._rows)
        beside, values = rows.insertion_from("stepped", row, computed)
        parameters = [count, session.pk, session.attempt, session.epoch, count, *values, f"[{','.join(self._rows)}]"]
        with rows.cursor() as cursor:
            cursor.execute(_WRITE.format(beside=beside), parameters)
            seqs = [seq for (seq,) in cursor.fetchall()]
        if seqs:
            transaction.on_commit(lambda: bell.ring(session.pk, max(seqs)))
        return bool(seqs)
