"""Results as a session looks into them: leaves, states and tokens of one, read once."""

import re
from collections.abc import Hashable
from functools import cached_property, lru_cache
from typing import Any

from speculation.engine.identity import key_of
from speculation.engine.leaves import Leaves, leaf_name
from speculation.engine.parsing import MAX_TEXT, parse
from speculation.engine.tokens import stems, tokens_by_shape
from speculation.engine.views import NOTHING, View

MAX_MARKS = 32
MAX_STATE = 24
"""Characters of a value that tells a state."""
MAX_STATED = 200
"""Characters of a text whose words tell a state."""
_DIGIT = re.compile("[0-9]")


class Parsed:
    """One result, read once; leaves, tokens and their index are made when first asked for."""

    def __init__(self, result: Any) -> None:
        self._result = result
        self._views: dict[str, View] = {}

    @cached_property
    def _parts(self) -> tuple[Any, str]:
        return parse(self._result)

    @cached_property
    def _collected(self) -> Leaves:
        found = Leaves()
        found.collect(self._parts[0], "", 0, None)
        return found

    @property
    def leaves(self) -> dict[str, list[Any]]:
        """Path to the values found there, in document order."""
        return self._collected.values

    def view(self, path: str) -> View:
        """The distinct values at a path."""
        known = self._views.get(path)
        if known is None:
            values = self._collected.values.get(path)
            known = View(values, self._collected.owners[path]) if values else NOTHING
            self._views[path] = known
        return known

    @cached_property
    def index(self) -> dict[Hashable, list[str]]:
        """Value to the paths where it occurs."""
        places: dict[Hashable, list[str]] = {}
        for path, values in self.leaves.items():
            for value in values:
                key = value if type(value) is str else key_of(value)
                paths = places.get(key)
                if paths is None:
                    places[key] = [path]
                elif path not in paths:
                    paths.append(path)
        return places

    @cached_property
    def names(self) -> dict[str, list[str]]:
        """Field name (the last of the path) to paths."""
        found: dict[str, list[str]] = {}
        for path in self.leaves:
            if name := leaf_name(path):
                found.setdefault(name, []).append(path)
        return found

    @cached_property
    def marks(self) -> list[str]:
        """States that the result tells: short values that stand alone in their place, or the first words of a text."""
        marks = []
        for path, values in self.leaves.items():
            value = values[0]
            if len(values) == 1 and (type(value) is bool or (type(value) is str and 0 < len(value) <= MAX_STATE)):
                if type(value) is bool or not _DIGIT.search(value):
                    marks.append(f"{path}={value}")
                    if len(marks) >= MAX_MARKS:
                        break
            elif len(values) > 1 and path.endswith("]"):
                marks.append(f"{path}#{min(len(values), 6)}")
        if not marks and self._parts[1]:
            marks = sorted(stems(self._parts[1][:MAX_STATED]))
        return marks

    @cached_property
    def text(self) -> str:
        """All free text: what is around the structure, and every long string inside it."""
        pieces = [self._parts[1], *self._collected.texts]
        return "\n".join(pieces)[:MAX_TEXT]

    @cached_property
    def tokens(self) -> dict[str, list[str]]:
        return tokens_by_shape(self.text)


@lru_cache(maxsize=1024)
def read_text(result: str) -> Parsed:
    """A result that is text. Tools often answer the same again: what was read once is kept."""
    return Parsed(result)


def read(result: Any) -> Parsed:
    """A tool's result, ready to be looked into."""
    return read_text(result) if isinstance(result, str) else Parsed(result)
