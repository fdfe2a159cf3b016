"""For whom a session is run. Parties share the workers equally; keys and users are bounded, our own origins are not."""

from typing import Any

from speculation.models import ApiKey, Origin

_KEY, _USER = "key:", "user:"


def party_of(submitted_by: ApiKey | None, user: Any, origin: Origin) -> str:
    """ "key:<id>", "user:<id>", or the origin, e.g. "demo": what commands submit together is one party."""
    if submitted_by is not None:
        return f"{_KEY}{submitted_by.pk}"
    if user is not None:
        return f"{_USER}{user.pk}"
    return str(Origin.DEMO if origin == Origin.LEARNING else origin)


def is_bounded(party: str) -> bool:
    """True for somebody from outside: the limits per key hold for API keys and for users of the pages."""
    return party.startswith((_KEY, _USER))
