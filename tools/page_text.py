"""An HTML page as a model reads it: its title, its text line by line, and where its links lead."""

import re
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import urldefrag, urljoin

from tools.html_tokens import Tag, tokens

_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "figure", "footer", "form", "h1", "h2",
    "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "tr", "ul",
})  # fmt: skip
_MARKS = {f"h{level}": "#" * level + " " for level in range(1, 7)} | {"li": "- "}
_HREF = re.compile(r"""(?:^|\s)href\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
MAX_LINKS = 200


@dataclass(frozen=True)
class PageText:
    title: str
    text: str
    links: list[dict[str, str]] = field(default_factory=list)
    """[{"text", "url"}], absolute http(s) addresses without fragment, each once, in the page's order."""


def read_page(html: str, base_url: str) -> PageText:
    """Time linear in the length of `html`."""
    reader = _Reader(base_url)
    for token in tokens(html):
        if isinstance(token, Tag):
            reader.hear_tag(token)
        else:
            reader.hear_text(unescape(token))
    lines = (re.sub(r"[ \t\r\f\v\xa0]+", " ", line).strip() for line in "".join(reader.pieces).split("\n"))
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    links = [{"text": _on_one_line(words), "url": url} for url, words in reader.links.items()]
    return PageText(_on_one_line(reader.title), text, links)


def _on_one_line(pieces: list[str]) -> str:
    return " ".join("".join(pieces).split())


class _Reader:
    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.title: list[str] = []
        self.pieces: list[str] = []
        self.links: dict[str, list[str]] = {}
        self._is_in_title = False
        self._keeps_lines = False
        self._link = ""

    def hear_tag(self, tag: Tag) -> None:
        if tag.name == "title":
            self._is_in_title = not tag.is_end
        elif tag.name == "a":
            self._link = "" if tag.is_end else self._absolute(tag.attributes)
        elif tag.name in ("td", "th") and not tag.is_end:
            self.pieces.append(" | ")
        elif tag.name in _BLOCKS:
            self.pieces.append("\n" if tag.is_end else f"\n{_MARKS.get(tag.name, '')}")
            if tag.name == "pre":
                self._keeps_lines = not tag.is_end

    def hear_text(self, text: str) -> None:
        if self._is_in_title:
            self.title.append(text)
            return
        self.pieces.append(text if self._keeps_lines else text.replace("\n", " "))
        if self._link and (self._link in self.links or len(self.links) < MAX_LINKS):
            self.links.setdefault(self._link, []).append(text)

    def _absolute(self, attributes: str) -> str:
        """The link's address, or empty where it leads nowhere that can be fetched."""
        match = _HREF.search(attributes)
        href = unescape(match[1] or match[2] or match[3] or "").strip() if match else ""
        try:
            url = urldefrag(urljoin(self.base_url, href)).url
        except ValueError:
            return ""
        return url if href and not href.startswith("#") and url.startswith(("http://", "https://")) else ""
