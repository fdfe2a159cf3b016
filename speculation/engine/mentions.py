"""Which of the values and tools that could be called next a growing text has named so far. Reads only what is new."""

import re
from collections.abc import Iterable, Mapping, Sequence

MIN_LENGTH = 3
"""A shorter value stands in a text by accident."""
STEM = 5
"""Letters of a word that count: "retrieving" and "retrieve" are one."""
_NAME_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_WORD = re.compile(r"[a-z]+")


def words_of(tool: str) -> frozenset[str]:
    """What a text would say about the use of a tool: `get_order_details` is spoken of as get, order, detai."""
    return frozenset(word.lower()[:STEM] for word in _NAME_WORDS.findall(tool) if len(word) >= MIN_LENGTH)


def wording(value: object) -> str:
    """A value as a text would name it; empty where nobody would know it again."""
    if type(value) is str or (type(value) in (int, float) and value):
        said = str(value).strip().lower()
        return said if len(said) >= MIN_LENGTH else ""
    return ""


class Mentions:
    """Follows one text. `values` are wordings; a word counts once it is over, so that "#W12" does not name "#W1"."""

    def __init__(self, values: Iterable[str], tools: Iterable[str]) -> None:
        self.values: dict[str, int] = {}
        """Wording to where it was named first."""
        self._values = {value for value in values if value}
        self._longest = max(map(len, self._values), default=0)
        self._words = _telling({tool: words_of(tool) for tool in tools})
        self._worth_hearing = frozenset().union(*self._words.values())
        self._heard: set[str] = set()
        self._read = self._listened = 0

    def read(self, text: str, is_over: bool = False) -> bool:
        """True if the text names something that it had not named before. `text` is all of it so far."""
        if len(text) == self._read and not is_over:
            return False
        named = self._find_values(text, is_over)
        heard = self._listen(text, is_over)
        self._read = len(text)
        return named or heard

    def share(self, tool: str) -> float:
        """The part of the tool's telling words that were said, 0 to 1."""
        words = self._words.get(tool, frozenset())
        return len(words & self._heard) / len(words) if words else 0.0

    def _find_values(self, text: str, is_over: bool) -> bool:
        start = max(0, self._read - self._longest - 1)
        tail = text[start:].lower()
        before = len(self.values)
        for value in self._values:
            if value in tail and value not in self.values and (at := _named_at(value, tail, is_over)) >= 0:
                self.values[value] = start + at
        return len(self.values) > before

    def _listen(self, text: str, is_over: bool) -> bool:
        end = len(text) if is_over else max(text.rfind(" "), text.rfind("\n"))
        if end <= self._listened:
            return False
        before = len(self._heard)
        said = {word[:STEM] for word in _WORD.findall(text[self._listened : end].lower())}
        self._heard |= said & self._worth_hearing
        self._listened = end
        return len(self._heard) > before


def _telling(words: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Each tool's words without those that most tools share, such as "get"."""
    tools: Sequence[frozenset[str]] = list(words.values())
    common = {word for word in frozenset().union(*tools) if 2 * sum(word in each for each in tools) > len(tools) > 1}
    return {tool: each - common or each for tool, each in words.items()}


def _named_at(value: str, text: str, is_over: bool) -> int:
    """Where the value stands as a word of its own, -1 if it does not."""
    at = text.find(value)
    while at >= 0:
        end = at + len(value)
        ends = is_over if end == len(text) else not text[end].isalnum()
        if ends and not (at and text[at - 1].isalnum()):
            return at
        at = text.find(value, at + 1)
    return -1
