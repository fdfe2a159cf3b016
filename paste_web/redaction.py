"""What readers without the permission `view_payloads` see of arguments, results and texts: that they are there, no more."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

OPEN_KEYS = frozenset({
    "agent", "arm", "attempt", "as_of", "call_id", "effect", "elsewhere", "epoch", "error", "finish_reason", "index", "job", "model", "of", "ok", "outcome",
    "owner", "parked", "pattern", "price", "probability", "reason", "run_seconds", "scripted", "speculative", "status", "tool", "turn",
    "unknown_outcome", "usage", "utility",
})  # fmt: skip
"""Keys of the log's payloads that anybody may read. Whatever is not named here is hidden, so a new one is, too."""
HIDDEN = "…"

_PLACE = re.compile(r"\b(result|results|any|argument|arguments|text)\(([^()]*)\)")

Reader = AbstractBaseUser | AnonymousUser


def may_read_payloads(user: Reader) -> bool:
    return bool(getattr(user, "has_perm", None)) and user.has_perm("speculation.view_payloads")  # type: ignore[union-attr]


def open_part(payload: Mapping[str, Any]) -> dict[str, Any]:
    """An entry's payload without what only some may read."""
    return {key: _flat(value) if key in OPEN_KEYS else HIDDEN for key, value in payload.items()}


def _flat(value: Any) -> Any:
    """Open keys hold short values; what hides in a nested one is not open. Token counts are."""
    if isinstance(value, Mapping):
        return {key: inner if isinstance(inner, int | float) else HIDDEN for key, inner in value.items()}
    return HIDDEN if isinstance(value, list) else value


def source_in_short(source: str, tools: Collection[str]) -> str:
    """Of where an argument came from only which tool's call it was: constants, names and positions may be data."""
    place = _PLACE.search(source)
    if place is None:
        return "a constant" if source.startswith("=") else HIDDEN
    return f"{place[1]}({place[2] if place[2] in tools else HIDDEN})"
