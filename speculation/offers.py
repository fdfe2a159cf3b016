"""What a forecast offers to the scheduler, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from speculation import prices
from speculation.engine.types import Prediction, ToolTraits
from speculation.engine.utility import Bid, bid_for
from speculation.models import ToolJob
from speculation.slack import Capacity
from speculation.specs import JobSpec
from speculation.verdicts import ONLY_WARMS

ADMITTED = "admitted"
WARMED_UP = f"{ADMITTED}: {ONLY_WARMS}"


@dataclass(frozen=True)
class Offer:
    """A bid with the job that it would become. The policy allowed it when the tool's version was the spec's."""

    bid: Bid
    spec: JobSpec
    traits: ToolTraits
    pattern_id: int | None
    capacity: Capacity

    @classmethod
    def of(
        cls, prediction: Prediction, spec: JobSpec, traits: ToolTraits, capacity: Capacity, pattern_id: int | None
    ) -> "Offer":
        """A warm-up counts for no pattern: nobody will ask for it."""
        pattern_id = None if spec.transformed else pattern_id
        bid = bid_for(prediction, traits, spec.fingerprint, tool_price_seconds=prices.seconds_of(spec))
        return cls(bid, spec, traits, pattern_id, capacity)


@dataclass(frozen=True)
class Launched:
    """What a forecast came to: the jobs that were made, and for every refused offer, by fingerprint, the reason."""

    jobs: Sequence[ToolJob] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    pool_free_slots: int | None = None
    """Free for anybody's guess, before these; None where nobody looked."""


@dataclass(frozen=True)
class Forecasted:
    """All that a turn's prediction came to: what may run, what may not and why, and what stayed vague and why."""

    turn: int
    epoch: int
    offers: Sequence[Offer]
    declined: Sequence[Mapping[str, Any]] = ()
    abstained: Sequence[Mapping[str, Any]] = ()
