"""Whose turn it is: parties share what runs equally, within a party first come, first served. Pure.

A party is whoever sessions are run for: an API key, a user of the pages, the demo. Each has one line. The party with the
fewest running sessions goes first. Alone that would starve whoever has long sessions for as long as others keep coming
with none, so going without makes up for running: a party that has waited `ageing_seconds` since it was last served (or
since its line began, if that is later) counts as one running session fewer.

What that promises: a party with n running sessions and somebody waiting ranks before every party that was served
meanwhile, once it has gone without for n x `ageing_seconds`. From then on each other party is served before it at most
once. Equal shares of running sessions, as in max-min fairness; the ageing is that of priority queues.
"""

from collections.abc import Iterable
from dataclasses import dataclass

AGEING_SECONDS = 60.0


@dataclass(frozen=True)
class Line:
    """One party with somebody waiting."""

    party: str
    running: int
    waited_seconds: float
    """How long its first has waited."""
    unserved_seconds: float
    """How long since the party's last session started, or since its first came, whichever is shorter."""
    most_running: int | None = None
    """As many sessions of the party may run at once; None is no limit."""

    @property
    def may_start(self) -> bool:
        return self.most_running is None or self.running < self.most_running


def in_turn(lines: Iterable[Line], *, ageing_seconds: float = AGEING_SECONDS) -> list[Line]:
    """The lines whose first may start, in the order of their turn; of equals, whose first has waited longest."""

    def rank(line: Line) -> tuple[float, float, str]:
        return (line.running - line.unserved_seconds / ageing_seconds, -line.waited_seconds, line.party)

    return sorted((line for line in lines if line.may_start), key=rank)
