"""Reads a session's log into its story, as far as the story reads it: what tools answered stays in the database."""

import json
from uuid import UUID

from django.db.models import BigIntegerField, F, Func, TextField

from speculation.models import EventRecord
from speculation.story import Story

BYTES_IN_MEMORY = 3
"""For each byte of JSON that was read, roughly, what its story takes."""

_WITHOUT_ANSWERS = Func(
    F("payload"),
    template=(
        "(CASE WHEN %(expressions)s ?| '{content,structured}'::text[] "
        "THEN %(expressions)s - '{content,structured}'::text[] ELSE %(expressions)s END)::text"
    ),
    output_field=TextField(),
)
"""Most entries have no answer, and asking is cheaper than taking nothing away."""
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
    for (seq, kind, moment, _), payload in zip(rows, json.loads(texts), strict=True):
        story.take(seq, kind, moment, payload)
    return len(texts) * BYTES_IN_MEMORY
