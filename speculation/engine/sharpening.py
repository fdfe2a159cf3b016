"""What streamed so far of a turn, and what it says about the calls that were thought likely at its start. Pure.

The likely calls are hypotheses, each word and each piece of a call is evidence on them, and Bayes' rule does the rest; the
ratios are constants measured on recorded sessions (docs/evidence.md). A call of the turn stands before everything
later, so once a tool that changes the world is named, a result that is held for later is lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest

from speculation.engine.completion import complete
from speculation.engine.evidence import MEASURED, Evidence, Ratios
from speculation.engine.mentions import Mentions, wording
from speculation.engine.types import Prediction, ToolTraits
from tools.base import ToolCall

WIDE = 48
"""Predictions to ask for at a turn's start: what was unlikely then may be all that the evidence leaves."""
WRITTEN = "written in this turn"
FORESEEN = "of a foreseen call"
"""Sources of the arguments of a call that was put together from both."""


MOST_FORESEEN = 0.9
"""P(a tool's call is among its candidates) at most, however much the candidates claim."""


@dataclass(slots=True)
class _Hypothesis:
    """One candidate. `next` and `soon` are its two probabilities as of now."""

    prediction: Prediction
    later: float
    """P(asked for before the world changes | it is not the next call)."""
    wordings: frozenset[str]
    next: float
    soon: float

    @property
    def call(self) -> ToolCall:
        return self.prediction.call


