"""Who guesses in a replay: the protocol, and the predictor's own arms. Pure. Others are in baselines.py and streaming.py."""

import math
from collections.abc import Iterable
from typing import Protocol

from speculation.engine.chains import chained
from speculation.engine.identity import Identity
from speculation.engine.prediction import Predictor, SessionPredictor
from speculation.engine.scheduling import least_probability
from speculation.engine.script import World
from speculation.engine.steps import Step
from speculation.engine.types import Event, EventKind, Prediction
from tools.base import ToolCall

Offered = tuple[float, list[Prediction]]
"""Seconds after the turn's start, and the calls to launch then."""


class Guesser(Protocol):
    """One session's guesses: told every event, asked at each model turn's start and once more for what comes during it."""

    def observe(self, event: Event) -> None: ...

    def guess(self, step: Step, k: int) -> list[Prediction]:
        """`step` is the turn that begins now; only oracles may look into it."""
        ...

    def during(self, step: Step, seconds: float) -> Iterable[Offered]:
        """What is launched while the model writes `step` for `seconds`. Each list takes the place of what still waits for
        a slot; what runs goes on. A guesser may use of the step only what the model has written by that moment.
        `expected_use_seconds` counts from the turn's start."""
        ...

    def ended(self, event: Event) -> bool:
        """A run that was launched has ended, still holds, and this is what the call finds that will ask for it; runs that
        no call asks for end without a word. True to be asked for guesses again at once, which take the place of what waits.
        """
        ...


class NoGuesses:
    """The serial arm."""

    def observe(self, event: Event) -> None:
        pass

    def guess(self, step: Step, k: int) -> list[Prediction]:
        return []

    def during(self, step: Step, seconds: float) -> Iterable[Offered]:
        return ()

    def ended(self, event: Event) -> bool:
        return False


class PatternGuesser(NoGuesses):
    """The arm of the predictor."""

    def __init__(self, predictor: Predictor) -> None:
        self._session: SessionPredictor = predictor.session()

    def observe(self, event: Event) -> None:
        self._session.observe(event)

    def guess(self, step: Step, k: int) -> list[Prediction]:
        return self._session.predict(k, only_reads=True)[0]


class ChainGuesser(NoGuesses):
    """Chains of at most `depth` calls, over the results of runs that have ended. It sees nothing else that is to come."""

    def __init__(self, predictor: Predictor, world: World, depth: int) -> None:
        self._session, self._world, self._depth = predictor.session(), world, depth
        self._results: dict[Identity, Event] = {}

    def observe(self, event: Event) -> None:
        self._session.observe(event)
        if event.kind == EventKind.TOOL:
            if self._world.traits(event.tool).may_change_world(event.arguments):
                self._results.clear()
            self._results.pop(self._key(ToolCall(event.tool, event.arguments)), None)

    def ended(self, event: Event) -> bool:
        self._results[self._key(ToolCall(event.tool, event.arguments))] = event
        return self._depth > 1

    def guess(self, step: Step, k: int) -> list[Prediction]:
        least = least_probability(math.inf, self._world.min_probability)
        return chained(self._session, self._result_of, k, self._depth, least=least)

    def _result_of(self, call: ToolCall) -> Event | None:
        return self._results.get(self._key(call))

    def _key(self, call: ToolCall) -> Identity:
        return self._world.traits(call.tool).identity(call.arguments)
