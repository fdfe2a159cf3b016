"""Reading what tools return: JSON, Python literals, text, or text around one of them; and the tokens of free text.

A result becomes *leaves*: a path such as `.orders[*].id` and the values found there, in order. `[*]` stands for every
element of a list, `{*}` for every value of a mapping whose keys are names of things rather than fields, `.~key` for
those keys.
"""

import ast
import json
import re
from collections.abc import Hashable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any

from tools.shell import normal_form

MAX_LEAVES = 2000
"""Leaves kept of one result; what comes after is not a source of arguments."""
MAX_TOKENS = 400
MAX_TEXT = 20000

_TOKEN = re.compile(r"[^\s\"'`<>,;()\[\]{}|]+")
_QUOTED = re.compile(r"\"([^\"\n]{2,80})\"|(?<!\w)'([^'\n]{2,80})'(?!\w)|`([^`\n]{2,80})`")
_WORD = re.compile(r"[A-Za-z0-9]+")
_RUN = re.compile(r"[a-z]+|[A-Z]+|[0-9]+")
_LITERAL_NAME = re.compile(r"\b(?:None|True|False)\b")
_NAME = re.compile(r"\b[A-Z][a-z]+ [A-Z][a-z]+\b")
NAME_SHAPE = "Aa Aa"
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.\w+")

EMPTY_WORDS = frozenset(
    _WORD.findall(
        "the and for was were are with that this from what which who whom whose when where how why did does has"
        " have had his her its their into than then them they you your not but can could would will should about"
    )
)
"""English words that say nothing of what a text is about."""


def key_of(value: Any) -> Hashable:
    """A hashable stand-in, equal exactly for equal JSON values (1 is 1.0, but neither "1" nor true)."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is int or kind is float:
        return ("", value)
    if isinstance(value, (list, tuple)):
        return ("[", *map(key_of, value))
    if isinstance(value, Mapping):
        return ("{", *sorted((str(name), repr(key_of(item))) for name, item in value.items()))
    return (kind.__name__, str(value))


Identity = tuple[str, tuple[tuple[str, Hashable], ...]]


def identity(
    tool: str, arguments: Mapping[str, Any], cosmetic: frozenset[str] = frozenset(), shell_argument: str = ""
) -> Identity:
    """What makes two calls the same work. A command line in `shell_argument` is compared after parsing."""
    if len(arguments) == 1 and not cosmetic and not shell_argument:
        ((name, value),) = arguments.items()
        return tool, ((name, key_of(value)),)
    return tool, tuple(
        sorted(
            [
                (name, normal_form(value) if name == shell_argument and type(value) is str else key_of(value))
                for name, value in arguments.items()
                if name not in cosmetic
            ]
        )
    )


def parse(result: Any) -> tuple[Any, str]:
    """(structured value or None, text around it) of a tool's result."""
    if not isinstance(result, str):
        return result, ""
    text = result[:MAX_TEXT].strip()
    if not text:
        return None, ""
    if text[0] in "{[\"'(" and (whole := _parse_whole(text)) is not None:
        return whole, ""
    return _parse_inside(text)


