"""Worker time that came to nothing, what its calls cost, and why. Pure; seconds."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from math import inf

from speculation.engine.evidence import REFUTED
from speculation.spans import FREE, Run
from speculation.story import Story

WASTE_REASONS = ("failed", "preempted", "revoked", "invalidated", "expired", "miss")
GIVEN_UP_AS_USELESS = ("miss", "session_ended", "invalidated", "expired")
"""Reasons to preempt a run that take nothing from it: it was of no use any more."""


@dataclass(frozen=True)
class Waste:
    """A run that nobody asked for in time, and why; `seconds` of a worker."""

    run: Run
    reason: str
    seconds: float

    @property
    def price(self) -> Decimal:
        """What its call cost, at the price of its admission: it had started, so somebody charges for it however it ended."""
        return self.run.price


def price_of(wasted: Iterable[Waste]) -> Decimal:
    return sum((waste.price for waste in wasted), FREE)


def by_reason(wasted: Iterable[Waste]) -> dict[str, list[Waste]]:
    """Only reasons that occurred, in their fixed order."""
    wasted = list(wasted)
    groups = {reason: [one for one in wasted if one.reason == reason] for reason in WASTE_REASONS}
    return {reason: group for reason, group in groups.items() if group}


def price_by_reason(wasted: Iterable[Waste]) -> dict[str, Decimal]:
    """Only reasons for which something was charged, in their fixed order."""
    sums = {reason: price_of(group) for reason, group in by_reason(wasted).items()}
    return {reason: price for reason, price in sums.items() if price}


def waste_of(story: Story, run: Run, end: float) -> Waste | None:
    """A started run that can no longer be asked for; None for one that was, or still may be."""
    if not run.is_unasked or run.started_at is None or run.is_warm_up:
        return None
    if run.status in ("queued", "running", "succeeded") and not story.has_ended:
        return None
    return Waste(run, waste_reason(story, run), max(0.0, run.let_go_at(end) - run.started_at))


def waste_reason(story: Story, run: Run) -> str:
    """The first that applies: failed, preempted, revoked, invalidated or expired (asked for later), miss (never).

    A run that the model's own words refuted is a miss, unless the call came after all: then stopping it cost something.
    """
    was_asked = story.last_asked_at.get(run.key, -inf) >= run.queued_at
    if run.status == "failed":
        return "failed"
    if run.reason in ("revoked", "paused") or run.reason.startswith("breaker open"):
        return "revoked"
    if run.status == "preempted" and run.reason not in GIVEN_UP_AS_USELESS and (was_asked or run.reason != REFUTED):
        return "preempted"
    if was_asked:
        return "expired" if run.reason == "expired" else "invalidated"
    return "miss"
