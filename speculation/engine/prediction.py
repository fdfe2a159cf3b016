"""Prediction: which calls come next, and which will be asked for before the world changes. Built from patterns alone.

A call is as likely as its tool is in this context (priors.py) times its arguments are, given the tool (binding.py), moved
by what calibration found (calibration.py) and by how such guesses did in this session so far (track_record.py).
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from heapq import heappush, heapreplace, nlargest

from speculation.engine.binding import HOPELESS, Candidate, Offers, bind
from speculation.engine.counts import HALF_LIFE_SESSIONS
from speculation.engine.memory import Memory
from speculation.engine.priors import Outlook, Priors
from speculation.engine.promises import Expected, Promise, next_share, soon_share
from speculation.engine.sharpening import WIDE, Sharpener
from speculation.engine.track_record import TrackRecord
from speculation.engine.types import Abstention, Event, EventKind, Pattern, Prediction, ToolTraits
from tools.base import ToolCall

MAX_TOOLS = 6
"""Tools that are made concrete at one prediction."""
BOUND, OTHERWISE = 1.2, 0.02
"""A tool's best call is hardly likelier than so many times the share of its calls that could be made concrete, and a bit."""
WORTHLESS = 0.005
"""A call less likely than this is not looked for."""
ABSTAIN_ABOVE = 0.1
"""A tool less likely than this is left out without a word."""
WATCHED = 3
"""Likeliest calls of a turn that are compared with what it calls."""
PREFERRED = 2.5
"""A call that may run early goes before one up to so many times as likely that may not, which hides nothing. Where such calls
compete for one of three places they come true about equally often: what is lost of all calls is noise (docs/evaluation.md)."""
MODES = (False, True)
"""Predictions are of all tools, or of those alone that only read."""


class Predictor:
    """The patterns of one agent, indexed, for any number of sessions. Build a new one when patterns changed."""

    def __init__(
        self,
        patterns: Iterable[Pattern],
        tools: Mapping[str, ToolTraits],
        *,
        half_life_sessions: float = HALF_LIFE_SESSIONS,
        keeps_record: bool = True,
    ) -> None:
        """`keeps_record`: False for one that learns nothing from how its own guesses do."""
        self.tools = dict(tools)
        self.keeps_record = keeps_record
        self.priors = Priors(patterns, half_life_sessions, {name for name, each in tools.items() if each.repeats})

    def session(self) -> "SessionPredictor":
        """A predictor for one session, which has seen nothing yet."""
        return SessionPredictor(self)

    def repeats(self, tool: str) -> bool:
        traits = self.tools.get(tool)
        return traits is not None and traits.repeats

    def may_run_early(self, tool: str, candidate: Candidate) -> bool:
        traits = self.tools.get(tool)
        if traits is None or traits.reads_call is None:
            return traits is not None and traits.reads_only
        return traits.may_run_early(candidate.arguments)

    def reads_only(self, tool: str) -> bool:
        traits = self.tools.get(tool)
        return traits is not None and traits.reads_only


