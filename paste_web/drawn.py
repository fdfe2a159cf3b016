"""What a session's page draws from its story: lanes, rows, and how guesses came about. Kept once nothing more can come.

Two readers who may see different things never share one: what is drawn with payloads is kept apart.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

from paste_web.charts import timeline_figure
from paste_web.strip import StripBoxes, strip_boxes
from speculation.bars import Range
from speculation.call_table import CallRow, call_rows
from speculation.detail import seen
from speculation.links import Moment, moments_of, predicted_at, seals_of
from speculation.queries import Told
from speculation.shelf import Shelf
from speculation.strip import draw_strip
from speculation.timeline import Timeline, lay_out
from speculation.uncollected import uncollected

BYTES_AN_ENTRY = 450
"""Roughly what bars and rows take for each entry of the log."""
_kept: "Shelf[tuple[UUID, int, bool], Drawn]" = Shelf(most_things=32, most_bytes=64_000_000)


class Drawn:
    """Each part is made when it is first asked for."""

    def __init__(self, told: Told, *, show_payloads: bool) -> None:
        self.told, self.show_payloads = told, show_payloads
        self._strips: dict[float | None, StripBoxes] = {}

    def figure(self, view: Range | None) -> Mapping[str, Any]:
        """The chart of a range, in as much detail as fits."""
        return self._chart(view) if view else self._whole_chart

    def strip(self, pair_seconds: float | None) -> StripBoxes:
        """The two bars, on the axis of the longer one; `pair_seconds`: how long the other arm took."""
        if pair_seconds not in self._strips:
            self._strips[pair_seconds] = strip_boxes(draw_strip(self.told.story, self.told.figures, pair_seconds=pair_seconds))
        return self._strips[pair_seconds]

    @cached_property
    def timeline(self) -> Timeline:
        told = self.told
        with uncollected():
            return lay_out(told.story, told.figures, now=told.now, show_payloads=self.show_payloads)

    @cached_property
    def rows(self) -> Sequence[CallRow]:
        told = self.told
        return call_rows(told.story, told.figures, now=told.now, show_payloads=self.show_payloads)

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Where each call and each run nobody asked for stands among the rows, by its pick."""
        return {row.pick: index for index, row in enumerate(self.rows)}

    @cached_property
    def predicted(self) -> Mapping[str, float]:
        return predicted_at(self.told.story)

    @cached_property
    def moments(self) -> Sequence[Moment]:
        return moments_of(self.told.story)

    @cached_property
    def seals(self) -> dict[str, list[float]]:
        return seals_of(self.told.story)

    @cached_property
    def tools(self) -> frozenset[str]:
        return frozenset(run.tool for run in self.told.story.runs.values())

    @cached_property
    def _whole_chart(self) -> Mapping[str, Any]:
        return self._chart(None)

    def _chart(self, view: Range | None) -> Mapping[str, Any]:
        with uncollected():  # what it groups would count as grown old, and bring a search through all that is kept
            return timeline_figure(seen(self.timeline, view), revision=str(self.told.session.pk))


def drawn(told: Told, *, show_payloads: bool, is_settled: bool) -> Drawn:
    """`is_settled`: nothing more can come, so that what is drawn once serves the next readers, too."""
    if not is_settled:
        return Drawn(told, show_payloads=show_payloads)
    key = told.session.pk, told.story.last_seq, show_payloads
    found = _kept.get(key)
    if found is None or found.told.figures is not told.figures:
        found = Drawn(told, show_payloads=show_payloads)
        _kept.put(key, found, told.story.last_seq * BYTES_AN_ENTRY)
    return found