def _parse_whole(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return _parse_literal(text)


def _parse_literal(text: str) -> Any:
    """A Python literal. Where every quote is a delimiter JSON's parser, ten times faster, reads the same."""
    if '"' not in text and "\\" not in text and "(" not in text and not _LITERAL_NAME.search(text):
        try:
            return json.loads(text.replace("'", '"'))
        except ValueError:
            pass
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return list(value) if isinstance(value, (tuple, set, frozenset)) else value


_DECODER = json.JSONDecoder()


def _parse_inside(text: str) -> tuple[Any, str]:
    """The first JSON container inside text, and the text without it."""
    for match in list(re.finditer(r"[{\[](?=\s*[\"{\[\d\]}])", text))[:3]:
        try:
            value, end = _DECODER.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        if value:
            return value, text[: match.start()] + text[end:]
    return None, text


class Parsed:
    """One result, read once; leaves, tokens and their index are made when first asked for."""

    def __init__(self, result: Any) -> None:
        self._result = result

    @cached_property
    def _parts(self) -> tuple[Any, str]:
        return parse(self._result)

    @cached_property
    def leaves(self) -> dict[str, list[Any]]:
        """Path to the values found there, in document order."""
        found: dict[str, list[Any]] = {}
        for count, (path, value) in enumerate(_walk(self._parts[0], "", 0)):
            if count >= MAX_LEAVES:
                break
            found.setdefault(path, []).append(value)
        return found

    @cached_property
    def index(self) -> dict[Hashable, list[str]]:
        """Value to the paths where it occurs."""
        places: dict[Hashable, list[str]] = {}
        for path, values in self.leaves.items():
            for value in values:
                paths = places.setdefault(key_of(value), [])
                if path not in paths:
                    paths.append(path)
        return places

    @cached_property
    def names(self) -> dict[str, list[Any]]:
        """Field name (the last of the path) to values."""
        found: dict[str, list[Any]] = {}
        for path, values in self.leaves.items():
            if name := leaf_name(path):
                found.setdefault(name, []).extend(values)
        return found

    @cached_property
    def text(self) -> str:
        """All free text: what is around the structure, and every long string inside it."""
        pieces = [self._parts[1]]
        pieces += [v for values in self.leaves.values() for v in values if type(v) is str and len(v) > 24 and " " in v]
        return "\n".join(pieces)[:MAX_TEXT]

    @cached_property
    def tokens(self) -> dict[str, list[str]]:
        return tokens_by_shape(self.text)


@lru_cache(maxsize=4096)
def leaf_name(path: str) -> str:
    return path.replace("[*]", "").replace("{*}", "").rpartition(".")[2]


def _walk(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > 12:
        return
    if isinstance(value, Mapping):
        if _keys_are_names(value):
            for key, item in value.items():
                yield f"{path}.~key", str(key)
                yield from _walk(item, f"{path}{{*}}", depth + 1)
        else:
            for key, item in value.items():
                yield from _walk(item, f"{path}.{key}", depth + 1)
    elif isinstance(value, (list, tuple)):
        if value and len(value) <= 20 and not any(isinstance(item, (Mapping, list, tuple)) for item in value):
            yield path, list(value)
        for item in value:
            yield from _walk(item, f"{path}[*]", depth + 1)
    elif type(value) is str and value[:1] in ("{", "[") and isinstance(inner := _parse_whole(value), (dict, list)):
        yield from _walk(inner, path, depth + 1)
    elif value is not None:
        yield path, value


def _keys_are_names(value: Mapping[Any, Any]) -> bool:
    """True where the keys are ids ("gift_card_3481935") and not fields ("zip")."""
    if not value:
        return False
    if all(isinstance(item, Mapping) for item in value.values()):
        if any(any(c.isdigit() for c in str(key)) for key in value):
            return True
        shapes = {tuple(item) for item in value.values()}
        return len(value) > 1 and len(shapes) == 1
    return len(value) > 1 and all(any(c.isdigit() for c in str(key)) for key in value)


def _run_class(match: re.Match[str]) -> str:
    first = match[0][0]
    return "9" if first.isdigit() else "A" if first.isupper() else "a"


@lru_cache(maxsize=20000)
def shapes_of(token: str) -> tuple[str, ...]:
    """What kinds of thing a token is: named kinds first, then learnable shapes, the exact one last.

    "omar_davis_3817" is `a_a_9`; "JG7FMM" is `A9A` and, as a code of fixed length, `X6`.
    """
    kinds = []
    if "://" in token:
        return ("url",)
    if _EMAIL.fullmatch(token):
        return ("email",)
    if "/" in token and len(token) > 2:
        kinds.append("path")
    if len(token) <= 24:
        kinds.append(_RUN.sub(_run_class, token))
        if token.isdigit():
            kinds.append("9" * len(token))
        elif token.isalnum() and token.isupper() and any(c.isdigit() for c in token):
            kinds.append(f"X{len(token)}")
    elif not kinds:
        kinds.append("long")
    return tuple(dict.fromkeys(kinds))


class Tokens:
    """The tokens of a text, found when first asked for."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def by_shape(self) -> dict[str, list[str]]:
        return tokens_by_shape(self._text)


def tokens_by_shape(text: str) -> dict[str, list[str]]:
    """Shape to its distinct tokens in order of appearance; quoted strings under `quoted`."""
    found: dict[str, dict[str, None]] = {}
    for match in _QUOTED.finditer(text):
        found.setdefault("quoted", {})[match[1] or match[2] or match[3]] = None
    for count, match in enumerate(_TOKEN.finditer(text)):
        if count >= MAX_TOKENS:
            break
        token = match[0].strip(".:!?*_=")
        for part in (token,) if "/" in token else dict.fromkeys((token, re.split("[=:]", token)[-1])):
            if part:
                for shape in shapes_of(part):
                    found.setdefault(shape, {})[part] = None
    for match in _NAME.finditer(text):
        found.setdefault(NAME_SHAPE, {})[match[0]] = None
    return {shape: list(tokens) for shape, tokens in found.items()}


def stems(text: str) -> frozenset[str]:
    """Words for comparing meaning roughly: lower case, cut to five letters, short and empty ones left out."""
    return frozenset(word[:5] for word in _WORD.findall(text.lower()) if len(word) > 2 and word not in EMPTY_WORDS)
