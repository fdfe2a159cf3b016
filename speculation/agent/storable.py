"""What a model said, as it can be stored: PostgreSQL holds neither NUL characters nor half surrogates, JSON can write both.

Text is cleaned. A call is never changed behind the model's back: one whose name or arguments cannot be stored is marked
with the problem, and the loop answers it with that instead of running it.
"""

from dataclasses import replace

from speculation.agent.types import RequestedCall, TurnEnded
from tools.running import bounded_json, clean_text

PROBLEM = (
    "This call cannot be run: its name or arguments hold the character U+0000 or half a surrogate pair, or are too deep or "
    "too long. Ask again without."
)


def storable(ended: TurnEnded) -> TurnEnded:
    """The same turn, with only what can be stored."""
    return replace(ended, text=clean_text(ended.text), calls=[storable_call(call) for call in ended.calls])


def storable_call(call: RequestedCall) -> RequestedCall:
    """The same call; with a problem where it would have to be changed."""
    kept = replace(
        call,
        tool=clean_text(call.tool),
        arguments=bounded_json(call.arguments),
        provider_call_id=clean_text(call.provider_call_id),
        problem=clean_text(call.problem),
    )
    if (kept.tool, kept.arguments) == (call.tool, call.arguments):
        return kept
    return replace(kept, problem=kept.problem or PROBLEM)
