"""Reading what tools return: JSON, Python literals, text, or text around one of them; and the tokens of free text.

A result becomes *leaves*: a path such as `.orders[*].id` and the values found there, in order. `[*]` stands for every
element of a list, `{*}` for every value of a mapping whose keys are names of things rather than fields, `.~key` for
those keys.
"""

import ast
import json
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import zip_longest
from typing import Any

from tools.shell import normal_form

MAX_LEAVES = 2000
"""Leaves kept of one result; what comes after is not a source of arguments."""
MAX_TOKENS = 400
MAX_LIST = 64
"""Values kept of one place: what lies further down a list is not predicted."""
MAX_DEPTH = 12
MAX_MARKS = 32
MAX_STATE = 24
"""Characters of a value that tells a state."""
MAX_STATED = 200
"""Characters of a text whose words tell a state."""
MAX_WORDY = 120
"""Characters of a field that may name its record."""
MAX_TEXT = 20000

_BREAKS = re.compile(r"[\"'`<>,;()\[\]{}|]+")
_QUOTED = re.compile(r"\"([^\"\n]{2,80})\"|(?<!\w)'([^'\n]{2,80})'(?!\w)|`([^`\n]{2,80})`")
_WORD = re.compile(r"[A-Za-z0-9]+")
_LONG_WORD = re.compile(r"[a-z0-9]{3,}")
_DIGIT = re.compile("[0-9]")
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


class View:
    """The distinct values of one place, in order, and where each stands. `owners`: the record round each, or None."""

    __slots__ = ("_marks", "_words", "index", "keys", "owners", "values")

    def __init__(self, values: Iterable[Any], owners: Iterable[Any] = ()) -> None:
        self.index: dict[Hashable, int] = {}
        self.keys: list[Hashable] = []
        self.values: list[Any] = []
        self.owners: list[Any] = []
        self._words: list[list[str]] | None = None
        self._marks: tuple[tuple[int, tuple[int, ...]], list[list[str]]] | None = None
        index, keys = self.index, self.keys
        for value, owner in zip_longest(values, owners):
            key = value if type(value) is str else key_of(value)
            if key not in index:
                index[key] = len(keys)
                keys.append(key)
                self.values.append(value)
                self.owners.append(owner)
                if len(keys) >= MAX_LIST:
                    break

    @property
    def words(self) -> list[list[str]]:
        """The words of each value and of the record round it, in a fixed order."""
        if self._words is None:
            self._words = [
                sorted(words_of(value, owner)) for value, owner in zip(self.values, self.owners, strict=True)
            ]
        return self._words

    def marks(self, offered: Sequence[int], query: set[str]) -> list[list[str]]:
        """What may speak for each of these elements: its place among them, its own words, how many it shares with `query`.

        Words that many elements share count for little. Kept until the query grows or others are offered.
        """
        state = (len(query), tuple(offered))
        if self._marks is None or self._marks[0] != state:
            self._marks = state, _marks_of([self.words[i] for i in offered], query)
        return self._marks[1]


_RANKS = ("r0", "r1", "r2", "r3", "r4", "r5", "r5", "r7", "r7")


def _marks_of(words: Sequence[Sequence[str]], query: set[str]) -> list[list[str]]:
    spread: dict[str, int] = {}
    for found in words:
        for word in found:
            spread[word] = spread.get(word, 0) + 1
    most = len(words) / 2
    marked = []
    for rank, found in enumerate(words):
        marks = [word for word in found if spread[word] <= most]
        shared = sum([1.0 / spread[word] for word in marks if word in query])
        marks.append(_RANKS[rank] if rank < len(_RANKS) else "r9")
        if shared:
            marks.append("s1" if shared < 0.45 else "s2" if shared < 1.0 else "s3")
        marked.append(marks)
    marked[-1].append("last")
    return marked


NOTHING = View(())


class Parsed:
    """One result, read once; leaves, tokens and their index are made when first asked for."""

    def __init__(self, result: Any) -> None:
        self._result = result
        self._views: dict[str, View] = {}

    @cached_property
    def _parts(self) -> tuple[Any, str]:
        return parse(self._result)

    @cached_property
    def _collected(self) -> "_Leaves":
        found = _Leaves()
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


@lru_cache(maxsize=4096)
def leaf_name(path: str) -> str:
    return path.replace("[*]", "").replace("{*}", "").rpartition(".")[2]


class _Leaves:
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
        elif kind is str and value[:1] in ("{", "[") and isinstance(inner := _parse_whole(value), (dict, list)):
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


def words_of(value: Any, owner: Any) -> frozenset[str]:
    """The words of a value and of the record that holds it: what a person would call it by."""
    texts = [str(value)]
    if isinstance(owner, tuple):
        texts.append(str(owner[0]))
        owner = owner[1]
    if isinstance(owner, Mapping):
        texts += [text for text in owner.values() if type(text) is str and len(text) <= MAX_WORDY]
    return stems(" ".join(texts))


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


def tokens_by_shape(text: str) -> dict[str, list[str]]:
    """Shape to its distinct tokens in order of appearance; quoted strings under `quoted`. Plain words are no tokens."""
    found: dict[str, dict[str, None]] = {}
    if '"' in text or "'" in text or "`" in text:
        for match in _QUOTED.finditer(text):
            found.setdefault("quoted", {})[match[1] or match[2] or match[3]] = None
    count = 0
    for word in _BREAKS.sub(" ", text).split():
        if word.isalpha() and word.islower():
            continue
        count += 1
        if count > MAX_TOKENS:
            break
        for part, shapes in _parts_of(word):
            for shape in shapes:
                found.setdefault(shape, {})[part] = None
    for name in _NAME.findall(text):
        found.setdefault(NAME_SHAPE, {})[name] = None
    return {shape: list(tokens) for shape, tokens in found.items()}


@lru_cache(maxsize=4096)
def tokens_of(text: str) -> dict[str, list[str]]:
    """`tokens_by_shape`, once a text."""
    return tokens_by_shape(text)


@lru_cache(maxsize=20000)
def _parts_of(word: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The tokens in a word as it stands in text, and their shapes."""
    token = word.strip(".:!?*_=")
    parts = [token] if "/" in token else dict.fromkeys((token, re.split("[=:]", token)[-1]))
    return tuple((part, shapes_of(part)) for part in parts if part and not (part.isalpha() and part.islower()))


def stems(text: str) -> frozenset[str]:
    """Words for comparing meaning roughly: lower case, cut to five letters, short and empty ones left out."""
    return frozenset([word[:5] for word in set(_LONG_WORD.findall(text.lower())) - EMPTY_WORDS])
