"""Which file an agent turns to next: one score out of what it did with each file, and where each was named.

The score of a file is a sum of weights, one from each table of file_weights.py, as in a logistic model: differences of
scores are differences of log odds. The weights were fitted on one coding agent; the engine's own counts then say how
far each rank of the list can be trusted, so an agent with other habits lowers the list's reliability and breaks nothing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter, getitem
from typing import NamedTuple

from speculation.engine.file_weights import TABLES
from speculation.engine.paths import Places

NO_ACT, READ, EDITED, SEARCHED = range(4)
AFTERS = 9
(
    AFTER_USER,
    AFTER_READ,
    AFTER_EDIT,
    AFTER_SEARCH,
    AFTER_LOOK,
    AFTER_RUN,
    AFTER_OTHER,
    AFTER_ERROR,
    AFTER_FAILED_RUN,
) = range(AFTERS)
"""What happened last: the user spoke, a call of a kind, a shell command that only reads (look) or does more (run)."""
AGES = 8
"""Ages are counted in turns, in this many classes: 0, 1-2, 3-6, 7-14 ..."""
_AGE_OF = [min((turns + 1).bit_length() - 1, AGES - 1) for turns in range(2**AGES)]
_KINDS_OF_FILE = {
    **dict.fromkeys(("go", "py", "ts", "tsx", "js", "jsx", "rs", "c", "h", "cpp", "java", "rb", "swift", "kt"), 1),
    **dict.fromkeys(("md", "rst", "txt", "html", "adoc"), 2),
    **dict.fromkeys(("json", "yml", "yaml", "toml", "cfg", "ini", "xml", "sh"), 3),
    **dict.fromkeys(("mod", "sum", "lock", "log"), 4),
}
_TEST_MARKS = {"go": "_test", "ts": ".test", "tsx": ".test", "js": ".test", "jsx": ".test", "rb": "_spec"}
_PART = re.compile(r"[^_.-]{4,}")


@dataclass(slots=True, eq=False)
class File:
    """A file that the session named. Times are counts of turns; -1: never."""

    name: str
    """As it was last written."""
    path: str | None
    """Its full path, where that is known."""
    stem: str
    kind: int
    is_test: bool
    parts: tuple[str, ...]
    """Words of its stem that are long enough to tell something."""
    act: int = NO_ACT
    acted_at: int = -1
    reads: int = 0
    read_at: int = -1
    read_whole: bool = False
    edited_at: int = -1
    named_at: int = -1
    rank: int = 0
    """Its place among the names of the output that named it last."""
    count: int = 0
    """Outputs that named it."""
    told_at: int = -1
    """When the user named it."""
    followers: "list[File]" = field(default_factory=list)
    """What was turned to after it, the latest last."""


def new_file(name: str, path: str | None) -> File:
    base = name.rpartition("/")[2]
    stem, _, extension = base.rpartition(".")
    stem = stem.lower() or base.lower()
    parts = tuple([part for part in _PART.findall(stem) if part != "test"])
    return File(name, path, stem, _KINDS_OF_FILE.get(extension, 0), "test" in stem, parts)


_FIELDS = attrgetter(*(each.name for each in fields(File)))


def copy_of(file: File) -> File:
    """One of its own, with the same followers."""
    return File(*_FIELDS(file))


class Situation(NamedTuple):
    """What the files are compared with."""

    now: int
    after: int
    """One of AFTER_..."""
    last: File | None
    """The file acted on last."""
    series: Mapping[File, int]
    """The latest list of several files, each with its place there."""
    said: Sequence[File]
    """Files that the model named when it spoke last."""
    words: str
    """The user's last words, in lower case; and so the following."""
    said_words: str
    pattern: str
    """What was searched for last."""
    plan: str
    """What the last call said that had to do with no file."""
    directory: str
    """That of `last`, with its slash."""
    followers: Sequence[File]
    sibling: str
    """The path of the test of `last`, or of what it tests."""
    first_unread: File | None
    """Of the series."""
    first_said: File | None
    """Of those the model named, the first that was not acted on since."""
    places: Places
    """What the session told of directories."""


def marks(file: File, situation: Situation) -> tuple[int, ...]:
    """The file's entry in each of the tables."""
    now, after, last, unread = situation.now, situation.after, situation.last, file.reads == 0
    is_last, is_edited, is_named = file is last, file.edited_at > file.read_at, file.named_at >= now
    is_beside = last is not None and (file.path or file.name).startswith(situation.directory)
    newest_first = unread * AGES + 1
    return (
        0 if not file.act else 1 + (file.act - 1) * AGES + _age(now - file.acted_at),
        0 if file.named_at < 0 else newest_first + _age(now - file.named_at),
        0 if file.told_at < 0 else newest_first + _age(now - file.told_at),
        (file.reads if file.reads < 3 else 3) * 2 + is_edited,
        file.count.bit_length() if file.count < 16 else 5,
        0 if not is_beside else 1 + unread,
        0 if file not in situation.followers else 1 + (situation.followers[-1] is file),
        file.kind,
        file.is_test * 2 + unread,
        after * 10 + (0 if not is_named else 1 + file.rank if file.rank < 3 else 4) * 2 + unread,
        0 if file not in situation.series else 1 + after * 2 + (file is situation.first_unread),
        0 if file not in situation.said else _place_in_said(file, situation, unread),
        0 if unread else 1 + after * 4 + file.read_whole * 2 + is_last,
        _kinship(file, situation, unread),
        0 if last is None or is_last else 1 + _alike(last.stem, file.stem),
        _shared(file, situation.words),
        _shared(file, situation.said_words),
        _shared(file, situation.pattern),
        _shared(file, situation.plan) if after == AFTER_OTHER else 0,
        0 if unread else 1 + (not file.read_whole) + 2 * is_edited,
        situation.places.whereabouts(file.path),
    )


def _place_in_said(file: File, situation: Situation, unread: bool) -> int:
    place = 0 if file.acted_at >= situation.now else 1 if file is situation.first_said else 2
    return 1 + place * 2 + unread


def _kinship(file: File, situation: Situation, unread: bool) -> int:
    if file.path == situation.sibling:
        return 1 + situation.after * 2 + unread
    last = situation.last
    return 1 + 2 * AFTERS if last and last is not file and last.stem == file.stem and last.kind == file.kind else 0


def _alike(one: str, other: str) -> int:
    """How much of their beginning two stems share, in steps of three characters."""
    if one[:3] != other[:3]:
        return 0
    return next((steps for steps in (4, 3, 2) if one[: 3 * steps] == other[: 3 * steps]), 1)


def _shared(file: File, text: str) -> int:
    """How many words of the stem a text holds, and whether those are all."""
    if not text:
        return 0
    count = 0
    for part in file.parts:
        if part in text:
            count += 1
    if not count:
        return 1
    return (3 if count == 1 else 5) + (count == len(file.parts))


def sibling_of(path: str) -> str:
    """Where the test of a file is usually found, or the file that a test tests; empty where no habit is known."""
    directory, _, base = path.rpartition("/")
    stem, _, extension = base.rpartition(".")
    mark = _TEST_MARKS.get(extension)
    if not mark or not stem:
        return ""
    stem = stem.removesuffix(mark) if stem.endswith(mark) else stem + mark
    return f"{directory}/{stem}.{extension}"


def _age(turns: int) -> int:
    return _AGE_OF[turns] if turns < len(_AGE_OF) else AGES - 1


def score(entries: Sequence[int]) -> float:
    """Log odds, up to a constant, that the file with these marks is the one turned to next."""
    return sum(map(getitem, TABLES, entries))
