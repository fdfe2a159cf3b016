"""HTML cut into text and tags in one pass.

The standard library's parser takes minutes for a hostile page of 100 kB (an unclosed construct repeated); here every
search that fails ends the page or is never made again, so the time is linear. Broken markup is read as far as it makes sense.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TAG_START = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")
_QUOTE_OR_END = re.compile(r"[>\"']")

UNSEEN = frozenset({"script", "style", "noscript", "template", "svg", "iframe", "object"})
"""Elements whose content nobody reads; it is skipped up to their end tag."""


@dataclass(frozen=True)
class Tag:
    name: str
    """In lower case."""
    is_end: bool
    attributes: str
    """As written."""


def tokens(html: str) -> Iterator[str | Tag]:
    """Pieces of raw text (character references not resolved) and tags, in order."""
    position = 0
    while (start := html.find("<", position)) >= 0:
        if start > position:
            yield html[position:start]
        match = _TAG_START.match(html, start)
        if match is None:
            position = _end_of_declaration(html, start)
            if position == start:
                yield "<"
                position += 1
            continue
        end = _end_of_tag(html, match.end())
        tag = Tag(match[2].lower(), bool(match[1]), html[match.end() : end].strip())
        position = end + 1
        yield tag
        if tag.name in UNSEEN and not tag.is_end and not tag.attributes.endswith("/"):
            position = _start_of_end_tag(html, position, tag.name)
    if position < len(html):
        yield html[position:]


def _end_of_declaration(html: str, start: int) -> int:
    """Behind a comment, a doctype or a processing instruction; `start` itself where there is none."""
    if html.startswith("<!--", start):
        return _behind(html, "-->", start + 4)
    if html.startswith(("<!", "<?", "</"), start):
        return _behind(html, ">", start)
    return start


def _behind(html: str, mark: str, start: int) -> int:
    found = html.find(mark, start)
    return len(html) if found < 0 else found + len(mark)


def _end_of_tag(html: str, position: int) -> int:
    """Index of the tag's ">", or the end of the page. A ">" in quotes is part of a value."""
    while match := _QUOTE_OR_END.search(html, position):
        if match.group() == ">":
            return match.start()
        closing = html.find(match.group(), match.end())
        if closing < 0:  # the quote is no quote; the tag ends at the next ">", and so does the page without one
            found = html.find(">", match.end())
            return len(html) if found < 0 else found
        position = closing + 1
    return len(html)


def _start_of_end_tag(html: str, position: int, name: str) -> int:
    found = re.compile(rf"</{re.escape(name)}\b", re.IGNORECASE).search(html, position)
    return len(html) if found is None else found.start()
