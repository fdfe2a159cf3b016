"""How many slots real calls have lately wanted, so that guesses leave them these. Pure.

A guess on a slot that a real call wants a moment later delays it by the time of a preemption, and where calls queue the
delay goes on through the queue. At 86 % use of four slots, guesses above a fixed reserve of one, all of them wrong,
lengthened tasks by 9 %. So what counts as slack is what real calls have not needed, not what happens to be free.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

WINDOW_SECONDS = 30.0
"""Long enough to hold several turns of a session, short enough that a busy minute is soon forgotten."""
SHARE = 0.5
"""Of the window's time in which what is kept must have been enough: bursts are what preemption is for. With 0.9 the calls of a few
sessions kept most of six slots for half a minute after they ended, and a demo pair that saves 41 % saved 17 %."""


def slots_wanted(
    intervals: Iterable[tuple[float, float]], window_seconds: float = WINDOW_SECONDS, share: float = SHARE
) -> int:
    """The smallest number of slots that was enough for at least this share of the window.

    intervals: of each real call the seconds ago that it asked for a slot and that it let go of it (0 where it holds one
    or waits for one still).
    """
    steps: Counter[float] = Counter()
    for asked_ago, ended_ago in intervals:
        if (begins := min(asked_ago, window_seconds)) > max(0.0, ended_ago):
            steps[-begins] += 1
            steps[-max(0.0, ended_ago)] -= 1
    return _enough(_seconds_at(steps), (1 - share) * window_seconds)


def _seconds_at(steps: Mapping[float, int]) -> Mapping[int, float]:
    """Seconds at each number of slots wanted at once."""
    seconds: defaultdict[int, float] = defaultdict(float)
    wanted, since = 0, min(steps, default=0.0)
    for moment in sorted(steps):
        seconds[wanted] += moment - since
        wanted, since = wanted + steps[moment], moment
    return seconds


def _enough(seconds: Mapping[int, float], may_lack_seconds: float) -> int:
    lacking = 0.0
    for wanted in sorted(seconds, reverse=True):
        lacking += seconds[wanted]
        if wanted and lacking > may_lack_seconds:
            return wanted
    return 0
