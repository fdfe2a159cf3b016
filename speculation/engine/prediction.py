"""Prediction: which calls come next, and which will be asked for before the world changes. Built from patterns alone.

A call is as likely as its tool is in this context (priors.py) times its arguments are, given the tool (binding.py).
"""

import heapq
from collections.abc import Iterable, Mapping

from speculation.engine.binding import Candidate, bind
from speculation.engine.counts import HALF_LIFE_SESSIONS
from speculation.engine.memory import Memory
from speculation.engine.priors import Outlook, Priors
from speculation.engine.types import Abstention, Event, Pattern, Prediction, ToolTraits
from tools.base import ToolCall

MAX_TOOLS = 10
"""Tools that are made concrete at one prediction."""
ABSTAIN_ABOVE = 0.1
"""A tool less likely than this is left out without a word."""


class Predictor:
    """The patterns of one agent, indexed, for any number of sessions. Build a new one when patterns changed."""

    def __init__(
        self,
        patterns: Iterable[Pattern],
        tools: Mapping[str, ToolTraits],
        *,
        half_life_sessions: float = HALF_LIFE_SESSIONS,
    ) -> None:
        self.tools = dict(tools)
        self.priors = Priors(patterns, half_life_sessions)

    def session(self) -> "SessionPredictor":
        """A predictor for one session, which has seen nothing yet."""
        return SessionPredictor(self)

    def reads_only(self, tool: str) -> bool:
        traits = self.tools.get(tool)
        return traits is not None and traits.reads_only


class SessionPredictor:
    """Follows one session: every event is observed in order, once; predictions are asked for at the start of a turn."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._memory = Memory()

    def observe(self, event: Event) -> None:
        """One more event of the session."""
        self._memory.observe(event, self._predictor.tools.get(event.tool))
        self._memory.read_ahead()

    def predict(self, k: int, only_reads: bool = False) -> tuple[list[Prediction], list[Abstention]]:
        """The k best calls, best first, and the likely tools that could not be made concrete.

        Ranked by the probability of being next; with `only_reads`, which is for launching, read-only tools alone, ranked by
        the probability of being asked for before the world changes.
        """
        best: list[tuple[float, int, Outlook, Candidate]] = []
        abstained: list[Abstention] = []
        count = 0
        for outlook in self._outlooks(only_reads):
            if len(best) == k and best[0][0] >= (outlook.soon if only_reads else outlook.next):
                break
            candidates, reason = bind(self._predictor.priors, self._memory, outlook.tool)
            if not candidates and outlook.next >= ABSTAIN_ABOVE:
                abstained.append(Abstention(outlook.tool, outlook.next, reason))
            for candidate in candidates:
                count += 1
                worth = outlook.soon * candidate.soon if only_reads else outlook.next * candidate.next
                entry = (worth, -count, outlook, candidate)
                if len(best) < k:
                    heapq.heappush(best, entry)
                elif worth > best[0][0]:
                    heapq.heapreplace(best, entry)
        best.sort(reverse=True)
        return [self._prediction(outlook, candidate) for _, _, outlook, candidate in best], abstained

    def _outlooks(self, only_reads: bool) -> list[Outlook]:
        """Tools to be looked at, the likeliest first."""
        outlooks = self._predictor.priors.outlook(self._memory.signatures, self._memory.signs())
        if only_reads:
            outlooks = [outlook for outlook in outlooks if self._predictor.reads_only(outlook.tool)]
            outlooks.sort(key=lambda outlook: -outlook.soon)
        return outlooks[:MAX_TOOLS]

    def _prediction(self, outlook: Outlook, candidate: Candidate) -> Prediction:
        probability = outlook.next * candidate.next
        return Prediction(
            call=ToolCall(outlook.tool, candidate.arguments),
            probability=probability,
            probability_before_write=min(0.99, max(probability, outlook.soon * candidate.soon)),
            pattern=outlook.pattern,
            expected_use_seconds=self._predictor.priors.use_seconds(outlook.tool),
            sources=candidate.sources,
        )
