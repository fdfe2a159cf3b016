"""What a timeline consists of: bars with their states, ticks, links; and how calls and states are called. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from speculation.spans import Run
from speculation.story import Story
from speculation.waste import waste_reason

LANES = ("turns", "model", "tools", "would", "guess")
"""In their fixed order, from the top; the slots' lane follows."""

Range = tuple[float, float]


class Mark(NamedTuple):
    sign: str
    word: str


MARKS: Mapping[str, Mark] = {
    "turn": Mark("", "turn"),
    "seat": Mark("", "waits for the model's endpoint"),
    "prefill": Mark("", "reads the prompt"),
    "decode": Mark("", "decodes"),
    "waits": Mark("", "waits"),
    "queued": Mark("", "queued"),
    "authoritative": Mark("", "tool run"),
    "raised": Mark("»", "raised"),
    "guess": Mark("?", "speculative"),
    "warm_up": Mark("~", "warm-up"),
    "used": Mark("✓", "used"),
    "joined": Mark("✓»", "joined"),
    "joined_after": Mark("", "waited for"),
    "ghost": Mark("", "would have run"),
    "hidden": Mark("", "hidden"),
    "miss": Mark("✕", "miss"),
    "expired": Mark("↻", "expired"),
    "invalidated": Mark("↻", "invalidated"),
    "preempted": Mark("‖", "preempted"),
    "failed": Mark("!", "failed"),
    "revoked": Mark("⊘", "revoked"),
    "skipped": Mark("○", "skipped"),
}
WASTED = ("miss", "expired", "invalidated", "preempted", "failed", "revoked")


class Bar(NamedTuple):
    """One box. `end` None: still open. `key` stays the same over updates; `pick` is the call or job it belongs to.

    `stands_for`: how many bars, where there were too many to draw one by one. A tuple, as ticks and links are: a long session
    has tens of thousands, and a tuple is made in a fifth of the time that a frozen dataclass takes.
    """

    key: str
    lane: str
    row: int
    state: str
    start: float
    end: float | None
    label: str = ""
    short: str = ""
    pick: str = ""
    note: str = ""
    stands_for: int = 1

    @property
    def mark(self) -> Mark:
        return MARKS[self.state]


class Tick(NamedTuple):
    """On the model's row: a tool's name became known ("named"), its arguments complete ("sealed"), or "skipped"."""

    at: float
    kind: str
    text: str


class Link(NamedTuple):
    """A line through moments, each on a row of a lane. `kind`: "launch" (what triggered the prediction, the run's start),
    "promotion" (the run, the call it served), "refuted" (a miss, the model's words that ruled it out)."""

    kind: str
    pick: str
    points: Sequence[tuple[float, str, int]]

    @property
    def span(self) -> Range:
        moments = [at for at, _, _ in self.points]
        return min(moments), max(moments)


@dataclass(frozen=True)
class Timeline:
    """`rows`: how many each lane has. `view`: what range it shows, None for all. `merged`: bars that have no box of their
    own."""

    bars: Sequence[Bar]
    ticks: Sequence[Tick]
    links: Sequence[Link]
    slots: Sequence[tuple[float, int]]
    rows: Mapping[str, int]
    end: float
    is_live: bool
    merged: int = 0
    view: Range | None = None


def call_text(tool: str, arguments: Mapping[str, Any], show_payloads: bool) -> str:
    """`get_order(W2378156)`: the values, as far as they fit in 40 characters."""
    if not show_payloads:
        return f"{tool}(…)" if arguments else f"{tool}()"
    values = ", ".join(str(value) for value in arguments.values()).replace("\n", " ")
    return f"{tool}({values if len(values) <= 40 else values[:39] + '…'})"


def state_of(story: Story, run: Run) -> str:
    """A speculative run's state, as the page says it."""
    if run.is_warm_up and run.status != "failed":
        return "warm_up"
    if run.asked_at is not None:
        call = story.calls.get(run.call_id)
        return "joined" if call and call.outcome == "joined" else "used"
    if run.status in ("queued", "running", "succeeded") and not story.has_ended:
        return "guess"
    return waste_reason(story, run)
