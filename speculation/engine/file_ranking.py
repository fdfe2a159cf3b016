"""Which file an agent turns to next: one score out of what it did with each file, and where each was named.

The score of a file is a sum of weights, one from each table, as in a logistic model: differences of scores are
differences of log odds. The weights were fitted once (softmax over the files known at each file read, L2) on the
recordings of one coding agent; the engine's own counts then say how far each rank of the list can be trusted, so an
agent with other habits lowers the list's reliability and breaks nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import getitem

NO_ACT, READ, EDITED, SEARCHED = range(4)
AGES = 8
"""Ages are counted in turns, in this many classes: 0, 1-2, 3-6, 7-14 ..."""
_KINDS_OF_FILE = {
    **dict.fromkeys(("go", "py", "ts", "tsx", "js", "jsx", "rs", "c", "h", "cpp", "java", "rb", "swift", "kt"), 1),
    **dict.fromkeys(("md", "rst", "txt", "html", "adoc"), 2),
    **dict.fromkeys(("json", "yml", "yaml", "toml", "cfg", "ini", "xml", "sh"), 3),
    **dict.fromkeys(("mod", "sum", "lock", "log"), 4),
}
SHORTEST_STEM = 4


@dataclass(slots=True, eq=False)
class File:
    """A file that the session named. Times are counts of turns; -1: never."""

    name: str
    """As it was last written."""
    path: str | None
    """Its full path, where that is known."""
    stem: str
    kind: int
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
    return File(name, path, stem.lower() or base.lower(), _KINDS_OF_FILE.get(extension, 0))


@dataclass(frozen=True, slots=True)
class Situation:
    """What the files are compared with."""

    now: int
    directory: str
    """That of the file acted on last, with its slash."""
    followers: Sequence[File]
    """What was turned to after that file before, the latest last."""
    words: str
    """The user's last words, in lower case."""


def marks(file: File, situation: Situation) -> tuple[int, ...]:
    """The file's entry in each of the tables."""
    now, unread = situation.now, file.reads == 0
    is_beside = bool(situation.directory) and (file.path or file.name).startswith(situation.directory)
    return (
        0 if not file.act else 1 + (file.act - 1) * AGES + _age(now, file.acted_at),
        0 if file.named_at < 0 else 1 + unread * AGES + _age(now, file.named_at),
        0 if file.told_at < 0 else 1 + unread * AGES + _age(now, file.told_at),
        0 if file.named_at < now else 1 + min(file.rank, 4),
        min(file.reads, 3) * 2 + (file.edited_at > file.read_at),
        0 if unread else 1 + file.read_whole,
        min(file.count, 31).bit_length(),
        len(file.stem) >= SHORTEST_STEM and file.stem in situation.words,
        0 if not is_beside else 1 + unread,
        0 if file not in situation.followers else 1 + (situation.followers[-1] is file),
        file.kind,
        ("test" in file.stem) * 2 + unread,
    )


def _age(now: int, then: int) -> int:
    return min((now - then + 1).bit_length() - 1, AGES - 1)


_ACTS = (
    *(-0.03,),
    *(1.97, 0.32, 0.17, 0.06, -0.07, -0.68, -0.45, -0.77),
    *(2.26, 0.11, -0.23, -0.18, -0.26, -0.59, -0.92, -0.5),
    *(3.39, 1.43, 0.32, -0.07, -0.75, -0.28, -0.4, -0.23),
)
"""None; then by age, if it was read, edited or searched last."""
_NAMED = (
    *(-0.07,),
    *(1.52, 0.3, 0.14, 0.12, -0.03, -0.04, -0.15, -0.22),
    *(2.03, 0.8, -0.31, -0.58, -1.06, -0.92, -0.68, -0.17),
)
"""Never; then by age, if it was read before or not."""
_TOLD = (
    *(-0.08,),
    *(1.14, 0.02, -0.01, 0.34, 0.44, 0.17, 0.44, 0.12),
    *(1.57, 0.4, -0.02, -0.2, -0.26, -0.31, -0.13, -0.12),
)
"""As _NAMED."""

TABLES: tuple[tuple[float, ...], ...] = (
    _ACTS,
    _NAMED,
    _TOLD,
    (-0.15, 1.56, 1.17, 1.21, 1.15, 0.8),  # not in this turn's outputs; then by its place there
    (-0.05, 0.18, -0.21, 0.09, 0.41, 0.18, 0.7, 0.29),  # 0, 1, 2, more reads; each without and with a later edit
    (-0.02, 0.41, -0.25),  # unread; a part was read; the whole was read
    (-0.07, -0.09, 0.11, 0.32, 0.37, 0.7),  # outputs that named it: 0, 1, 2-3, 4-7, 8-15, more
    (0.03, 0.54),  # the user's last words hold its stem
    (-0.24, 0.37, 0.42),  # elsewhere; beside the file acted on last, read before; beside it, unread
    (0.02, 0.59, 0.55),  # never followed the file acted on last; did; did the last time
    (-1.63, 0.26, -0.29, -0.01, -0.87),  # other; program; text; settings; lock files and logs
    (0.2, 0.21, 0.14, -0.36),  # no test, read before or unread; test, read before or unread
)


def score(file: File, situation: Situation) -> float:
    """Log odds, up to a constant, that this is the file turned to next."""
    return sum(map(getitem, TABLES, marks(file, situation)))
