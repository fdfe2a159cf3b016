"""When a canary rolls back by itself. Its budget are the limits of the tool's breakers: what it may waste and fail. Pure."""

from speculation.engine.breaking import Kind

AT_ONCE = (Kind.DIVERGENCE,)
"""A wrong result was served: the tool does not do what was decided about."""
AT_THE_SECOND = (Kind.WASTE, Kind.INTERFERENCE, Kind.ERRORS)
"""Once may be bad luck with one session."""


def why_rolled_back(kind: Kind, reason: str, openings_in_a_day: int) -> str:
    """What to say when a canary tool's breaker has opened, this time included; empty: it stays a canary."""
    if kind in AT_ONCE:
        return f"canary rolled back: {reason}"
    if kind in AT_THE_SECOND and openings_in_a_day >= 2:
        return (
            f"canary rolled back: its {kind} breaker opened {openings_in_a_day} times in a day, the last time: {reason}"
        )
    return ""
