"""What a tool's calls are ranked by: its chance, shared out among them, and moved so that probabilities keep their word."""

from collections.abc import Callable
from operator import attrgetter
from typing import NamedTuple

from speculation.engine.binding import Candidate
from speculation.engine.priors import Outlook
from speculation.engine.track_record import TrackRecord

next_share, soon_share = attrgetter("next"), attrgetter("soon")
"""What a candidate has of its tool's chance to be next, or to be asked for before the next change of the world."""


class Expected(NamedTuple):
    """A call that is likely now, by the probability that it was ranked by."""

    probability: float
    outlook: Outlook
    candidate: Candidate


class Promise:
    """One tool's chance by which its calls are ranked, and what makes it keep its word; as the record stands now."""

    __slots__ = ("_chance", "_is_known", "_most", "_moved", "_record", "_tool", "share")

    def __init__(
        self,
        tool: str,
        chance: float,
        moved: Callable[[float, float], float],
        share: Callable[[Candidate], float],
        record: TrackRecord,
    ) -> None:
        """`moved`: a probability by calibration and a shift; `share`: what a candidate has of the tool's chance."""
        self._tool, self._chance, self._moved, self._record = tool, chance, moved, record
        self._is_known = record.knows(tool)
        self._most = record.most(tool) if self._is_known else 0.0
        self.share = share

    def of(self, candidate: Candidate) -> float:
        """The candidate's probability."""
        shift = self._record.shift(self._tool, candidate.kind) if self._is_known else 0.0
        return self._moved(self._chance * self.share(candidate), shift)

    def most(self, share: float) -> float:
        """The largest probability of a candidate that has no more than this share."""
        return self._moved(self._chance * min(1.0, share), self._most)
