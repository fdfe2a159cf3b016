"""What a session has already told its servers and heard from them: a guess may tell an outside party nothing else.

A call that runs early sends its arguments before the model asked. Where the decision does not say otherwise, only values go
out that this session has sent to the same server before, or got from it. A file's path counts as such where its directory
and its name do: a server that lists the names in a directory learns nothing from the two put together. Pure.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

NOTHING_NEW = "would tell an outside party something new"
_FILE_NAME = re.compile(r"[\w.@+~-]*\w\.\w{1,12}")
MOST_CHARACTERS = 2_000_000
"""Of each server; beyond that nothing more is remembered, so that less runs early, never more."""


class Exchanged:
    """By server the texts that went to and fro. Values are looked for as they are written, in any of them."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = defaultdict(list)
        self._sizes: dict[str, int] = defaultdict(int)

    def hear(self, server: str, arguments: Any, result: Any) -> None:
        """A call that was asked for, and its answer."""
        for text in (*_values(arguments), *_values(result)):
            if self._sizes[server] + len(text) > MOST_CHARACTERS:
                return
            self._sizes[server] += len(text)
            self._texts[server].append(text)

    def knows(self, server: str, arguments: Mapping[str, Any]) -> bool:
        """True if every value in the arguments has gone to the server, or come from it."""
        texts = self._texts[server]
        return all(any(value in text for text in texts) or _is_joined(value, texts) for value in _values(arguments))


def _is_joined(value: str, texts: Sequence[str]) -> bool:
    """A path whose directory stands in some text, and its last name, which has an extension, in some: each whole."""
    directory, _, name = value.rpartition("/")
    if not directory or "://" in value or not _FILE_NAME.fullmatch(name):
        return False
    whole = [re.compile(rf"(?<![\w.@+~/-]){re.escape(part)}(?![\w@+~-])") for part in (directory, name)]
    return all(any(part.search(text) for text in texts) for part in whole)


def _values(thing: Any) -> Iterator[str]:
    """The texts and numbers in it; of true, false and null there is nothing to tell."""
    if isinstance(thing, str):
        yield thing
    elif isinstance(thing, Mapping):
        for value in thing.values():
            yield from _values(value)
    elif isinstance(thing, list | tuple):
        for value in thing:
            yield from _values(value)
    elif isinstance(thing, int | float) and not isinstance(thing, bool):
        yield f"{thing:g}" if isinstance(thing, float) else str(thing)
