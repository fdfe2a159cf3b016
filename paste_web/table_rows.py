"""Rows of a session's tables as HTML, each kept by all that it shows: of the rows that a watcher is sent again and again most
are as they were, and rendering is what a watcher costs.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from speculation.figures import TurnFigures

MOST_ROWS = 8192
"""Of about a kilobyte each."""


@dataclass(frozen=True, slots=True)
class TurnRow:
    """One turn, as its table shows it. Seconds; `started_at` is its first attempt's.

    While it goes on its figures stand in no row: time alone changes them, and rows are told when the log grows.
    """

    turn: int
    started_at: float
    decode_seconds: float
    waited_seconds: float
    without_seconds: float
    net_saved_seconds: float
    is_decoding: bool
    is_waiting: bool


def turn_rows(turns: Iterable[TurnFigures], *, has_ended: bool) -> list[TurnRow]:
    """`has_ended`: of the session, so that no turn goes on."""
    return [
        TurnRow(
            turn.turn,
            turn.spans[0].started_at,
            turn.decode_seconds,
            turn.waited_seconds,
            turn.without_seconds,
            turn.net_saved_seconds,
            is_decoding=not has_ended and turn.spans[-1].ended_at is None,
            is_waiting=not has_ended and any(call.call.returned_at is None for call in turn.calls),
        )
        for turn in turns
    ]


@lru_cache(maxsize=MOST_ROWS)
def row_html(table: str, row: Hashable) -> SafeString:
    """A row of the table `calls` or `turns`. What the reader may not see must not be in the row."""
    return render_to_string(f"sessions/parts/{table}_row.html", {"row": row})
