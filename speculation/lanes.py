"""One span a row: where spans that overlap go. Pure."""

from collections.abc import Sequence

Number = float | int


def first_fit(spans: Sequence[tuple[Number, Number]]) -> list[int]:
    """For each span (start, end) the first row where it overlaps none of the spans before it; touching is allowed.

    Rows stay few where spans come by their start.
    """
    free_from: list[Number] = []
    rows = []
    for start, end in spans:
        row = next((row for row, free in enumerate(free_from) if free <= start), len(free_from))
        free_from[row : row + 1] = [end]
        rows.append(row)
    return rows
