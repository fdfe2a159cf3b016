"""Level of detail: of a whole layout, what a chart can draw of a range. Pure; seconds.

A chart draws 400 bars at ease. Where a range holds more, time is cut into cells: what starts in one cell on one row becomes
one bar a state, as long as all of that state together, one after the other. Lengths still add up, nothing covers anything,
and a narrower range shows each.
"""

from collections.abc import Sequence
from dataclasses import replace

from speculation.bars import Bar, Range, Timeline

MOST_BARS = 400
NAMES = {"turns": "turns", "model": "turns", "tools": "calls", "would": "calls", "guess": "runs"}
WAITING = ("waits", "queued", "seat")
SIDE_BY_SIDE = "would"
"""In this lane what was hidden is a part of what would have run: its bars begin together."""


def seen(whole: Timeline, view: Range | None = None) -> Timeline:
    """What `view` holds, half its length more on either side (for moving along), at most MOST_BARS bars, links and ticks
    each. A view that reaches the end of a running session stays open there."""
    low, high = _wider(view, whole) if view else (-float("inf"), float("inf"))
    inside = [bar for bar in whole.bars if bar.start <= high and (bar.end is None or bar.end >= low)]
    start, end = max(low, 0.0), min(high, whole.end)
    bars = _thinned(inside, max(end - start, 1e-9))
    ticks = [tick for tick in whole.ticks if low <= tick.at <= high]
    links = [link for link in whole.links if link.span[0] <= high and link.span[1] >= low]
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
    """At most MOST_BARS: cells grow until it is so, and if one cell is not enough, the longest bars stay."""
    if len(bars) <= MOST_BARS:
        return bars
    cells = MOST_BARS
    while cells > 1 and not _fits(bars, length / cells):
        cells //= 2
    kept = _merged(bars, length / cells)
    if len(kept) > MOST_BARS:
        kept = sorted(kept, key=lambda bar: float("inf") if bar.end is None else bar.end - bar.start)[-MOST_BARS:]
    return kept


def _fits(bars: list[Bar], width: float) -> bool:
    """Whether at most MOST_BARS are left in cells of this width: one for each state of a cell. Counting is cheap."""
    found: set[tuple[str, int, int | str, str]] = set()
    for bar in bars:
        found.add((bar.lane, bar.row, _cell(bar, width), bar.state))
        if len(found) > MOST_BARS:
            return False
    return True


def _cell(bar: Bar, width: float) -> int | str:
    """Open bars stay: each has a cell of its own."""
    return int(bar.start // width) if bar.end is not None else bar.key


def _merged(bars: list[Bar], width: float) -> list[Bar]:
    groups: dict[tuple[str, int, int | str], list[Bar]] = {}
    for bar in bars:
        groups.setdefault((bar.lane, bar.row, _cell(bar, width)), []).append(bar)
    return [bar for group in groups.values() for bar in _by_state(group)]


def _by_state(group: list[Bar]) -> list[Bar]:
    """One bar for each state of the group, in the order in which they first occur."""
    states: dict[str, list[Bar]] = {}
    for bar in group:
        states.setdefault(bar.state, []).append(bar)
    if len(group) == len(states):
        return group
    start, merged = min(bar.start for bar in group), []
    for bars in states.values():
        seconds = sum((bar.end or bar.start) - bar.start for bar in bars)
        merged.append(_as_one(bars, start, seconds))
        start += 0 if bars[0].lane == SIDE_BY_SIDE else seconds
    return merged


def _as_one(bars: list[Bar], start: float, seconds: float) -> Bar:
    count, first = len(bars), bars[0]
    if count == 1:
        return replace(
            first,
            start=start,
            end=start + seconds,
            note=f"{first.note} (moved: its neighbours are drawn as one)".strip(),
        )
    label = f"{count} {'waits' if first.state in WAITING else NAMES[first.lane]}"
    note = f"{seconds:.1f} s in all; too many to draw one by one: zoom in to see each"
    return replace(
        first, start=start, end=start + seconds, label=label, short=str(count), pick="", note=note, count=count
    )
