"""A table as text for a terminal."""

from collections.abc import Iterable, Sequence

Row = Sequence[str]


def text_table(head: Row, rows: Iterable[Row]) -> str:
    """Columns as wide as they need be; the first one to the left, numbers to the right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
