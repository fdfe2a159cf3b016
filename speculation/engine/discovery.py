"""Finding every symbolic source that would have produced the value of an argument, as the session stood before the call."""

import json
import re
from collections.abc import Container, Hashable, Iterable, Iterator
from itertools import islice
from typing import Any

from speculation.engine.identity import key_of
from speculation.engine.leaves import leaf_name
from speculation.engine.mapping import Source, parse_source
from speculation.engine.memory import MAX_RESULTS, Family, Memory
from speculation.engine.tokens import NAME_SHAPE, shapes_of
from speculation.engine.views import View

MAX_RANK = 4
MAX_FAMILIES = 12
"""Places considered for one value; more would only be coincidences."""
MAX_CONSTANT_CHARS = 80
SHORTEST_PART, LONGEST_TEMPLATE = 4, 120
"""Characters of a known value inside another, and of that other."""
MAX_LOOKED_INTO, MAX_VALUES = 6, 80
"""Tools whose latest results are searched for parts, and values of each."""
CHOSEN_FROM = ("result", "results", "any")
"""Places whose elements are compared with what was asked: elsewhere their order says more."""
WORK = ("files", "names", "commands", "checks", "filled")
UNPLACED = Family("work", "", "~unplaced")
_LIKE_WORK = re.compile(r"[/. ]")
_MANY = re.compile(r"[\[{~]")


def discover(memory: Memory, tool: str, argument: str, value: Any) -> list[Source]:
    """Sources whose value for (tool, argument) is exactly `value` now. Empty where only the model can know it."""
    found = [
        source for family in _families(memory, value) for source in _selections(memory, family, tool, argument, value)
    ]
    if isinstance(value, list) and len(value) == 1:
        found += [_wrapped(source, "list") for source in discover(memory, tool, argument, value[0]) if source.is_plain]
    if type(value) in (int, float):
        found += [_wrapped(source, "number") for source in _plain(memory, tool, argument, str(value))]
    if type(value) is str and value.isalpha():
        found += _part_of_name(memory, value)
    if not found and type(value) is str:
        found += _compose(memory, tool, argument, value)
    if type(value) is str and _LIKE_WORK.search(value):
        found += [Source(family, "each") for family in _lists_of_work(memory, value)]
        found += homes(memory, value)
    if len(constant := json.dumps(value, sort_keys=True, default=str)) <= MAX_CONSTANT_CHARS:
        found.append(Source(constant=constant))
    return found


def _wrapped(source: Source, wrapper: str) -> Source:
    return Source(source.family, source.selector, source.rank, wrapper)


def _plain(memory: Memory, tool: str, argument: str, value: Any) -> list[Source]:
    return [s for family in _families(memory, value) for s in _selections(memory, family, tool, argument, value)]


def _families(memory: Memory, value: Any) -> list[Family]:
    key = key_of(value)
    found: dict[Family, None] = {}
    for name, parsed in memory.results.items():
        paths = parsed[-1].index.get(key)
        if paths is not None:
            for path in paths[:4]:
                found[Family("result", name, path)] = None
            continue
        for older in parsed[-2 : -MAX_RESULTS - 1 : -1]:
            if key in older.index:
                found.update(dict.fromkeys(Family("results", name, path) for path in older.index[key][:2]))
                break
    names = dict.fromkeys(name for family in found if (name := leaf_name(family.path)))
    found.update(dict.fromkeys(Family("any", "", f".{name}") for name in list(names)[:3]))
    found.update(dict.fromkeys(_arguments(memory, value)))
    if type(value) is str:
        found.update(dict.fromkeys(_words(memory, value)))
    return list(found)[:MAX_FAMILIES]


def _arguments(memory: Memory, value: Any) -> Iterator[Family]:
    for name, calls in memory.calls.items():
        latest = calls[-1]
        for argument, last in latest.items():
            if last == value and type(last) is type(value):
                yield Family("argument", name, f".{argument}")
        older = {
            a: None for call in calls[-MAX_RESULTS:-1] for a, v in call.items() if v == value and type(v) is type(value)
        }
        for argument in older:
            if latest.get(argument) != value:
                yield Family("arguments", name, f".{argument}")


def _words(memory: Memory, value: str) -> Iterator[Family]:
    """Places among the tokens of texts. Most values stand in no text, which a look at the text itself tells."""
    shapes = (*shapes_of(value), "quoted") if " " not in value else ("quoted", NAME_SHAPE)
    for kind in ("user", "said"):
        if any(value in text for text in memory.said_lately(kind)):
            yield from (family for shape in shapes if _holds(memory, family := Family(kind, "", f"~{shape}"), value))
    for name, parsed in memory.results.items():
        if value in parsed[-1].text:
            yield from (
                family for shape in shapes if _holds(memory, family := Family("text", name, f"~{shape}"), value)
            )