class Sharpener:
    """One turn's candidates, weighed anew as the turn streams. Evidence may only grow; one thread at a time."""

    def __init__(
        self,
        candidates: Sequence[Prediction],
        tools: Mapping[str, ToolTraits],
        ratios: Ratios = MEASURED,
        tool_chances: Mapping[str, float] | None = None,
    ) -> None:
        self._tools, self._ratios, self._tool_chances = tools, ratios, tool_chances or {}
        self._hypotheses = _hypotheses(candidates)
        said = {wording for one in self._hypotheses for wording in one.wordings}
        self._mentions = Mentions(said, {one.call.tool for one in self._hypotheses})
        self._made: list[Prediction] = []
        self._seen = Evidence()

    def sharpen(self, evidence: Evidence, k: int = 5) -> list[Prediction]:
        """The k calls most worth holding, best first.

        `probability` is P(this is the next call that is not sealed yet), 1 for those that are; `probability_before_write`
        is P(this call is asked for before a call that changes the world runs).
        """
        self.hear(evidence)
        return self.standing(k)

    def standing(self, k: int) -> list[Prediction]:
        """The answer to the evidence heard last."""
        best = nlargest(k, (one for one in self._hypotheses if one.soon > 0.0), key=lambda one: (one.soon, one.next))
        found = [*self._made, *map(_as_prediction, best)]
        return sorted(found, key=lambda p: (-p.probability_before_write, -p.probability))[:k]

    def hear(self, evidence: Evidence) -> bool:
        """Take the evidence in. True if a probability may have changed; where it says nothing new, this costs nothing."""
        seen, self._seen = self._seen, evidence
        if not evidence.has_calls:
            is_news = self._mentions.read(evidence.text)
            if is_news:
                self._weigh_words()
            return is_news
        if not seen.has_calls:
            self._mentions.read(evidence.text, is_over=True)
        elif evidence.has_same_calls(seen):
            return False
        self._weigh_calls(evidence)
        return True

    def worth(self, call: ToolCall) -> float | None:
        """P(asked for before the world changes) as of now, None for a call that was no candidate."""
        known = self._find(call)
        return known.soon if known else None

    def _weigh_words(self) -> None:
        """Before any call is known: words favour tools and values."""
        ratios, favours = self._ratios, self._favours()
        weights = [
            one.prediction.probability * favour * ratios.tool_said ** self._mentions.share(one.call.tool)
            for one, favour in zip(self._hypotheses, favours, strict=True)
        ]
        total = sum(weights) + max(0.0, 1.0 - sum(one.prediction.probability for one in self._hypotheses))
        for one, weight in zip(self._hypotheses, weights, strict=True):
            one.next = weight / total if total else 0.0
            one.soon = one.next + (1.0 - one.next) * one.later

    def _favours(self) -> list[float]:
        """Per hypothesis the likelihood ratio of the values that the text named."""
        ratios, named = self._ratios, self._mentions.values
        if not named:
            return [1.0] * len(self._hypotheses)
        shares = [len(one.wordings & named.keys()) / max(1, len(one.wordings)) for one in self._hypotheses]
        rivals = {one.call.tool for one, share in zip(self._hypotheses, shares, strict=True) if share == 1.0}
        favours = {share: ratios.named if share == 1.0 else ratios.partly for share in shares if share}
        return [
            favours.get(share) or (ratios.rival_named if one.wordings and one.call.tool in rivals else 1.0)
            for one, share in zip(self._hypotheses, shares, strict=True)
        ]

    def _weigh_calls(self, evidence: Evidence) -> None:
        """From the first call's name on: sealed reads are certain, and what a write ends is worth nothing any more."""
        certain, is_open = self._sealed_reads(evidence.sealed)
        stays_open = is_open and not (evidence.tool and self._will_change_world(evidence))
        for one in self._hypotheses:
            one.next, one.soon = 0.0, one.later**self._ratios.trust if stays_open else 0.0
        found = [(call, self._find(call)) for call in certain]
        self._made = [
            Prediction(call, 1.0, 1.0, expected_use_seconds=self._seconds(call.tool))
            for call, known in found
            if known is None
        ]
        if evidence.tool and is_open:
            asked = {id(known) for _, known in found}
            self._weigh_named([o for o in self._hypotheses if id(o) not in asked], evidence, stays_open)
        for _, known in found:
            if known is not None:
                known.next = known.soon = 1.0

    def _sealed_reads(self, sealed: Sequence[ToolCall]) -> tuple[list[ToolCall], bool]:
        """Those before the first sealed write, and whether there is none."""
        reads: list[ToolCall] = []
        for call in sealed:
            if self._traits(call.tool).may_change_world(call.arguments):
                return reads, False
            reads.append(call)
        return reads, True

    def _weigh_named(self, others: Sequence[_Hypothesis], evidence: Evidence, stays_open: bool) -> None:
        """The call being written: those candidates of its tool that fit share what is left of certainty."""
        traits = self._traits(evidence.tool)
        mine = [one for one in others if one.call.tool == evidence.tool]
        shares = self._shares(mine, is_first=not evidence.sealed)
        fit = [(one, share) for one, share in zip(mine, shares, strict=True) if evidence.fits(one.call, traits)]
        written_out = sum(share for one, share in fit if one.call.arguments.keys() <= evidence.arguments.keys())
        unforeseen = (1.0 - sum(shares)) * self._chance_of_likeness(mine, evidence)
        unforeseen = self._ratios.longer * written_out if written_out else unforeseen
        left = unforeseen + sum(share for _, share in fit)
        for one, share in fit if left > 0.0 else ():
            one.next = share / left
            one.soon = one.next + (1.0 - one.next) * one.soon
        if evidence.arguments and stays_open and left > 0.0:
            foreseen = [(one.call, share) for one, share in zip(mine, shares, strict=True)]
            self._made += [
                self._composed(call, chance * unforeseen / left, evidence)
                for call, chance in complete(evidence.tool, evidence.arguments, foreseen)
                if evidence.fits(call, traits)
            ]

    def _shares(self, mine: Sequence[_Hypothesis], is_first: bool) -> list[float]:
        """P(call | its tool), `foreseen` together. Later calls of a turn are ranked by their use before a write."""
        favours = {id(one): favour for one, favour in zip(self._hypotheses, self._favours(), strict=True)}
        weights = [
            (favours[id(one)] * (one.prediction.probability if is_first else one.prediction.probability_before_write))
            ** self._ratios.trust
            for one in mine
        ]
        total = sum(weights)
        foreseen = self._foreseen(mine)
        return [foreseen * weight / total if total else 0.0 for weight in weights]

    def _foreseen(self, mine: Sequence[_Hypothesis]) -> float:
        chance = self._tool_chances.get(mine[0].call.tool) if mine else None
        if not chance:
            return self._ratios.foreseen
        return min(MOST_FORESEEN, sum(one.prediction.probability for one in mine) / chance)

    def _chance_of_likeness(self, mine: Sequence[_Hypothesis], evidence: Evidence) -> float:
        """P(what is written | a call that nobody foresaw), as far as it is what was foreseen."""
        letters = evidence.chance_of_letters([one.call for one in mine], self._ratios)
        return float(letters * self._ratios.agrees ** len(evidence.arguments))

    def _find(self, call: ToolCall) -> _Hypothesis | None:
        traits = self._traits(call.tool)
        mine = (one for one in self._hypotheses if one.call.tool == call.tool)
        return next((one for one in mine if traits.is_answered_by(call.arguments, one.call.arguments)), None)

    def _composed(self, call: ToolCall, probability: float, evidence: Evidence) -> Prediction:
        if call.arguments.keys() > evidence.arguments.keys():
            probability *= self._ratios.filled
        sources = {name: WRITTEN if name in evidence.arguments else FORESEEN for name in call.arguments}
        return Prediction(call, probability, probability, "", self._seconds(call.tool), sources)

    def _will_change_world(self, evidence: Evidence) -> bool:
        """Of the call being written. Where calls are judged one by one, only a whole command line can tell, or the seal."""
        traits = self._traits(evidence.tool)
        if traits.reads_call is None:
            return traits.changes_world
        return traits.shell_argument in evidence.arguments and traits.may_change_world(evidence.arguments)

    def _seconds(self, tool: str) -> float:
        return self._traits(tool).expected_seconds

    def _traits(self, tool: str) -> ToolTraits:
        return self._tools.get(tool) or ToolTraits(tool, reads_only=False, changes_world=True)


def _hypotheses(candidates: Sequence[Prediction]) -> list[_Hypothesis]:
    """What tells a call from the others of its tool are the values that not all of them have."""
    worded = [frozenset(filter(None, map(wording, p.call.arguments.values()))) for p in candidates]
    of_tool: dict[str, list[frozenset[str]]] = {}
    for prediction, words in zip(candidates, worded, strict=True):
        of_tool.setdefault(prediction.call.tool, []).append(words)
    shared = {tool: frozenset.intersection(*each) if len(each) > 1 else frozenset() for tool, each in of_tool.items()}
    return [_hypothesis(p, words - shared[p.call.tool]) for p, words in zip(candidates, worded, strict=True)]


def _hypothesis(prediction: Prediction, wordings: frozenset[str]) -> _Hypothesis:
    now, soon = min(prediction.probability, 0.999), prediction.probability_before_write
    return _Hypothesis(prediction, max(0.0, (soon - now) / (1.0 - now)), wordings, now, max(now, soon))


def _as_prediction(one: _Hypothesis) -> Prediction:
    return replace(one.prediction, probability=one.next, probability_before_write=one.soon)
