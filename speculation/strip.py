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


def draw_strip(story: Story, figures: Figures, *, pair_seconds: float | None = None) -> Strip:
    """`pair_seconds`: how long the paired session took, which the axis then must hold, too."""
    has_two_bars = bool(story.facts.get("arm") == "on")
    without, actual, shift = [], [], 0.0
    for turn in figures.turns:
        for span in turn.spans:
            end = span.ended_at if span.ended_at is not None else figures.task_seconds
            actual.append(Segment("decode", span.started_at, end))
            without.append(Segment("decode", span.started_at + shift, end + shift))
        if (start := turn.asked_at) is not None:
            actual.append(Segment("waits", start, start + turn.waited_seconds))
            without.append(Segment("waits", start + shift, start + shift + turn.without_seconds))
            shift += turn.net_saved_seconds
    longest = max(figures.task_seconds, figures.without_speculation_seconds if has_two_bars else 0.0, pair_seconds or 0.0)
    return Strip(
        without=without if has_two_bars else (),
        actual=actual,
        without_seconds=figures.without_speculation_seconds,
        actual_seconds=figures.task_seconds,
        axis_seconds=max(longest, 0.001) if story.has_ended else _stepped(longest),
        is_live=not story.has_ended,
        pair_seconds=pair_seconds,
    )


def _stepped(seconds: float) -> float:
    """An axis that stands still while a session grows: it steps on by a third, now and then."""
    axis = LEAST_LIVE_AXIS_SECONDS
    while axis < seconds * 1.05:
        axis *= LIVE_STEP
    return axis
