"""Chains: what may be asked for after a guess whose result is known already. Pure.

A speculation that has ended stands in for the call that would ask for it: the session is forked, the call is observed there
with its result, and the fork predicts. What it finds is worth the product of both probabilities, and is never next. A call
that may change the world is never supposed: what comes after a change is not to be run before it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from heapq import nlargest

from speculation.engine.identity import Identity
from speculation.engine.prediction import SessionPredictor
from speculation.engine.scheduling import LEAST_OF_ALL
from speculation.engine.types import Event, Prediction, ToolTraits
from tools.base import ToolCall

MAX_DEPTH = 3

Known = Callable[[ToolCall], Event | None]
"""The result of a call that has run and still holds, as the event that asking for it now would be; None: not known."""


def chained(
    session: SessionPredictor,
    known: Known,
    k: int,
    depth: int,
    *,
    first: Sequence[Prediction] | None = None,
    least: float = LEAST_OF_ALL,
) -> list[Prediction]:
    """The k reads likeliest before the next write, and the k likeliest that stand on others, the likeliest first.

    depth: calls of a chain, 1 (no chains) to MAX_DEPTH. first: what stands without chains, where more is known than the
    session says. least: a chain less likely than this is not followed. ValueError for another depth. The session stays as
    it is.
    """
    if not 1 <= depth <= MAX_DEPTH:
        raise ValueError(f"a chain has 1 to {MAX_DEPTH} calls, not {depth}")
    plain = list(session.predict(k, only_reads=True)[0] if first is None else first)
    chains = _Chains(session.tools, known, k, least)
    chains.follow(session, plain, depth - 1)
    return chains.merged(plain) if chains.found else plain


class _Chains:
    """Every call that was reached over others, with its likeliest chain."""

    def __init__(self, tools: Mapping[str, ToolTraits], known: Known, k: int, least: float) -> None:
        self._tools, self._known, self._k, self._least = tools, known, k, least
        self.found: dict[Identity, Prediction] = {}

    def follow(self, session: SessionPredictor, predictions: Iterable[Prediction], deeper: int) -> None:
        """Suppose each of the predictions to come true, and what follows then, so many calls `deeper`."""
        if not deeper:
            return
        for prediction in predictions:
            event = self._supposed(prediction)
            if event is not None:
                fork = session.fork()
                fork.observe(event)
                following = self._following(fork, prediction)
                self._keep(following)
                self.follow(fork, following, deeper - 1)

    def _supposed(self, prediction: Prediction) -> Event | None:
        """The event of a likely read whose result is known, in a turn of its own."""
        call, traits = prediction.call, self._tools.get(prediction.call.tool)
        if prediction.probability_before_write < self._least or traits is None:
            return None
        if not traits.may_run_early(call.arguments) or traits.may_change_world(call.arguments):
            return None
        event = self._known(call)
        return event and replace(event, arguments=call.arguments, turn=-1 - len(prediction.after))

    def _following(self, fork: SessionPredictor, supposed: Prediction) -> list[Prediction]:
        after = (*supposed.after, supposed.call)
        known = {self._key(call) for call in after}
        following = [_discounted(one, supposed, after) for one in fork.predict(self._k, only_reads=True)[0]]
        return [
            one for one in following if one.probability_before_write >= self._least and self._key(one.call) not in known
        ]

    def _keep(self, predictions: Iterable[Prediction]) -> None:
        for one in predictions:
            other = self.found.get(key := self._key(one.call))
            if other is None or one.probability_before_write > other.probability_before_write:
                self.found[key] = one

    def merged(self, plain: Sequence[Prediction]) -> list[Prediction]:
        """The plain predictions and the best over chains; of the same call the likelier."""
        merged = {self._key(one.call): one for one in reversed(plain)}
        for key, one in nlargest(self._k, self.found.items(), key=lambda each: each[1].probability_before_write):
            other = merged.setdefault(key, one)
            if one.probability_before_write > other.probability_before_write:
                merged[key] = replace(one, probability=other.probability)
        return sorted(merged.values(), key=lambda one: (-one.probability_before_write, -one.probability))

    def _key(self, call: ToolCall) -> Identity:
        traits = self._tools.get(call.tool) or ToolTraits(call.tool, reads_only=False, changes_world=True)
        return traits.identity(call.arguments)


def _discounted(one: Prediction, supposed: Prediction, after: tuple[ToolCall, ...]) -> Prediction:
    return replace(
        one,
        probability=0.0,
        probability_before_write=supposed.probability_before_write * one.probability_before_write,
        expected_use_seconds=supposed.expected_use_seconds + one.expected_use_seconds,
        after=after,
    )
