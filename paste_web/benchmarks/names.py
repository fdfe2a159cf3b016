"""Which sections there are, cheap to import: manage.py asks before anything is set up whether servers are needed."""

from collections.abc import Iterable

ENGINE = ("mining", "predict", "observe")
LIVE = ("call", "mcp", "throughput", "harm", "throttle", "preemption", "pages")
DEFAULT = (*ENGINE, "call", "preemption")
"""Without a name: all that take minutes. The others take up to an hour."""


def needs_servers(words: Iterable[str]) -> bool:
    """True if these words of a command line ask for a live section, by name or by naming none."""
    named = set(words)
    return not named.isdisjoint(LIVE) or named.isdisjoint(ENGINE)
