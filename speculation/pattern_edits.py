"""What operators say of patterns: switched off, another probability, another mapping. Each change is a numbered version.

An edit is one transaction that holds the pattern's row: the override columns, the PatternEdit and the audit entry. Mining
writes other columns of the row, so neither undoes the other. Predictors notice within a second (learning.Shelf).

Errors::

    EditError
    ├── EditOutdated   someone edited the pattern since it was read; nothing was stored
    └── EditRefused    a mapping that the engine cannot read, a version that is not there
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from speculation.engine.mapping import SourceError, parse_source
from speculation.engine.roster import AGAIN_RANKS, WHOLE, again_text
from speculation.models import AuditEntry, PatternEdit, PatternRecord

MOST_COUNTED = 1e9
AGAIN = frozenset(map(again_text, range(AGAIN_RANKS)))


class EditError(Exception):
    """Nothing was changed; the message says why."""


class EditOutdated(EditError):
    """`pattern` is what it is now, `newest` the edit that came between."""

    def __init__(self, pattern: PatternRecord, newest: PatternEdit | None) -> None:
        super().__init__("This pattern was edited since you read it. Nothing was stored; look at it again.")
        self.pattern, self.newest = pattern, newest


class EditRefused(EditError):
    """The edit itself cannot be."""


@dataclass(frozen=True)
class Word:
    """An operator's word about one pattern: the override columns. As it is made: what was mined stands."""

    enabled: bool = True
    probability_override: float | None = None
    mapping_override: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, pattern: PatternRecord) -> "Word":
        return cls(pattern.enabled, pattern.probability_override, pattern.mapping_override)

    @property
    def is_said(self) -> bool:
        return self != Word()


AS_MINED = Word()
COLUMNS = tuple(asdict(AS_MINED))


@dataclass(frozen=True)
class Author:
    """Who edits, and why."""

    who: str
    user: AbstractBaseUser | None = None
    why: str = ""


def edit(
    pattern: PatternRecord, author: Author, *, expected_number: int | None = None, **said: Any
) -> PatternEdit | None:
    """Store these override columns; others stay. None: they are so already. Raises EditOutdated, EditRefused.

    `expected_number`: of the newest edit that the author has read (0: there was none); None says it over whatever is there.
    """
    with transaction.atomic():
        held = PatternRecord.objects.select_for_update(no_key=True).get(pk=pattern.pk)
        _refuse_outdated(held, expected_number)
        return _write(held, replace(Word.of(held), **said), author, None)


def revert(
    pattern: PatternRecord, number: int, author: Author, *, expected_number: int | None = None
) -> PatternEdit | None:
    """Bring back the word of an earlier version, as a new one; 0 is what was mined. Raises as `edit` does."""
    with transaction.atomic():
        held = PatternRecord.objects.select_for_update(no_key=True).get(pk=pattern.pk)
        _refuse_outdated(held, expected_number)
        earlier = PatternEdit.objects.filter(pattern=held, number=number).first()
        if earlier is None and number:
            raise EditRefused(f"This pattern has no version {number}.")
        return _write(held, Word(**earlier.after) if earlier else AS_MINED, author, number)


def switch(patterns: Iterable[PatternRecord], on: bool, author: Author) -> int:
    """Enable or disable each of these. Returns how many were not so already. Each is a transaction of its own, so that
    mining, which writes many rows in an order of its own, never waits for us while we wait for it."""
    return sum(edit(pattern, author, enabled=on) is not None for pattern in patterns)


def newest_number(pattern: PatternRecord) -> int:
    """Of the newest edit; 0 before the first."""
    return PatternEdit.objects.filter(pattern=pattern).aggregate(newest=Max("number"))["newest"] or 0


def why_unreadable(mapping: Any) -> str:
    """Why the engine cannot read this mapping, in words for whoever typed it; empty if it can."""
    if not isinstance(mapping, dict):
        return 'A mapping is an object: {"argument": [["source", right, available], ...]}.'
    return next(filter(None, (_why_unreadable(argument, sources) for argument, sources in mapping.items())), "")


def _why_unreadable(argument: str, sources: Any) -> str:
    if not isinstance(sources, list) or not all(map(_is_counted, sources)):
        return f"{argument}: takes a list of [source, right, available]."
    try:
        for one in sources:
            _read_whole(one[0]) if argument == WHOLE else parse_source(one[0])
    except SourceError as problem:
        return f"{argument}: {problem}"
    return ""


def _is_counted(one: Any) -> bool:
    is_triple = isinstance(one, list) and len(one) == 3 and isinstance(one[0], str)
    return is_triple and all(type(count) in (int, float) and 0 <= count <= MOST_COUNTED for count in one[1:])


def _read_whole(text: str) -> None:
    """A whole call: an earlier one again, or one source an argument. Raises SourceError."""
    if text in AGAIN:
        return
    try:
        parts = json.loads(text)
    except ValueError:
        parts = None
    if not isinstance(parts, dict) or not all(isinstance(source, str) for source in parts.values()):
        raise SourceError(f'"again 0" or {{"argument": "source"}} is expected, not {text!r}')
    for source in parts.values():
        parse_source(source)


def _refuse_outdated(held: PatternRecord, expected_number: int | None) -> None:
    if expected_number is not None and newest_number(held) != expected_number:
        raise EditOutdated(held, PatternEdit.objects.filter(pattern=held).first())


def _write(held: PatternRecord, word: Word, author: Author, reverts_to: int | None) -> PatternEdit | None:
    """The caller holds the row."""
    before, after = asdict(Word.of(held)), asdict(word)
    changed = [name for name in COLUMNS if before[name] != after[name]]
    if not changed:
        return None
    if why := why_unreadable(word.mapping_override) if word.mapping_override is not None else "":
        raise EditRefused(why)
    PatternRecord.objects.filter(pk=held.pk).update(**after, overridden_by=author.who, overridden_at=Now())
    AuditEntry.objects.create(
        who=author.who,
        user=author.user,
        what=f"pattern record {_verb(changed, word, reverts_to)}: {held}"[:200],
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
        why=author.why,
    )
    return PatternEdit.objects.create(
        pattern=held,
        number=newest_number(held) + 1,
        before=before,
        after=after,
        mined_version=held.version,
        reverts_to=reverts_to,
        user=author.user,
        who=author.who,
        why=author.why,
    )


def _verb(changed: Iterable[str], word: Word, reverts_to: int | None) -> str:
    if reverts_to is not None:
        return f"reverted to version {reverts_to}" if reverts_to else "reverted to what was mined"
    if list(changed) == ["enabled"]:
        return "enabled" if word.enabled else "disabled"
    return "changed"
