"""A catalogue of titles, in pages."""

from tally.paging import page_count
from tally.slugs import slugify


def addresses(titles: list[str], size: int) -> list[str]:
    """One address a page, named after the page's first title."""
    return [f"/{slugify(titles[page * size])}/{page + 1}" for page in range(page_count(len(titles), size))]
