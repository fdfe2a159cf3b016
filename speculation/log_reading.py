"""Reads a session's log into its story, as far as the story reads it: what tools answered stays in the database."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import BigIntegerField, F, Func, TextField

from speculation.models import EventRecord
from speculation.story import Story

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BYTES_IN_MEMORY = 3
"""For each byte of JSON that was read, roughly, what its story takes."""


class _LogEntry(NamedTuple):
    seq: int
    kind: str
    at: datetime
    payload: Mapping[str, Any]


_WITHOUT_ANSWERS = Func(
    F("payload"),
    template="((%(expressions)s - '{content,structured}'::text[])::text)",
    output_field=TextField(),
)
_MICROSECONDS = Func(
    F("at"),
    template="((EXTRACT(EPOCH FROM %(expressions)s) * 1000000)::bigint)",
    output_field=BigIntegerField(),
)
"""A text read as one and a number: a long log is read in a third of the time that its model instances take."""


def read_on(session_id: UUID, story: Story) -> int:
    """Take in what the log has gained; returns about how many bytes of memory that took."""
    found = EventRecord.objects.filter(session=session_id, seq__gt=story.last_seq).order_by("seq")
    rows = list(found.values_list("seq", "kind", _MICROSECONDS, _WITHOUT_ANSWERS))
    texts = f"[{','.join(text for *_, text in rows)}]"
    for (seq, kind, at, _), payload in zip(rows, json.loads(texts), strict=True):
        story.add(_LogEntry(seq, kind, EPOCH + timedelta(microseconds=at), payload))
    return len(texts) * BYTES_IN_MEMORY
