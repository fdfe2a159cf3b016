"""What running a predicted call now is worth, in seconds the agent does not wait."""

from dataclasses import dataclass

from speculation.engine.types import Prediction, ToolTraits


@dataclass(frozen=True)
class Bid:
    """A prediction with its price. `utility_seconds` = p * hidden - cost: what it is expected to save, net."""

    prediction: Prediction
    fingerprint: str
    """Of the call's identity arguments under its tool's policy; the caller knows policies, the engine does not."""
    hidden_seconds: float
    """Seconds that would not be waited for if it is asked for."""
    cost_seconds: float
    utility_seconds: float


def hidden_seconds(prediction: Prediction, traits: ToolTraits) -> float:
    """What running it now would hide if it is asked for: until its end, or until it is asked for."""
    return min(traits.expected_seconds, prediction.expected_use_seconds)


def bid_for(
    prediction: Prediction,
    traits: ToolTraits,
    fingerprint: str,
    *,
    slot_price: float = 0.1,
    tool_price_seconds: float = 0.0,
) -> Bid:
    """Price one prediction.

    slot_price: value of a slot's second at the present load, in seconds of waiting (0 idle, 1 fully contended).
    tool_price_seconds: what a call of the tool costs beside time (quota, money), in seconds of waiting. Only a wrong
    guess costs it, as only that costs its slot: a right one is the call that would have been made, and paid for, anyway.
    """
    p = prediction.probability_before_write
    hidden = hidden_seconds(prediction, traits)
    cost = (1.0 - p) * (traits.expected_seconds * slot_price + tool_price_seconds)
    return Bid(prediction, fingerprint, hidden, cost, p * hidden - cost)
