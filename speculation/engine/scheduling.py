"""Admission: which bids fit the slack now, which job a better bid replaces, and why all others are refused. Pure.

Slack is counted in slots that hold work (queued or running); results held after their end take no slot. Budgets are in
worker seconds; what is spent comes back to the budget by time, which is the caller's business.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from speculation.engine.types import Prediction, ToolTraits
from speculation.engine.utility import Bid, hidden_seconds

MIN_PROBABILITY = 0.18
"""A call less likely than this to be asked for before the world changes is not worth a slot, if it would hide little."""
MUCH_SECONDS = 1.2
"""From here on the longer a call would hide, the less likely it need be, ..."""
LEAST_SHARE = 5 / 6
"""... down to this share of what is asked of the others: .15. Of longer calls more would be hidden with less still, at more
runs for each that is asked for (docs/evaluation.md)."""
MIN_UTILITY_SECONDS = 0.0
MIN_GAIN_SECONDS = 0.05
"""A replacement must be better by this much, or queued jobs would chase each other out."""


class Refused(StrEnum):
    """Why a bid was not admitted, in the operator's words."""

    WRITES = "writes: not eligible"
    NOT_APPROVED = "not approved"
    PAUSED = "speculation paused"
    AGENT_PAUSED = "agent paused"
    BREAKER_WASTE = "breaker open: waste"
    BREAKER_INTERFERENCE = "breaker open: interference"
    BREAKER_ERRORS = "breaker open: errors"
    BREAKER_DIVERGENCE = "breaker open: divergence"
    BREAKER_QUOTA = "breaker open: quota"
    BREAKER_AUTH = "breaker open: auth"
    BREAKER_UNSTARTED = "breaker open: unstarted"
    THROTTLED = "throttled"
    ALREADY_HELD = "already held"
    DUPLICATE = "same call twice"
    LOW_PROBABILITY = "probability below threshold"
    LOW_UTILITY = "utility below threshold"
    TOOL_AT_CAPACITY = "tool at capacity"
    TOOL_RATE = "tool rate"
    OVER_SESSION_BUDGET = "over session budget"
    OVER_BUDGET = "over budget"
    NO_FREE_SLOT = "no free slot"
    PROCESSORS_BUSY = "processors busy"


@dataclass(frozen=True)
class QueuedJob:
    """A speculative job that has not started and could be given up for a better one."""

    key: str
    utility_seconds: float
    expected_seconds: float = 1.0
    tool: str = ""


@dataclass(frozen=True)
class Slack:
    """What is free for speculation at this moment, above all reserves for authoritative calls."""

    free_slots: int
    """For this session's guesses."""
    pool_free_slots: int = 1
    """For anybody's. What is queued is counted as free: a better guess may replace it."""
    queued: Sequence[QueuedJob] = ()
    """This pool's queued speculation; running jobs are never replaced by guesses, finished ones hold no slot."""
    held: frozenset[str] = frozenset()
    """Fingerprints the session already has: queued, running, or succeeded and still valid."""
    tool_free: Mapping[str, int] = field(default_factory=dict)
    """Free parallel calls of a tool; a tool that is absent is unlimited."""
    tool_wait_seconds: Mapping[str, float] = field(default_factory=dict)
    """Seconds until a guess may start under the tool's rate, after what real calls will need; absent is 0."""
    processors: float = float("inf")
    """That guesses may take from real work, beyond what those that hold slots already take."""
    processors_of: Mapping[str, float] = field(default_factory=dict)
    """What one guess of a tool takes; a tool that is absent takes none."""
    session_budget_seconds: float = float("inf")
    budget_seconds: float = float("inf")
    approved: frozenset[str] | None = None
    """Tools an operator approved; None where the traits alone decide."""
    paused: bool = False
    broken: Mapping[str, Refused] = field(default_factory=dict)
    """Tools of which nothing runs early at present, and why."""
    throttled: frozenset[str] = frozenset()
    """Fingerprints that drew the share which the operator holds back."""


@dataclass(frozen=True)
class Verdict:
    """The answer to one bid. `preempt` is the key of the queued job it replaces."""

    bid: Bid
    refused: Refused | None = None
    preempt: str | None = None

    @property
    def admitted(self) -> bool:
        return self.refused is None


def is_likely_enough(prediction: Prediction, traits: ToolTraits, usual: float = MIN_PROBABILITY) -> bool:
    """Whether admission would not refuse it as unlikely."""
    return prediction.probability_before_write >= least_probability(hidden_seconds(prediction, traits), usual)


