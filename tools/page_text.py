"""An HTML page as a model reads it: its title, its text line by line, and where its links lead."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin

_UNSEEN = frozenset({"script", "style", "noscript", "template", "svg", "iframe", "object", "head"})
_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "figure", "footer", "form", "h1", "h2",
    "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "tr", "ul",
})  # fmt: skip
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
MAX_LINKS = 200


@dataclass(frozen=True)
class PageText:
    title: str
    text: str
    links: list[dict[str, str]] = field(default_factory=list)
    """[{"text", "url"}], absolute http(s) addresses without fragment, each once, in the page's order."""


def read_page(html: str, base_url: str) -> PageText:
    reader = _Reader(base_url)
    reader.feed(html)
    reader.close()
    lines = (re.sub(r"[ \t\r\f\v\xa0]+", " ", line).strip() for line in "".join(reader.pieces).split("\n"))
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    links = [{"text": " ".join(words.split()), "url": url} for url, words in reader.links.items()]
    return PageText(" ".join("".join(reader.title).split()), text, links[:MAX_LINKS])


class _Reader(HTMLParser):
    def __init__(self, base_url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.base_url = base_url
        self.title: list[str] = []
        self.pieces: list[str] = []
        self.links: dict[str, str] = {}
        self._unseen: list[str] = []
        self._in_title = False
        self._link = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body":
            self._unseen.clear()  # a head that was never closed ends here
        elif tag in _UNSEEN:
            self._unseen.append(tag)
        elif tag == "title":
            self._in_title = not self.title
        elif tag in _BLOCKS:
            self.pieces.append("\n" + _HEADINGS.get(tag, "- " if tag == "li" else ""))
        elif tag in ("td", "th"):
            self.pieces.append(" | ")
        elif tag == "a":
            self._link = self._absolute(dict(attrs).get("href") or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _UNSEEN:  # <script/> hides nothing
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._unseen:
            del self._unseen[self._unseen.index(tag) :]
        elif tag == "title":
            self._in_title = False
        elif tag == "a":
            self._link = ""
        elif tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
        elif not self._unseen:
            self.pieces.append(data.replace("\n", " "))
            if self._link:
                self.links[self._link] = self.links.get(self._link, "") + data

    def _absolute(self, href: str) -> str:
        try:
            url = urldefrag(urljoin(self.base_url, href.strip())).url
        except ValueError:
            return ""
        return url if url.startswith(("http://", "https://")) and href and not href.startswith("#") else ""
