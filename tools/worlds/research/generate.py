"""Writes documents.json and site/ from pages.txt: `python tools/worlds/research/generate.py`.

A page in pages.txt is a head line `# slug | title | slugs of related pages`, then a paragraph a line, then an empty line.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parent
PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body>
<h1>{title}</h1>
{paragraphs}
<h2>See also</h2>
<ul>
{links}
</ul>
</body>
</html>
"""


@dataclass(frozen=True)
class Page:
    slug: str
    title: str
    related: list[str]
    paragraphs: list[str]


def read_pages(text: str) -> Iterator[Page]:
    for block in text.strip().split("\n\n"):
        head, *paragraphs = block.split("\n")
        slug, title, related = (part.strip() for part in head.removeprefix("# ").split("|"))
        yield Page(slug, title, [name.strip() for name in related.split(",")], paragraphs)


def render(page: Page, titles: dict[str, str]) -> str:
    links = [f'<li><a href="{slug}.html">{escape(titles[slug])}</a></li>' for slug in page.related]
    paragraphs = [f"<p>{escape(paragraph)}</p>" for paragraph in page.paragraphs]
    return PAGE.format(title=escape(page.title), paragraphs="\n".join(paragraphs), links="\n".join(links))


def main() -> None:
    pages = list(read_pages((FOLDER / "pages.txt").read_text()))
    titles = {page.slug: page.title for page in pages}
    site = FOLDER / "site"
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir()
    for page in pages:
        (site / f"{page.slug}.html").write_text(render(page, titles))
    index = Page("index", "The library", list(titles), [f"{len(pages)} short pages."])
    (site / "index.html").write_text(render(index, titles))
    documents = [
        {
            "id": page.slug,
            "title": page.title,
            "url": f"{{library}}/{page.slug}.html",
            "body": " ".join(page.paragraphs),
        }
        for page in pages
    ]
    (FOLDER / "documents.json").write_text(json.dumps(documents, indent=1) + "\n")


if __name__ == "__main__":
    main()
