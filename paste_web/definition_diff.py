"""Two definitions of a tool side by side, line by line and within a line word by word. Pure; invisible characters shown."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from paste_web.plain_text import reveal

CONTEXT_LINES = 2
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True)
class Part:
    text: str
    is_changed: bool


@dataclass(frozen=True)
class Line:
    """`mark`: "-" only before, "+" only after, " " in both, "…" where equal lines are left out."""

    mark: str
    parts: Sequence[Part]

    @property
    def word(self) -> str:
        """For whoever hears rather than sees."""
        return {"-": "removed", "+": "added"}.get(self.mark, "")


def as_text(definition: Mapping[str, Any]) -> str:
    """A definition as it is read: JSON, one thing a line, with nothing invisible."""
    return reveal(json.dumps(definition, indent=2, ensure_ascii=False, sort_keys=True))


def diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Line]:
    """What changed, with two lines around; empty if nothing did."""
    old, new = as_text(before).splitlines(), as_text(after).splitlines()
    lines: list[Line] = []
    for group in SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(CONTEXT_LINES):
        if lines:
            lines.append(Line("…", ()))
        for verb, i, j, k, m in group:
            lines += [_plain(" ", text) for text in old[i:j]] if verb == "equal" else _changed(old[i:j], new[k:m])
    return lines


def _changed(old: Sequence[str], new: Sequence[str]) -> Iterator[Line]:
    """Lines in the same place are compared word by word; what is left over is all new or all gone."""
    pairs = [_words_of(before, after) for before, after in zip(old, new, strict=False)]
    paired = len(pairs)
    yield from (Line("-", before) for before, _after in pairs)
    yield from (_whole("-", text) for text in old[paired:])
    yield from (Line("+", after) for _before, after in pairs)
    yield from (_whole("+", text) for text in new[paired:])


def _words_of(before: str, after: str) -> tuple[Sequence[Part], Sequence[Part]]:
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    gone: list[Part] = []
    come: list[Part] = []
    for verb, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if i < j:
            gone.append(Part("".join(old[i:j]), verb != "equal"))
        if k < m:
            come.append(Part("".join(new[k:m]), verb != "equal"))
    return gone, come


def _plain(mark: str, text: str) -> Line:
    return Line(mark, (Part(text, False),))


def _whole(mark: str, text: str) -> Line:
    return Line(mark, (Part(text, True),))
