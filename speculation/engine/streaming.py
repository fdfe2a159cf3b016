"""A recorded model turn as it would have streamed, and the guesser that launches on what it hears. Pure.

Pace: a stated share of the turn's seconds before the first token, the rest spread evenly over the characters of what was
thought, said and called, a call being its tool's name and the JSON text of its arguments. A name is known once it is
written out, as chat completions stream it.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from speculation.engine.evidence import Evidence
from speculation.engine.guessing import NoGuesses, Offered
from speculation.engine.identity import Identity
from speculation.engine.prediction import Predictor
from speculation.engine.replay import Totals, replay
from speculation.engine.scheduling import is_likely_enough
from speculation.engine.script import Script, World
from speculation.engine.sharpening import WIDE
from speculation.engine.steps import Step
from speculation.engine.types import Event, EventKind, Prediction
from tools.base import ToolCall


@dataclass(frozen=True)
class Pace:
    """How a turn's seconds are spread over what it wrote."""

    prefill_share: float = 0.2
    """The part of a turn before its first token: no recording tells it."""
    characters_per_piece: int = 4
    most_pieces: int = 200
    """A longer turn comes in longer pieces."""

    def step(self, total: int) -> int:
        return max(self.characters_per_piece, -(-total // self.most_pieces))


@dataclass(frozen=True)
class Senses:
    """Which evidence a guesser hears."""

    text: bool = True
    partial: bool = True
    seal: bool = True

    def of(self, evidence: Evidence) -> Evidence:
        """The evidence without what is not heard. Which calls are over is known to whoever hears any of them."""
        if not self.partial:
            evidence = replace(evidence, tool="", arguments={}, partial_name="", partial_value="")
        if not self.partial and not self.seal:
            evidence = replace(evidence, sealed=())
        return evidence if self.text else replace(evidence, text="")


def stream_turn(
    spoken: str, calls: Sequence[ToolCall], seconds: float, pace: Pace = Pace()
) -> Iterator[tuple[float, Evidence]]:
    """(seconds after the turn's start, all evidence so far), piece by piece. `spoken` is what was thought and said."""
    lengths = [len(call.tool) + len(_written(call.arguments)) for call in calls]
    total = len(spoken) + sum(lengths)
    step = pace.step(total)

    def moment(done: int) -> float:
        return seconds * (pace.prefill_share + (1.0 - pace.prefill_share) * done / total)

    for end in range(step, len(spoken) + step, step):
        yield moment(min(end, len(spoken))), Evidence(spoken[:end])
    done = len(spoken)
    sealed: tuple[ToolCall, ...] = ()
    for call, length in zip(calls, lengths, strict=True):
        begun = Evidence(spoken, call.tool, sealed=sealed)
        yield moment(done + len(call.tool)), begun
        for written, arguments, name, value in _write(call.arguments, step):
            so_far = replace(begun, arguments=arguments, partial_name=name, partial_value=value)
            yield moment(done + len(call.tool) + written), so_far
        done, sealed = done + length, (*sealed, call)
        yield moment(done), Evidence(spoken, sealed=sealed)


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _write(arguments: Mapping[str, Any], step: int) -> Iterator[tuple[int, dict[str, Any], str, str]]:
    """(characters written, complete arguments, name and beginning of the string being written) of an object's JSON."""
    written, complete = 1, dict[str, Any]()
    for name, value in arguments.items():
        written += len(_written(name)) + 2
        if isinstance(value, str):
            for end in range(step, len(value), step):
                yield written + len(_written(value[:end])) - 1, dict(complete), name, value[:end]
        written += len(_written(value))
        complete[name] = value
        yield written, dict(complete), "", ""
        written += 2


class EvidenceGuesser(NoGuesses):
    """The predictor's arm that also listens while the model speaks. `events` are the session's, to be streamed."""

    def __init__(
        self,
        events: Sequence[Event],
        predictor: Predictor,
        world: World,
        senses: Senses = Senses(),
        pace: Pace = Pace(),
    ) -> None:
        self._events, self._world, self._senses, self._pace = events, world, senses, pace
        self._session = predictor.session()

    def observe(self, event: Event) -> None:
        self._session.observe(event)

    def guess(self, step: Step, k: int) -> list[Prediction]:
        return self._session.predict(k, only_reads=True)[0]

    def during(self, step: Step, seconds: float) -> Iterator[Offered]:
        """A new list whenever a call has become worth launching that was not at any moment of the turn before."""
        sharpener = self._session.sharpener(self._world.tools)
        offered = {self._key(p.call) for p in self._worthwhile(self.guess(step, self._world.guesses))}
        for at, evidence in self._stream(step, seconds):
            heard = self._senses.of(evidence)
            if not sharpener.hear(heard):
                continue
            most = self._world.guesses + len(heard.sealed)
            worthwhile = self._worthwhile(self._audible(sharpener.standing(WIDE), heard))[:most]
            keys = {self._key(p.call) for p in worthwhile}
            if not keys <= offered:
                offered |= keys
                yield at, worthwhile

    def _stream(self, step: Step, seconds: float) -> Iterator[tuple[float, Evidence]]:
        begun = self._events[step.start] if step.start < len(self._events) else None
        spoken = f"{begun.thinking}{begun.text}" if begun and begun.kind == EventKind.LLM else ""
        return stream_turn(spoken, [ToolCall(c.tool, c.arguments) for c in step.calls], seconds, self._pace)

    def _audible(self, predictions: Iterable[Prediction], heard: Evidence) -> list[Prediction]:
        """Who does not hear the seal cannot launch what is certain by it alone."""
        if self._senses.seal or not heard.sealed:
            return list(predictions)
        sealed = {self._key(call) for call in heard.sealed}
        return [p for p in predictions if self._key(p.call) not in sealed]

    def _worthwhile(self, predictions: Iterable[Prediction]) -> list[Prediction]:
        with_traits = ((p, self._world.traits(p.call.tool)) for p in predictions)
        reads = ((p, traits) for p, traits in with_traits if traits.may_run_early(p.call.arguments))
        return [p for p, traits in reads if is_likely_enough(p, traits, self._world.min_probability)]

    def _key(self, call: ToolCall) -> Identity:
        return self._world.traits(call.tool).identity(call.arguments)


ARMS: Mapping[str, Senses] = {
    "start": Senses(text=False, partial=False, seal=False),
    "text": Senses(partial=False, seal=False),
    "partial": Senses(text=False, seal=False),
    "text+partial": Senses(seal=False),
    "seal": Senses(text=False, partial=False),
    "all": Senses(),
}
"""What is heard in each arm of the measurement, beside the prediction at the turn's start."""


def evidence_effect(scripts: Sequence[Script], predictor: Predictor, world: World) -> dict[str, Totals]:
    """The replay of the sessions in each of the arms."""

    def guesser(senses: Senses) -> Callable[[int], EvidenceGuesser]:
        return lambda number: EvidenceGuesser(scripts[number].session.events, predictor, world, senses)

    return {name: replay(scripts, guesser(senses), world) for name, senses in ARMS.items()}