def _holds(memory: Memory, family: Family, value: str) -> bool:
    return value in memory.view(family).index


def _selections(memory: Memory, family: Family, tool: str, argument: str, value: Any) -> Iterator[Source]:
    """The ways in which a place's values lead to this one."""
    view, key = memory.view(family), key_of(value)
    position = view.index.get(key)
    if position is None:
        return
    if len(view.keys) == 1 and family.kind in ("result", "argument") and not _MANY.search(family.path):
        yield Source(family)
        return
    if position <= MAX_RANK:
        yield Source(family, "item", position)
    if position == len(view.keys) - 1:
        yield Source(family, "item", -1)
    used = memory.used.get((tool, argument), {})
    if key not in used:
        yield from _unused(family, view, position, used)


def _unused(family: Family, view: View, position: int, used: Container[Hashable]) -> Iterator[Source]:
    keys = view.keys
    rank = sum([1 for key in keys[:position] if key not in used])
    if rank <= MAX_RANK:
        yield Source(family, "next", rank)
    if position > 0 and keys[position - 1] in used and not any(k in used for k in keys[position + 1 :]):
        yield Source(family, "following")


def _lists_of_work(memory: Memory, value: str) -> Iterator[Family]:
    """A list of the workspace explains a value alone: others lead to it by accident."""
    for kind in WORK:
        if _holds(memory, family := Family("work", "", f"~{kind}"), value):
            yield family


def homes(memory: Memory, value: str) -> Iterator[Source]:
    """Where relative names belong of which the session does not tell it: for agents that work in the same places again."""
    name = next((name for name in memory.workspace.values("unplaced") if value.endswith(f"/{name}")), None)
    if name is not None:
        yield Source(UNPLACED, "each", prefix=value.removesuffix(name))


def is_home(text: str) -> bool:
    """True for the text of a source that `homes` found."""
    return parse_source(text).family == UNPLACED


def choices_in(found: Iterable[Source], memory: Memory) -> Iterator[Source]:
    """Where one of `found` selects from a list, all of its elements: which one is meant is learned, not found."""
    families = dict.fromkeys(
        s.family for s in found if s.selector == "next" and s.is_plain and s.family.kind in CHOSEN_FROM
    )
    for family in families:
        if len(memory.view(family).keys) > 1:
            yield Source(family, "each")


def _part_of_name(memory: Memory, value: str) -> Iterator[Source]:
    family = Family("user", "", f"~{NAME_SHAPE}")
    for rank, name in enumerate(memory.view(family).values[:4]):
        first, _, last = name.partition(" ")
        if value in (first, last):
            yield Source(family, "item", rank, "first_word" if value == first else "last_word")


def _compose(memory: Memory, tool: str, argument: str, value: str) -> list[Source]:
    """Sources of a part of the value, with what stands before and behind it; or of the path it is an end of."""
    found: list[Source] = []
    for family in (Family("user", "", "~path"), *(Family("text", name, "~path") for name in memory.results)):
        for wrapper in ("basename", "dirname"):
            for i, path in enumerate(memory.view(family).values[: MAX_RANK + 1]):
                head, _, tail = str(path).rstrip("/").rpartition("/")
                if value == (tail if wrapper == "basename" else head):
                    found.append(Source(family, "item", i, wrapper))
    for start, end in ((1, None), (0, -1)):
        part = value[start:end]
        if len(part) >= SHORTEST_PART and not value[0 if start else -1].isalnum():
            affix = {"prefix": value[0]} if start else {"suffix": value[-1]}
            found += [Source(s.family, s.selector, s.rank, **affix) for s in _plain(memory, tool, argument, part)]
    return (found or _templates(memory, tool, argument, value))[:MAX_FAMILIES]


def _templates(memory: Memory, tool: str, argument: str, value: str) -> list[Source]:
    """A name with a hole: the longest value of a latest result that it holds, with what stands before and behind it."""
    if len(value) > LONGEST_TEMPLATE or " " in value:
        return []
    held = {
        key
        for parsed in list(memory.results.values())[-MAX_LOOKED_INTO:]
        for key in islice(parsed[-1].index, MAX_VALUES)
        if type(key) is str and SHORTEST_PART <= len(key) < len(value) and key in value
    }
    if not held:
        return []
    part = max(held, key=lambda key: (len(key), key))
    prefix, _, suffix = value.partition(part)
    return [
        Source(s.family, s.selector, s.rank, prefix=prefix, suffix=suffix) for s in _plain(memory, tool, argument, part)
    ]
