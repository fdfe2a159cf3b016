"""Symbolic, late-bound sources of argument values: their text form, and their value in a session.

A source is a family (a place that holds values, see memory.py), a selector and a way to transform what was selected:

    = 10                                        a constant
    result(get_user).user_id                    the first value there
    item 2 of result(search)[*].page_id         by position; -1 is the last
    next 0 of result(get_user).orders[*]        the first that this tool was not yet called with
    following of result(list).files[*]          the one after the last that this tool was called with
    each of result(search)[*].page_id           all not yet used; the choice among them is learned (value_choice.py)
    basename(X)  dirname(X)  first_word(X)  last_word(X)  number(X)  text(X)  list(X)
    "#" + X + ""                                between a constant beginning and end

Resolving never guesses: a source that points to nothing says why (`Missing`).
"""

import json
import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from speculation.engine.identity import key_of
from speculation.engine.memory import Family, Memory
from speculation.engine.views import View

NOWHERE = Family("")

_FAMILY = re.compile(r"(result|results|any|argument|arguments|text|user|said|work)\(([^()]*)\)(.*)", re.DOTALL)
_SELECTED = re.compile(r"(item|next) (-?\d+) of (.*)", re.DOTALL)
_UNRANKED = re.compile(r"(following|each) of (.*)", re.DOTALL)
_WRAPPED = re.compile(r"(basename|dirname|first_word|last_word|number|text|list)\((.*)\)", re.DOTALL)


class SourceError(ValueError):
    """A source's text that does not follow the grammar; the message says what was expected."""


@dataclass(frozen=True)
class Missing:
    """A source without a value in this session, and why."""

    reason: str


class Source(NamedTuple):
    """One symbolic place a value can come from. `constant` is JSON text and excludes everything else."""

    family: Family = NOWHERE
    selector: str = "first"
    rank: int = 0
    wrapper: str = ""
    prefix: str = ""
    suffix: str = ""
    constant: str | None = None

    @property
    def is_plain(self) -> bool:
        """True if what is selected is taken as it is."""
        return self.constant is None and not self.wrapper and not self.prefix and not self.suffix

    def __str__(self) -> str:
        if self.constant is not None:
            return f"= {self.constant}"
        text = str(self.family)
        if self.selector in ("following", "each"):
            text = f"{self.selector} of {text}"
        elif self.selector != "first":
            text = f"{self.selector} {self.rank} of {text}"
        if self.wrapper:
            return f"{self.wrapper}({text})"
        return f"{json.dumps(self.prefix)} + {text} + {json.dumps(self.suffix)}" if self.prefix or self.suffix else text


@lru_cache(maxsize=50000)
def parse_source(text: str) -> Source:
    """The source that `text` describes. Raises SourceError."""
    text = text.strip()
    if text.startswith("="):
        return Source(constant=_canonical_constant(text[1:].strip()))
    if text.startswith('"'):
        prefix, inner, suffix = _split_affixes(text)
        return _selected(inner, prefix=prefix, suffix=suffix)
    if (match := _WRAPPED.fullmatch(text)) and not _FAMILY.fullmatch(text):
        return _selected(match[2], wrapper=match[1])
    return _selected(text)


def _canonical_constant(text: str) -> str:
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        raise SourceError(f'after "=" a JSON value is expected, not {text!r}') from None


def _split_affixes(text: str) -> tuple[str, str, str]:
    decoder = json.JSONDecoder()
    try:
        prefix, end = decoder.raw_decode(text)
        middle, start = text[end:], text.rindex(' + "')
        suffix, _ = decoder.raw_decode(text[start + 3 :])
    except ValueError:
        raise SourceError(f'"beginning" + source + "end" is expected, not {text!r}') from None
    if not middle.startswith(" + ") or start < end + 3:
        raise SourceError(f'"beginning" + source + "end" is expected, not {text!r}')
    return prefix, text[end + 3 : start], suffix


def _selected(text: str, wrapper: str = "", prefix: str = "", suffix: str = "") -> Source:
    selector, rank = "first", 0
    if match := _UNRANKED.fullmatch(text):
        selector, text = match[1], match[2]
    elif match := _SELECTED.fullmatch(text):
        selector, rank, text = match[1], int(match[2]), match[3]
    family = _FAMILY.fullmatch(text)
    if family is None:
        raise SourceError(f"a place such as result(tool).field is expected, not {text!r}")
    if rank < 0 and (selector, rank) != ("item", -1):
        raise SourceError(f"a rank of 0 or more (or item -1) is expected, not {rank}")
    return Source(Family(family[1], family[2], family[3]), selector, rank, wrapper, prefix, suffix)


def resolve(source: Source, memory: Memory, tool: str, argument: str) -> Any | Missing:
    """The source's value for this argument of this tool now, or why it has none. Late: nothing is remembered."""
    if source.constant is not None:
        return json.loads(source.constant)
    view = memory.view(source.family)
    if not view.keys:
        return Missing(f"nothing at {source.family}")
    found = select(source, view, memory, tool, argument)
    return found if isinstance(found, Missing) else transform(source, found)


def select(source: Source, view: View, memory: Memory, tool: str, argument: str) -> Any | Missing:
    """One of a place's values."""
    selector, rank, values = source.selector, source.rank, view.values
    if selector in ("first", "item"):
        return values[rank] if -len(values) <= rank < len(values) else Missing(f"only {len(values)} at {source.family}")
    used = memory.used.get((tool, argument), {})
    keys = view.keys if source.is_plain else [key_of(transform(source, value)) for value in values]
    if selector == "following":
        return _following(source, values, keys, used)
    fresh = [i for i, key in enumerate(keys) if key not in used]
    return values[fresh[rank]] if rank < len(fresh) else Missing(f"all of {source.family} used")


def _following(source: Source, values: list[Any], keys: list[Hashable], used: Any) -> Any | Missing:
    last = next((i for i in range(len(keys) - 1, -1, -1) if keys[i] in used), None)
    if last is None:
        return Missing(f"none of {source.family} used yet")
    return values[last + 1] if last + 1 < len(values) else Missing(f"{source.family} is at its end")


def transform(source: Source, value: Any) -> Any | Missing:
    """What the source makes of the value it selected."""
    if source.prefix or source.suffix:
        return Missing("no single value") if isinstance(value, list | dict) else f"{source.prefix}{value}{source.suffix}"
    if not source.wrapper:
        return value
    return _WRAP[source.wrapper](value)


def _number(value: Any) -> Any | Missing:
    try:
        number = json.loads(str(value))
    except ValueError:
        return Missing("not a number")
    return number if type(number) in (int, float) else Missing("not a number")


def _basename(value: Any) -> Any | Missing:
    name = str(value).rstrip("/").rpartition("/")[2]
    return name or Missing("no file name")


def _dirname(value: Any) -> Any | Missing:
    head, slash, _ = str(value).rstrip("/").rpartition("/")
    return head if slash and head else Missing("no folder")


def _first_word(value: Any) -> Any | Missing:
    return next(iter(str(value).split()), None) or Missing("no word")


def _last_word(value: Any) -> Any | Missing:
    return next(reversed(str(value).split()), None) or Missing("no word")


_WRAP: dict[str, Callable[[Any], Any]] = {
    "first_word": _first_word,
    "last_word": _last_word,
    "basename": _basename,
    "dirname": _dirname,
    "number": _number,
    "text": str,
    "list": lambda value: [value],
}
