"""What a reader looks at of a session: a range of the timeline, a page of each table, one call. Held by the address."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any
from urllib.parse import urlencode

from speculation.bars import Range

PAGED = ("calls", "turns", "predictions")
LEAST_RANGE_SECONDS = 0.001
LONGEST_NUMBER = 15


@dataclass(frozen=True)
class Sight:
    """`view` None: all of it. `pages`: of tables, from 1, as far as one was chosen. `before`: the log up to this entry.
    `call`: the call or run that is selected."""

    view: Range | None = None
    pages: Mapping[str, int] = field(default_factory=dict)
    before: int | None = None
    call: str = ""

    @classmethod
    def read(cls, query: Any) -> "Sight":
        """Out of an address, or of what a browser sent; what makes no sense is left out."""
        if not isinstance(query, Mapping):
            return cls()
        pages = {name: page for name in PAGED if (page := _whole(query.get(name)))}
        return cls(
            _range(query.get("from"), query.get("to")),
            pages,
            _whole(query.get("before")),
            str(query.get("call") or "")[:64],
        )

    def differs_in_range_alone(self, other: "Sight") -> bool:
        return replace(self, view=None) == replace(other, view=None)

    def address(self, tab: str, **changes: int | None) -> str:
        """The query string of this sight with another page of a table, or another part of the log."""
        pages: dict[str, int | None] = {**self.pages, "before": self.before, **changes}
        view = {"from": f"{self.view[0]:.2f}", "to": f"{self.view[1]:.2f}"} if self.view else {}
        call = {"call": self.call} if self.call else {}
        return "?" + urlencode({"tab": tab, **view, **call, **{name: page for name, page in pages.items() if page}})


def _whole(text: Any) -> int | None:
    text = str(text or "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < LONGEST_NUMBER else None


def _range(low: Any, high: Any) -> Range | None:
    try:
        start, end = float(low), float(high)
    except (TypeError, ValueError):
        return None
    return (start, end) if isfinite(start) and isfinite(end) and end - start >= LEAST_RANGE_SECONDS else None
