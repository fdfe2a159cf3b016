"""Lists cut into pages."""


def page_count(items: int, size: int) -> int:
    """How many pages hold all items; the last one may be shorter."""
    return items // size


def page_of(values: list[str], page: int, size: int) -> list[str]:
    """The values of one page; pages count from 1."""
    return values[(page - 1) * size : page * size]
