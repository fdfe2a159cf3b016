"""What one call has to do with files: whether it reads, edits or searches them, and which directories it shows.

Judged by what the call's traits say and by the names that agents' tools give their arguments.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from speculation.engine.file_ranking import EDITED, READ, SEARCHED
from speculation.engine.paths import LONGEST_NAME
from speculation.engine.types import ToolTraits

MAX_ITEMS = 50
"""Elements of a list or mapping in a result that are read."""
MAX_DEPTH = 4

_SEARCH_ARGUMENTS = frozenset({"pattern", "query", "regex", "glob"})
_EDIT_ARGUMENTS = frozenset({"old_string", "new_string", "content", "old_str", "new_str", "file_text", "patch"})
_SHELL_ARGUMENTS = frozenset({"command", "cmd"})
_PATCHED = re.compile(r"^\*\*\* (?:Update|Add) File: (\S+)", re.MULTILINE)
_MOVED_TO = re.compile(r"(?:^|&&\s*|;\s*)cd\s+[\"']?(/[^\s;&|\"']+)")
_ENTRY = re.compile(r"\s*(?:\[\w{1,12}\]|[-*•│├└─|`+]+)?\s*[\w.@+~-]+/?(?:\s+\(?[\d.,]+ ?\w{0,2}\)?)?")
"""A line that is one name, behind a mark such as `[FILE]` or a tree's, before a size."""
MAX_ENTRIES, MOST_OF_ENTRIES = 40, 0.6
"""Lines that are looked at, and how many of them must be names."""
_LISTED = re.compile(r"\bls\s+(?:-\w+\s+)*[\"']?([\w./~][^\s;&|\"'*]*)")


def act_of(arguments: Mapping[str, Any], traits: ToolTraits | None) -> int:
    """What a call does to the file that it names."""
    if not _SEARCH_ARGUMENTS.isdisjoint(arguments):
        return SEARCHED
    changes = traits.may_change_world(arguments) if traits else not _EDIT_ARGUMENTS.isdisjoint(arguments)
    return EDITED if changes else READ


def shell_argument_of(arguments: Mapping[str, Any], traits: ToolTraits | None) -> str:
    """The name of the argument that holds a command line, empty where there is none."""
    if traits and traits.shell_argument:
        return traits.shell_argument
    for name in _SHELL_ARGUMENTS.intersection(arguments):
        if type(arguments[name]) is str and " " in arguments[name]:
            return name
    return ""


def is_path(value: str) -> bool:
    """True for what can only be a path: absolute, or without blanks and with a slash or an extension."""
    if len(value) > LONGEST_NAME or "\n" in value or "*" in value or "://" in value:
        return False
    return value[0] == "/" or (" " not in value and ("/" in value or "." in value[1:]))


def text_of(result: Any, depth: int = MAX_DEPTH) -> str:
    """The strings of a result, one below the other; what lies deeper or further on is left out."""
    if isinstance(result, str):
        return result
    values: Iterable[Any] = ()
    if depth and isinstance(result, Mapping):
        values = islice(result.values(), MAX_ITEMS)
    elif depth and isinstance(result, (list, tuple)):
        values = result[:MAX_ITEMS]
    return "\n".join(text for value in values if (text := text_of(value, depth - 1)))


def plan_of(arguments: Mapping[str, Any]) -> str:
    """What a call that has to do with no file says: of a list of things to do, those that are being done."""
    for value in arguments.values():
        if type(value) is list and value and type(value[0]) is dict and "status" in value[0]:
            return " ".join([str(item.get("content")) for item in value if item.get("status") == "in_progress"])
    return " ".join([value for value in arguments.values() if type(value) is str])


def directory_moved_to(command: str) -> str:
    """The absolute directory of the first `cd` in a command line, without a slash at its end; else empty."""
    found = _MOVED_TO.search(command)
    return found[1].rstrip("/") if found else ""


def directory_listed(command: str) -> str:
    """The directory that the first `ls` names, as written; else empty."""
    found = _LISTED.search(command)
    return found[1].rstrip("/") if found else ""


def is_listing(path: str, text: str) -> bool:
    """Whether what a call gave for a path is a list of names, one a line: then it is a directory's. A file's name has an extension."""
    if "." in path.rstrip("/").rpartition("/")[2][1:]:
        return False
    lines = [line for line in text[: MAX_ENTRIES * LONGEST_NAME].split("\n")[:MAX_ENTRIES] if line.strip()]
    return bool(lines) and sum(_ENTRY.fullmatch(line) is not None for line in lines) >= MOST_OF_ENTRIES * len(lines)


def files_patched(text: str) -> list[str]:
    """The files that a patch in the form of `apply_patch` changes."""
    return _PATCHED.findall(text) if "*** Begin Patch" in text else []
