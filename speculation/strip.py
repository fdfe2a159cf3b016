"""The two bars that are the whole message: the session without speculation (estimated) above, as it was below.

Both on one axis, so that the difference at their ends is exactly net saved. Pure; seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from speculation.figures import Figures
from speculation.story import Story


@dataclass(frozen=True)
class Segment:
    """`kind`: decode, waits, or other (neither: starting up, handing over)."""

    kind: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


MOST_BLOCKS = 150
"""Of turns; a longer session has several in one block, so that its bars stay a picture."""
LEAST_LIVE_AXIS_SECONDS = 10.0
LIVE_STEP = 1.3


@dataclass(frozen=True)
class Strip:
    """`without` is empty where there is nothing to compare: a session that never speculated."""

    without: Sequence[Segment]
    actual: Sequence[Segment]
    without_seconds: float
    actual_seconds: float
    axis_seconds: float
    is_live: bool
    pair_seconds: float | None = None
    """How long the paired session took, measured."""
    would_hide_seconds: float = 0.0
    """Shadow: what predictions that nobody acted on would have hidden."""
    turns_a_block: int = 1


def draw_strip(story: Story, figures: Figures, *, pair_seconds: float | None = None) -> Strip:
    """`pair_seconds`: how long the paired session took, which the axis then must hold, too."""
    has_two_bars = bool(story.facts.get("arm") == "on")
    without, actual = _segments(figures)
    turns_a_block = -(-len(figures.turns) // MOST_BLOCKS) or 1
    longest = max(figures.task_seconds, figures.without_speculation_seconds if has_two_bars else 0.0, pair_seconds or 0.0)
    return Strip(
        without=_in_blocks(without, turns_a_block) if has_two_bars else (),
        actual=_in_blocks(actual, turns_a_block),
        without_seconds=figures.without_speculation_seconds,
        actual_seconds=figures.task_seconds,
        axis_seconds=max(longest, 0.001) if story.has_ended else _stepped(longest),
        is_live=not story.has_ended,
        pair_seconds=pair_seconds,
        would_hide_seconds=figures.would_hide_seconds,
        turns_a_block=turns_a_block,
    )


def _segments(figures: Figures) -> tuple[list[list[Segment]], list[list[Segment]]]:
    """Of each turn, the schedule without speculation and the actual one."""
    without, actual, shift = [], [], 0.0
    for turn in figures.turns:
        spans = [(span.started_at, span.ended_at if span.ended_at is not None else figures.task_seconds) for span in turn.spans]
        actual.append([Segment("decode", start, end) for start, end in spans])
        without.append([Segment("decode", start + shift, end + shift) for start, end in spans])
        if (start := turn.asked_at) is not None:
            actual[-1].append(Segment("waits", start, start + turn.waited_seconds))
            without[-1].append(Segment("waits", start + shift, start + shift + turn.without_seconds))
            shift += turn.net_saved_seconds
    return without, actual


def _in_blocks(turns: Sequence[Sequence[Segment]], turns_a_block: int) -> list[Segment]:
    """Every so many turns as one: all they decoded, then all they waited, from where the first of them began."""
    if turns_a_block == 1:
        return [segment for turn in turns for segment in turn]
    blocks = []
    for k in range(0, len(turns), turns_a_block):
        segments = [segment for turn in turns[k : k + turns_a_block] for segment in turn]
        start = segments[0].start
        for kind in ("decode", "waits"):
            seconds = sum(segment.seconds for segment in segments if segment.kind == kind)
            blocks.append(Segment(kind, start, start + seconds))
            start += seconds
    return blocks


def _stepped(seconds: float) -> float:
    """An axis that stands still while a session grows: it steps on by a third, now and then."""
    axis = LEAST_LIVE_AXIS_SECONDS
    while axis < seconds * 1.05:
        axis *= LIVE_STEP
    return axis
