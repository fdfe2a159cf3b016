"""Calls that nobody foresaw as a whole: the arguments that are written, with the rest taken from calls that were foreseen."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any

from speculation.engine.identity import key_of
from tools.base import ToolCall

MOST_VALUES = 2
"""Values of one missing argument that are tried."""
MOST_CALLS = 4

Weighed = tuple[ToolCall, float]
"""A foreseen call of the tool and its share among them."""


def complete(tool: str, written: Mapping[str, Any], foreseen: Sequence[Weighed]) -> list[Weighed]:
    """Whole calls that begin as written, with P(the call | what is written and that no foreseen call is right).

    Each set of arguments that a foreseen call has and that holds all written names is a way to go on; a missing argument
    takes the likeliest of the foreseen values.
    """
    total = sum(share for _, share in foreseen)
    if total <= 0.0:
        return []
    shapes: dict[frozenset[str], float] = {}
    for call, share in foreseen:
        if written.keys() <= call.arguments.keys():
            names = frozenset(call.arguments)
            shapes[names] = shapes.get(names, 0.0) + share / total
    known = {_key(call.arguments) for call, _ in foreseen}
    made = [
        (ToolCall(tool, arguments), chance * shape)
        for names, shape in shapes.items()
        for arguments, chance in islice(_ways(written, sorted(names - written.keys()), foreseen), MOST_CALLS)
        if _key(arguments) not in known
    ]
    return sorted(made, key=lambda pair: -pair[1])[:MOST_CALLS]


def _ways(
    written: Mapping[str, Any], missing: Sequence[str], foreseen: Sequence[Weighed]
) -> Iterator[tuple[dict[str, Any], float]]:
    values = [_likeliest(name, foreseen) for name in missing]
    for chosen in product(*values):
        rest = {name: value for name, (value, _) in zip(missing, chosen, strict=True)}
        yield {**written, **rest}, math.prod(chance for _, chance in chosen)


def _likeliest(name: str, foreseen: Sequence[Weighed]) -> list[tuple[Any, float]]:
    chances: dict[Any, float] = {}
    values: dict[Any, Any] = {}
    for call, share in foreseen:
        if name in call.arguments:
            key = key_of(call.arguments[name])
            values.setdefault(key, call.arguments[name])
            chances[key] = chances.get(key, 0.0) + share
    total = sum(chances.values()) or 1.0
    best = sorted(chances, key=lambda key: -chances[key])[:MOST_VALUES]
    return [(values[key], chances[key] / total) for key in best]


def _key(arguments: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
    return frozenset((name, key_of(value)) for name, value in arguments.items())
