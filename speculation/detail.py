"""Level of detail: of a whole layout, what a chart can draw of a range. Pure; seconds.

A chart draws 400 bars at ease. Where a range holds more, time is cut into cells: what starts in one cell on one row becomes
one bar a state, as long as all of that state together, one after the other. Lengths still add up, nothing covers anything,
and a narrower range shows each.
"""

from collections.abc import Sequence
from dataclasses import replace

from speculation.bars import Bar, Range, Timeline

MOST_BARS = 400
MOST_CELLS = 384
NAMES = {"turns": "turns", "model": "turns", "tools": "calls", "would": "calls", "guess": "runs"}
WAITING = ("waits", "queued", "seat")
SIDE_BY_SIDE = "would"
"""In this lane what was hidden is a part of what would have run: its bars begin together."""

Groups = dict[tuple[str, int, int | str, str], list[Bar]]
"""By lane, row, cell and state."""


def seen(whole: Timeline, view: Range | None = None) -> Timeline:
    """What `view` holds, half its length more on either side (for moving along), at most MOST_BARS bars, links and ticks
    each. A view that reaches the end of a running session stays open there."""
    low, high = _wider(view, whole) if view else (-float("inf"), float("inf"))
    inside, ticks, links = list(whole.bars), whole.ticks, whole.links
    if view:
        inside = [bar for bar in whole.bars if bar.start <= high and (bar.end is None or bar.end >= low)]
        ticks = [tick for tick in whole.ticks if low <= tick.at <= high]
        links = [link for link in whole.links if (span := link.span)[0] <= high and span[1] >= low]
    start, end = max(low, 0.0), min(high, whole.end)
    bars = _thinned(inside, max(end - start, 1e-9))
    return replace(
        whole,
        bars=bars,
        merged=len(inside) - len(bars),
        ticks=ticks if len(ticks) <= MOST_BARS else (),
        links=links if len(links) <= MOST_BARS else (),
        slots=_steps(whole.slots, start, end),
        view=(low, high) if view else None,
    )


def _wider(view: Range, whole: Timeline) -> Range:
    margin = (view[1] - view[0]) / 2
    is_open = whole.is_live and view[1] >= whole.end
    return view[0] - margin, float("inf") if is_open else view[1] + margin


def _steps(steps: Sequence[tuple[float, int]], start: float, end: float) -> list[tuple[float, int]]:
    """The steps from `start` to `end`, with what was held before; where they are many, the most held in each stretch."""
    before = [held for at, held in steps if at < start][-1:]
    inside = [(at, held) for at, held in steps if start <= at <= end]
    shown = [*((start, held) for held in before), *inside]
    return shown if len(shown) <= MOST_BARS else _highest(shown, max(end - start, 1e-9) / MOST_BARS)


def _highest(steps: list[tuple[float, int]], width: float) -> list[tuple[float, int]]:
    """The most slots held in each stretch of `width` seconds."""
    most: dict[int, int] = {}
    for at, held in steps:
        most[int(at / width)] = max(held, most.get(int(at / width), 0))
    return [(cell * width, held) for cell, held in sorted(most.items())]


def _thinned(bars: list[Bar], length: float) -> list[Bar]:
    """At most MOST_BARS: cells are joined in pairs until it is so, and if one cell is not enough, the longest bars stay."""
    if len(bars) <= MOST_BARS:
        return bars
    groups = _in_cells(bars, length / MOST_CELLS)
    cells = MOST_CELLS
    while cells > 1 and len(groups) > MOST_BARS:
        groups, cells = _in_pairs(groups), cells // 2
    kept = _merged(groups)
    if len(kept) > MOST_BARS:
        kept = sorted(kept, key=lambda bar: float("inf") if bar.end is None else bar.end - bar.start)[-MOST_BARS:]
    return kept


def _in_cells(bars: list[Bar], width: float) -> Groups:
    """What starts in one cell on one row in one state; open bars stay, each in a cell of its own."""
    groups: Groups = {}
    for bar in bars:
        cell = int(bar.start // width) if bar.end is not None else bar.key
        groups.setdefault((bar.lane, bar.row, cell, bar.state), []).append(bar)
    return groups


def _in_pairs(groups: Groups) -> Groups:
    """The same in cells twice as wide."""
    joined: Groups = {}
    for (lane, row, cell, state), bars in groups.items():
        wider = cell if isinstance(cell, str) else cell >> 1
        joined.setdefault((lane, row, wider, state), []).extend(bars)
    return joined


def _merged(groups: Groups) -> list[Bar]:
    """One bar for each state of a cell, in the order in which they first occur there."""
    cells: dict[tuple[str, int, int | str], list[list[Bar]]] = {}
    for (lane, row, cell, _), bars in groups.items():
        cells.setdefault((lane, row, cell), []).append(bars)
    return [bar for states in cells.values() for bar in _one_after_the_other(states)]


def _one_after_the_other(states: list[list[Bar]]) -> list[Bar]:
    """What is alone in its state, as all others of the cell are, stays where it is."""
    if all(len(bars) == 1 for bars in states):
        return [bars[0] for bars in states]
    start, merged = min(bar.start for bars in states for bar in bars), []
    for bars in states:
        seconds = sum((bar.end or bar.start) - bar.start for bar in bars)
        merged.append(_as_one(bars, start, seconds))
        start += 0 if bars[0].lane == SIDE_BY_SIDE else seconds
    return merged


def _as_one(bars: list[Bar], start: float, seconds: float) -> Bar:
    count, first = len(bars), bars[0]
    if count == 1:
        return first._replace(
            start=start,
            end=start + seconds,
            note=f"{first.note} (moved: its neighbours are drawn as one)".strip(),
        )
    label = f"{count} {'waits' if first.state in WAITING else NAMES[first.lane]}"
    note = f"{seconds:.1f} s in all; too many to draw one by one: zoom in to see each"
    return first._replace(
        start=start, end=start + seconds, label=label, short=str(count), pick="", note=note, stands_for=count
    )
