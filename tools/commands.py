"""Reading a command line: its words, whether it stays inside the root, and whether it can only read.

Nothing here expands anything, since no shell ever sees the line.
"""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tools.base import Forbidden, InvalidArguments
from tools.jail import resolve_inside

_SINGLE_QUOTED = re.compile(r"'[^']*'")
_DOUBLE_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"', re.DOTALL)
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_SHELL_ONLY = re.compile(r"[|&;<>()$`*?\n]")
_EXPANDED_IN_QUOTES = re.compile(r"[$`]")

READ_ONLY: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("cat", "cmp", "comm", "cut", "df", "diff", "du", "echo", "false", "grep", "head", "ls", "nl", "paste", "pwd",
             "stat", "tail", "test", "true", "wc"),
            frozenset[str](),
        ),
        "find": frozenset({"-delete", "-exec", "-execdir", "-ok", "-okdir", "-fls", "-fprint", "-fprint0", "-fprintf"}),
        "sort": frozenset({"-o", "--output", "--compress-program", "-T", "--temporary-directory"}),
    }
)  # fmt: skip
"""Programs that only read, whatever a file in the working directory says, but for the options named. Absent on purpose:
git (its configuration may run programs), uniq (its second file is written), rg (--pre), sed and awk (they write)."""


def split(command: str) -> list[str]:
    """The words of one plain command. Raises Forbidden where a shell would be needed, InvalidArguments where unreadable."""
    outside_quotes = _SINGLE_QUOTED.sub("", command)
    for quoted in _DOUBLE_QUOTED.findall(outside_quotes):
        if _EXPANDED_IN_QUOTES.search(_ESCAPED.sub("", quoted)):
            raise Forbidden("There is no shell, so $ and ` stand for themselves: put such text in single quotes.")
    outside_quotes = _ESCAPED.sub("", _DOUBLE_QUOTED.sub("", outside_quotes))
    if found := _SHELL_ONLY.search(outside_quotes):
        raise Forbidden(
            f"There is no shell: {found.group()!r} outside quotes does nothing. Run one program a call, without pipes, "
            "redirections, variables or wildcards; quote the character if the program itself shall see it."
        )
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InvalidArguments(f"The command cannot be read: {error}.") from error
    if not words:
        raise InvalidArguments("The command is empty.")
    return words


def only_reads(command: str) -> bool:
    """True if the command is sure to change nothing: a program known to only read, with no option that writes."""
    try:
        program, *rest = split(command)
    except (Forbidden, InvalidArguments):
        return False
    forbidden = READ_ONLY.get(program)
    return forbidden is not None and not any(_may_mean(word, option) for word in rest for option in forbidden)


def _may_mean(word: str, option: str) -> bool:
    """Also the ways to write it together: -ofile, -uo file, --output=file, and any abbreviation such as --out."""
    if option.startswith("--"):
        name = word.partition("=")[0]
        return len(name) > 2 and option.startswith(name)
    if len(option) == 2:
        return word.startswith("-") and not word.startswith("--") and option[1] in word
    return word == option


def refuse_paths_outside(root: Path, words: list[str]) -> None:
    """Raises Forbidden if a word, or the path within an option, names something outside `root`."""
    for word in words:
        for path in {word, word.partition("=")[2], word[word.find("/") :] if word.startswith("-") else ""}:
            if path:
                resolve_inside(root, path)