def least_probability(hidden: float, usual: float = MIN_PROBABILITY) -> float:
    """How likely a call must be that would hide so many seconds; `usual` where that is little."""
    return usual * max(LEAST_SHARE, MUCH_SECONDS / max(hidden, MUCH_SECONDS))


LEAST_OF_ALL = least_probability(math.inf)
"""Of a call that is less likely nothing is launched, whatever it would hide, nor of what stands on it."""


class _Ledger:
    """What is left of the slack while the bids are gone through, best first."""

    def __init__(self, slack: Slack) -> None:
        self.slack = slack
        self.free = slack.free_slots
        self.queued = sorted(slack.queued, key=lambda job: (-job.utility_seconds, job.key))
        self.tool_free = dict(slack.tool_free)
        self.processors = slack.processors
        self.session_left, self.left = slack.session_budget_seconds, slack.budget_seconds
        self.taken: set[str] = set()

    def refusal(self, bid: Bid, traits: ToolTraits) -> Refused | None:
        """Why this bid cannot be had apart from slots."""
        tool = bid.prediction.call.tool
        if bid.fingerprint in self.taken:
            return Refused.DUPLICATE
        if self.tool_free.get(tool, 1) <= 0:
            return Refused.TOOL_AT_CAPACITY
        if self.slack.tool_wait_seconds.get(tool, 0.0) > 0.0:
            return Refused.TOOL_RATE
        if self.slack.processors_of.get(tool, 0.0) > self.processors:
            return Refused.PROCESSORS_BUSY
        if traits.expected_seconds > self.session_left:
            return Refused.OVER_SESSION_BUDGET
        return Refused.OVER_BUDGET if traits.expected_seconds > self.left else None

    def take(self, bid: Bid, traits: ToolTraits) -> Verdict:
        """Give the bid a free slot, or the worst queued job's if that is clearly worth less."""
        preempt = None
        if self.free > 0:
            self.free -= 1
        elif self.queued and self.queued[-1].utility_seconds + MIN_GAIN_SECONDS < bid.utility_seconds:
            worst = self.queued.pop()
            preempt = worst.key
            if worst.tool in self.tool_free:
                self.tool_free[worst.tool] += 1
        else:
            return Verdict(bid, Refused.NO_FREE_SLOT)
        self._spend(bid, traits)
        return Verdict(bid, None, preempt)

    def _spend(self, bid: Bid, traits: ToolTraits) -> None:
        tool = bid.prediction.call.tool
        self.taken.add(bid.fingerprint)
        if tool in self.tool_free:
            self.tool_free[tool] -= 1
        self.processors -= self.slack.processors_of.get(tool, 0.0)
        self.session_left -= traits.expected_seconds
        self.left -= traits.expected_seconds


def admit(
    bids: Iterable[Bid],
    slack: Slack,
    tools: Mapping[str, ToolTraits],
    *,
    min_probability: float = MIN_PROBABILITY,
    min_utility_seconds: float = MIN_UTILITY_SECONDS,
) -> list[Verdict]:
    """A verdict for every bid, the most useful bid first: the higher the utility, the sooner it is served.

    min_probability: of calls that would hide little (`least_probability`).
    """
    ledger = _Ledger(slack)
    ordered = sorted(bids, key=lambda bid: (-bid.utility_seconds, bid.fingerprint))
    return [_judge(bid, ledger, tools, min_probability, min_utility_seconds) for bid in ordered]


def _judge(
    bid: Bid, ledger: _Ledger, tools: Mapping[str, ToolTraits], min_probability: float, min_utility_seconds: float
) -> Verdict:
    traits = tools.get(bid.prediction.call.tool)
    slack = ledger.slack
    if traits is None or not traits.may_run_early(bid.prediction.call.arguments):
        return Verdict(bid, Refused.WRITES)
    if slack.approved is not None and traits.name not in slack.approved:
        return Verdict(bid, Refused.NOT_APPROVED)
    if slack.paused:
        return Verdict(bid, Refused.PAUSED)
    if traits.name in slack.broken:
        return Verdict(bid, slack.broken[traits.name])
    if bid.fingerprint in slack.held:
        return Verdict(bid, Refused.ALREADY_HELD)
    if bid.prediction.probability_before_write < least_probability(bid.hidden_seconds, min_probability):
        return Verdict(bid, Refused.LOW_PROBABILITY)
    if bid.utility_seconds <= min_utility_seconds:
        return Verdict(bid, Refused.LOW_UTILITY)
    if bid.fingerprint in slack.throttled:
        return Verdict(bid, Refused.THROTTLED)
    refused = ledger.refusal(bid, traits)
    return Verdict(bid, refused) if refused else ledger.take(bid, traits)
