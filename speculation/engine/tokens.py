"""The tokens of free text, and the kinds of thing that they are; the words that a text is about."""

import re
from functools import lru_cache
from itertools import islice

MAX_TOKENS = 400
MAX_SHORT = 16
"""Words of a text short enough for each of them to matter, be it as plain as "owls"."""
_STRIPPED = ".:!?*_="

_BREAKS = "\"'`<>,;()[]{}|"
_QUOTED = re.compile(r"\"([^\"\n]{2,80})\"|'(?<!\w')([^'\n]{2,80})'(?!\w)|`([^`\n]{2,80})`")
"""Each way begins with its own character, and `_NAME` with a class of them: then the search skips whatever cannot begin."""
_LONG_WORD = re.compile(r"[a-z0-9]{3,}")
_RUN = re.compile(r"[a-z]+|[A-Z]+|[0-9]+")
_NAME = re.compile(r"[A-Z](?<!\w[A-Z])[a-z]+ [A-Z][a-z]+\b")
NAME_SHAPE = "Aa Aa"
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.\w+")

_YEAR = r"(?:1[5-9]|20)\d\d"
_PERIOD = re.compile(
    rf"(?<!\d)({_YEAR})(s?)(?:[\s_]*(?:[-\u2013\u2014]|to)[\s_]*({_YEAR}|\d\d(?!\d)|present|now))?(?![\da-z])"
)
YEARS = frozenset(map(str, range(1500, 2100)))
NO_END = 9999
EMPTY_WORDS = frozenset(
    re.findall(
        r"\w+",
        "the and for was were are with that this from what which who whom whose when where how why did does has"
        " have had his her its their into than then them they you your not but can could would will should about",
    )
)
"""English words that say nothing of what a text is about."""


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
    words = islice((word for word in _words(text) if not (word.isalpha() and word.islower())), MAX_TOKENS)
    for word in dict.fromkeys(words):
        for part, shapes in _parts_of(word):
            for shape in shapes:
                found.setdefault(shape, {})[part] = None
    for name in _NAME.findall(text):
        found.setdefault(NAME_SHAPE, {})[name] = None
    return {shape: list(tokens) for shape, tokens in found.items()}


@lru_cache(maxsize=4096)
def tokens_of(text: str, with_words: bool = False) -> dict[str, list[str]]:
    """`tokens_by_shape`, once a text; `with_words`: and the plain words of a short one."""
    found = tokens_by_shape(text)
    for word in _plain_words(text) if with_words else ():
        for shape in shapes_of(word):
            found.setdefault(shape, []).append(word)
    return found


def _words(text: str, most: int = -1) -> list[str]:
    """What stands between blanks and marks that are in no token. `most`: after so many, the rest is one."""
    for mark in _BREAKS:
        text = text.replace(mark, " ")
    return text.split(maxsplit=most)


def _plain_words(text: str) -> list[str]:
    words = _words(text, MAX_SHORT)
    return [word for one in words if _is_plain(word := one.strip(_STRIPPED))] if len(words) <= MAX_SHORT else []


def _is_plain(word: str) -> bool:
    return word.isalpha() and word.islower()


@lru_cache(maxsize=20000)
def _parts_of(word: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The tokens in a word as it stands in text, and their shapes."""
    token = word.strip(_STRIPPED)
    parts = [token] if "/" in token else dict.fromkeys((token, re.split("[=:]", token)[-1]))
    return tuple((part, shapes_of(part)) for part in parts if part and not _is_plain(part))


def stems(text: str) -> frozenset[str]:
    """Words for comparing meaning roughly: lower case, cut to five letters, short and empty ones left out."""
    return frozenset([word[:5] for word in set(_LONG_WORD.findall(text.lower())) - EMPTY_WORDS])



def periods_in(text: str) -> list[tuple[int, int]]:
    """First and last year of each period of several years that a text names: `2013-15`, `2019 to present`, `1980s`."""
    found = []
    for first, decade, last in _PERIOD.findall(text.lower()):
        begin = int(first)
        end = begin + 9 * bool(decade)
        if last.isdigit():
            end = int(last) if len(last) == 4 else begin // 100 * 100 + int(last)
        elif last:
            end = NO_END
        if begin < end:
            found.append((begin, end))
    return found
