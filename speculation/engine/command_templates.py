"""Shell commands of a session: those that come again, and those with a hole for what they were about.

`cat a.py` becomes `cat {}` and is filled with the next file, `git show --stat 1a2b3c4` with the next commit.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

LONGEST_COMMAND = 200
MAX_COMMANDS = 64
"""Distinct commands, and templates, that are kept; the one not used for longest goes first."""
MAX_FILLED = 16
MAX_RANKS = 8
_HOLE = "\0"
_COMMIT = re.compile(r"\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,40}\b")


class Commands:
    """The commands of one kind, with how often each was given; the latest last."""

    def __init__(self) -> None:
        self._given: dict[str, int] = {}
        self._about_file: dict[str, int] = {}
        self._about_commit: dict[str, int] = {}

    def fork(self) -> "Commands":
        """The same commands, to be counted on apart."""
        fork = Commands()
        fork._given, fork._about_file = dict(self._given), dict(self._about_file)
        fork._about_commit = dict(self._about_commit)
        return fork

    def observe(self, command: str, names: Sequence[str]) -> None:
        """Take in one command line, as written, with the files it names. Long ones are not kept: they do not come again."""
        if not command or len(command) > LONGEST_COMMAND:
            return
        _count(self._given, command)
        if len(names) == 1:
            _count(self._about_file, command.replace(names[0], _HOLE))
        elif not names and len(commits := set(_COMMIT.findall(command))) == 1:
            _count(self._about_commit, command.replace(commits.pop(), _HOLE))

    def ranked(self, count: int) -> list[str]:
        """The commands themselves: most often given first, of equals the latest."""
        return _by_count(self._given)[:count]

    def filled(self, names: Sequence[str], text: str) -> list[str]:
        """The templates with these names, and with the commits that `text` mentions: those of the text first."""
        commits = list(dict.fromkeys(_COMMIT.findall(text))) if self._about_commit else []
        about_files = _fill(self._about_file, names)
        about_commits = _fill(self._about_commit, commits)
        return list(dict.fromkeys(islice((*about_commits, *about_files), MAX_FILLED)))


def _count(counts: dict[str, int], value: str) -> None:
    counts[value] = counts.pop(value, 0) + 1
    if len(counts) > MAX_COMMANDS:
        del counts[next(iter(counts))]


def _by_count(counts: dict[str, int]) -> list[str]:
    newest_first = list(reversed(counts))
    newest_first.sort(key=counts.__getitem__, reverse=True)
    return newest_first


def _fill(templates: dict[str, int], values: Sequence[str]) -> Iterator[str]:
    """Template and value in the order of the sum of both ranks."""
    ranked = _by_count(templates)[:MAX_RANKS]
    for total in range(MAX_RANKS):
        for rank, template in enumerate(ranked[: total + 1]):
            if total - rank < len(values):
                yield template.replace(_HOLE, values[total - rank])
