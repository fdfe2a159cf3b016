"""Who is next at a model endpoint that serves only so many requests at once. Pure.

Faster tools send sessions back to the model in bursts, so tool speculation and admission to the model belong together.
From PASTE's later version (arXiv 2603.18897, "Parallelizing Tool Execution and LLM Generation for Low-Latency Agent
Serving"): priority = exposed tool gain / model pressure + ageing. As read here:

exposed tool gain   expected seconds of the tool calls that follow the request and that nothing hides: starting it now
                    brings them forward, so tools work while other sessions decode
model pressure      expected seconds that the request keeps a seat at the endpoint
ageing              waited seconds / `ageing_seconds`

The first two make a ratio without unit, cut off at MOST_RATIO. So a request is overtaken only by requests that come
less than MOST_RATIO x `ageing_seconds` after it, which bounds its wait by the work that comes in that time; and equal
requests are served first come, first served.
"""

from collections.abc import Iterable
from dataclasses import dataclass

AGEING_SECONDS = 10.0
MOST_RATIO = 6.0
LEAST_MODEL_SECONDS = 0.05
"""No request is so short that it may divide by nothing."""


@dataclass(frozen=True)
class Pace:
    """How fast an endpoint answers an agent, learned from its requests: reading the prompt, then decoding."""

    seconds_a_character: float = 0.0001
    decode_seconds: float = 2.0

    def expected_seconds(self, characters: int) -> float:
        """Of a request whose prompt has so many characters."""
        return characters * self.seconds_a_character + self.decode_seconds

    def after(self, characters: int, prefill_seconds: float, decode_seconds: float, *, weight: float = 0.2) -> "Pace":
        """The pace that one more request makes of this one; `weight` is what it counts."""
        a_character = prefill_seconds / max(1, characters)
        return Pace(
            self.seconds_a_character + weight * (a_character - self.seconds_a_character),
            self.decode_seconds + weight * (decode_seconds - self.decode_seconds),
        )


@dataclass(frozen=True)
class WaitingRequest:
    """One session's request for its next turn."""

    key: str
    exposed_tool_seconds: float
    model_seconds: float
    waited_seconds: float


@dataclass(frozen=True)
class Foreseen:
    """A call that may follow the request, and the run of it, if one was begun."""

    probability: float
    expected_seconds: float
    ahead_seconds: float | None = None
    """How long its speculative run has run; None where there is none."""


def exposed_tool_seconds(foreseen: Iterable[Foreseen], *, usual_seconds: float, model_seconds: float) -> float:
    """Seconds of tool time that the session is expected to wait for after a request of `model_seconds`.

    A call with a run is exposed by what the run has left when the request ends; of calls without one, and of what was
    not foreseen, nothing is hidden. usual_seconds: tool time after a turn where nothing is foreseen.
    """
    exposed, left = 0.0, 1.0
    for call in foreseen:
        probability = min(call.probability, left)
        hidden = 0.0 if call.ahead_seconds is None else call.ahead_seconds + model_seconds
        exposed += probability * max(0.0, call.expected_seconds - hidden)
        left -= probability
    return exposed + left * usual_seconds


def priority(request: WaitingRequest, *, ageing_seconds: float = AGEING_SECONDS) -> float:
    """The higher, the sooner. No unit."""
    ratio = max(0.0, request.exposed_tool_seconds) / max(request.model_seconds, LEAST_MODEL_SECONDS)
    return min(ratio, MOST_RATIO) + request.waited_seconds / ageing_seconds


def in_order(requests: Iterable[WaitingRequest], *, ageing_seconds: float = AGEING_SECONDS) -> list[WaitingRequest]:
    """The requests as they are to be served; of equals, whoever has waited longest."""

    def rank(request: WaitingRequest) -> tuple[float, float, str]:
        return (-priority(request, ageing_seconds=ageing_seconds), -request.waited_seconds, request.key)

    return sorted(requests, key=rank)


def first_come(requests: Iterable[WaitingRequest]) -> list[WaitingRequest]:
    """What the order above is measured against."""
    return sorted(requests, key=lambda request: (-request.waited_seconds, request.key))
