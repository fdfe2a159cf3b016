"""The leaves of a structured value: a path such as `.orders[*].id` and the values found there, in order.

`[*]` stands for every element of a list, `{*}` for every value of a mapping whose keys are names of things rather than
fields, `.~key` for those keys.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from speculation.engine.parsing import parse_whole

MAX_LEAVES = 2000
"""Leaves kept of one result; what comes after is not a source of arguments."""
MAX_DEPTH = 12
_DIGIT = re.compile("[0-9]")


class Leaves:
    """What a structured value holds: per path the values found there, and the record round each."""

    def __init__(self) -> None:
        self.values: dict[str, list[Any]] = {}
        self.owners: dict[str, list[Any]] = {}
        self.texts: list[str] = []
        """Long strings, which may hold further values."""
        self._left = MAX_LEAVES

    def collect(self, value: Any, path: str, depth: int, owner: Any) -> None:
        kind = type(value)
        if kind is dict:
            if depth <= MAX_DEPTH:
                self._collect_mapping(value, path, depth)
        elif kind is list or kind is tuple:
            if depth <= MAX_DEPTH:
                self._collect_list(value, path, depth, owner)
        elif kind is str and value[:1] in ("{", "[") and isinstance(inner := parse_whole(value), (dict, list)):
            self.collect(inner, path, depth + 1, owner)
        elif value is not None:
            self._add(path, value, owner)

    def _collect_mapping(self, value: Mapping[Any, Any], path: str, depth: int) -> None:
        if _keys_are_names(value):
            for key, item in value.items():
                self._add(f"{path}.~key", str(key), item)
                self.collect(item, f"{path}{{*}}", depth + 1, (key, item))
            return
        for key, item in value.items():
            if type(item) is str and item[:1] not in ("{", "["):
                self._add(f"{path}.{key}", item, value)
            else:
                self.collect(item, f"{path}.{key}", depth + 1, value)

    def _collect_list(self, value: Sequence[Any], path: str, depth: int, owner: Any) -> None:
        if value and len(value) <= 20 and not any(type(item) in (dict, list, tuple) for item in value):
            self._add(path, list(value), owner)
        path = f"{path}[*]"
        for item in value:
            self.collect(item, path, depth + 1, None)

    def _add(self, path: str, value: Any, owner: Any) -> None:
        if self._left <= 0:
            return
        self._left -= 1
        values = self.values.get(path)
        if values is None:
            self.values[path], self.owners[path] = [value], [owner]
        else:
            values.append(value)
            self.owners[path].append(owner)
        if type(value) is str and len(value) > 24 and " " in value:
            self.texts.append(value)


@lru_cache(maxsize=4096)
def leaf_name(path: str) -> str:
    return path.replace("[*]", "").replace("{*}", "").rpartition(".")[2]


def _keys_are_names(value: Mapping[Any, Any]) -> bool:
    """True where the keys are ids ("gift_card_3481935") and not fields ("zip")."""
    if not value:
        return False
    has_digit = _any_has_digit(tuple(value))
    if all(type(item) is dict for item in value.values()):
        return has_digit or (len(value) > 1 and len({tuple(item) for item in value.values()}) == 1)
    return len(value) > 1 and has_digit and all(_has_digit(str(key)) for key in value)


@lru_cache(maxsize=4096)
def _any_has_digit(keys: tuple[Any, ...]) -> bool:
    return any(_has_digit(str(key)) for key in keys)


def _has_digit(text: str) -> bool:
    return _DIGIT.search(text) is not None