class SessionPredictor:
    """Follows one session: every event is observed in order, once; predictions are asked for at the start of a turn."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._memory = Memory()
        self._contexts = predictor.priors.contexts(())
        self._offers = Offers(self._memory)
        self._outlook: list[Outlook] | None = None
        self._promising: dict[bool, list[Outlook]] = {}
        self._bound: dict[str, tuple[list[Candidate], str]] = {}
        self._record = TrackRecord()
        self._promises: dict[tuple[str, bool], Promise] = {}
        """By tool and mode, as calibration and the record stand."""
        self._expected: list[Expected] | None = None
        """What was likely at the start of the turn that goes on, as long as it has called nothing."""
        self._turn: int | None = None

    @property
    def tools(self) -> Mapping[str, ToolTraits]:
        """What is known of the tools."""
        return self._predictor.tools

    @property
    def situation(self) -> str:
        """The last signature."""
        return self._memory.situation

    def fork(self) -> "SessionPredictor":
        """One that has seen the same and goes its own way: what it observes from now on, this one never knows of."""
        fork = SessionPredictor(self._predictor)
        fork._memory = self._memory.fork()
        fork._contexts = self._contexts
        fork._offers = Offers(fork._memory)
        fork._outlook, fork._promising, fork._bound = self._outlook, dict(self._promising), dict(self._bound)
        fork._record, fork._expected, fork._turn = self._record.fork(), self._expected, self._turn
        return fork

    def observe(self, event: Event) -> None:
        """One more event of the session. What the likely tools' arguments may be now is looked up here already: events come
        in while nobody waits, predictions are waited for."""
        if self._predictor.keeps_record:
            self._compare(event)
        self._bound.clear()
        self._offers.clear()
        self._promising.clear()
        self._promises.clear()
        self._outlook = None
        self._memory.observe(event, self._predictor.tools.get(event.tool))
        if event.kind != EventKind.LLM:
            self._contexts = self._predictor.priors.contexts(self._memory.signatures)
            self._look_ahead()

    def _compare(self, event: Event) -> None:
        """What was likely at a turn's start is compared with its first call, or with its having called nothing."""
        is_call = event.kind == EventKind.TOOL
        if not (is_call and event.turn == self._turn):
            self._settle(None)
            if event.kind != EventKind.USER:
                self._expected = self._likeliest(WATCHED, False)[0]
        self._turn = None if event.kind == EventKind.USER else event.turn
        if is_call:
            self._settle(event)

    def _settle(self, call: Event | None) -> None:
        if self._expected is not None:
            self._record.learn(
                [
                    (one.outlook.tool, one.candidate.kind, one.probability, call is not None and self._is(one, call))
                    for one in self._expected
                ]
            )
            self._expected = None
            self._promises.clear()

    def _is(self, expected: Expected, call: Event) -> bool:
        tool = expected.outlook.tool
        if tool != call.tool:
            return False
        traits = self.tools.get(tool) or ToolTraits(tool, reads_only=False, changes_world=True)
        return traits.is_answered_by(call.arguments, expected.candidate.arguments)

    def _look_ahead(self) -> None:
        predictor = self._predictor
        for only_reads in MODES:
            for outlook in self._outlooks(only_reads):
                if max(outlook.next, outlook.soon) * _concrete(outlook) > WORTHLESS:
                    self._offers.look_up(
                        predictor.priors, self._contexts, outlook.tool, predictor.repeats(outlook.tool)
                    )

    def predict(self, k: int, only_reads: bool = False) -> tuple[list[Prediction], list[Abstention]]:
        """The k best calls, best first, and the likely tools that could not be made concrete.

        Ranked by the probability of being next, calls that may run early PREFERRED; with `only_reads`, which is for
        launching, read-only tools alone, ranked by the probability of being asked for before the world changes.
        """
        best, abstained = self._likeliest(k, only_reads)
        return [self._prediction(one, only_reads) for one in best], abstained

    def _likeliest(self, k: int, only_reads: bool) -> tuple[list[Expected], list[Abstention]]:
        best: list[tuple[float, int, Expected]] = []
        abstained: list[Abstention] = []
        count = 0
        for outlook in self._outlooks(only_reads):
            promise, most = self._promise(outlook, only_reads), self._preference(outlook, only_reads)
            worst = (best[0][0] if len(best) == k else WORTHLESS) / most
            if worst >= promise.most(_concrete(outlook)):
                continue
            candidates, reason = self._bind(outlook.tool, partial(_is_below, worst, promise))
            if not candidates and reason != HOPELESS and outlook.next >= ABSTAIN_ABOVE:
                abstained.append(Abstention(outlook.tool, outlook.next, reason))
            for candidate in sorted(candidates, key=promise.share, reverse=True):
                if len(best) == k and promise.most(promise.share(candidate)) * most <= best[0][0]:
                    break
                weight = self._weight(outlook, candidate, only_reads, most)
                if not weight:
                    continue
                count += 1
                probability = promise.of(candidate)
                entry = probability * weight, -count, Expected(probability, outlook, candidate)
                if len(best) < k:
                    heappush(best, entry)
                elif entry[0] > best[0][0]:
                    heapreplace(best, entry)
        best.sort(reverse=True)
        return [expected for _, _, expected in best], abstained

    def _preference(self, outlook: Outlook, only_reads: bool) -> float:
        """The most that a call of the tool is preferred by."""
        return PREFERRED if not only_reads and self._predictor.reads_only(outlook.tool) else 1.0

    def _weight(self, outlook: Outlook, candidate: Candidate, only_reads: bool, most: float) -> float:
        """By what this call is preferred; 0 for one that is out of the question."""
        if most == 1.0 and not only_reads:
            return 1.0
        if self._predictor.may_run_early(outlook.tool, candidate):
            return most
        return 0.0 if only_reads else 1.0

    def _promise(self, outlook: Outlook, only_reads: bool) -> Promise:
        """Made once until the next event."""
        known = self._promises.get(which := (outlook.tool, only_reads))
        if known is None:
            calibration = self._predictor.priors.calibration(outlook.tool, self.situation)
            if only_reads:
                known = Promise(outlook.tool, outlook.soon, calibration.soon, soon_share, self._record)
            else:
                known = Promise(outlook.tool, outlook.next, calibration.next, next_share, self._record)
            self._promises[which] = known
        return known

    def tool_chances(self) -> dict[str, float]:
        """P(the next call is one of it) of every tool that may come now."""
        return {outlook.tool: outlook.next for outlook in self._every_outlook()}

    def sharpener(self, tools: Mapping[str, ToolTraits]) -> Sharpener:
        """For the turn that begins now: what is likely at its start, to be weighed anew while it streams."""
        return Sharpener(self.predict(WIDE)[0], tools, tool_chances=self.tool_chances())

    def _bind(self, tool: str, is_hopeless: Callable[[float], bool]) -> tuple[list[Candidate], str]:
        """The tool's candidates; found once until the next event, unless they were given up as hopeless."""
        known = self._bound.get(tool)
        if known is None:
            predictor = self._predictor
            known = bind(predictor.priors, self._offers, self._contexts, tool, predictor.repeats(tool), is_hopeless)
            if known[1] != HOPELESS:
                self._bound[tool] = known
        return known

    def _outlooks(self, only_reads: bool) -> list[Outlook]:
        """Tools to be looked at, the most promising first."""
        known = self._promising.get(only_reads)
        if known is None:
            outlooks = self._every_outlook()
            if only_reads:
                reads_only = self._predictor.reads_only
                known = nlargest(
                    MAX_TOOLS, [one for one in outlooks if reads_only(one.tool)], lambda o: o.soon * o.concrete
                )
            else:
                known = nlargest(MAX_TOOLS, outlooks, lambda o: o.next * o.concrete)
            self._promising[only_reads] = known
        return known

    def _every_outlook(self) -> list[Outlook]:
        if self._outlook is None:
            self._outlook = self._predictor.priors.outlook(self._contexts, self._memory.signs())
        return self._outlook

    def _prediction(self, expected: Expected, only_reads: bool) -> Prediction:
        """`only_reads`: what it was ranked for."""
        ranked_by, outlook, candidate = expected
        other = self._promise(outlook, not only_reads).of(candidate)
        probability, before_write = (other, ranked_by) if only_reads else (ranked_by, other)
        return Prediction(
            call=ToolCall(outlook.tool, candidate.arguments),
            probability=probability,
            probability_before_write=min(0.99, max(probability, before_write)),
            pattern=self._predictor.priors.pattern_key(self._contexts, outlook.tool),
            expected_use_seconds=self._predictor.priors.use_seconds(outlook.tool),
            sources=candidate.sources,
        )


def _concrete(outlook: Outlook) -> float:
    """The most that the tool's best call may be of its chance."""
    return min(1.0, BOUND * outlook.concrete + OTHERWISE)


def _is_below(worst: float, promise: Promise, most: float) -> bool:
    """True if even the most that is left of a tool's chance does not beat the worst of those already found."""
    return promise.most(most) <= worst
