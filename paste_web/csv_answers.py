"""Answers as CSV that spreadsheets open safely: what would be read as a formula is written as text."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from paste_web.streamed import Streamed

STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class _Echo:
    """A file that gives back what is written."""

    def write(self, text: str) -> str:
        return text


def csv_answer(name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Streamed:
    """A download called `name`, row by row as they come. No cache keeps it: it is for whoever may see it now."""
    response = Streamed(_lines(head, rows), content_type="text/csv; charset=utf-8")
    response["Cache-Control"] = "no-store"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _lines(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(head)
    for row in rows:
        yield writer.writerow([harmless(cell) for cell in row])


def harmless(cell: Any) -> Any:
    """Numbers stay numbers; a text that starts a formula gets an apostrophe in front."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(STARTS_A_FORMULA) else cell
