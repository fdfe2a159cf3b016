"""What one session may ask for next, and the launching of it beside the loop, so that the model never waits for it."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from django.db import DatabaseError, connection

from speculation import learning, scheduler
from speculation.agent.types import Message, RequestedCall
from speculation.engine.prediction import SessionPredictor
from speculation.engine.types import Event, EventKind, Prediction
from speculation.engine.utility import bid_for
from speculation.events import SessionLost
from speculation.jobs import JobSpec
from speculation.models import Arm, Session
from speculation.permits import Permits
from speculation.scheduler import Forecasted, Offer
from speculation.toolbox import Toolbox

logger = logging.getLogger(__name__)

CANDIDATES = 5
"""Predictions asked for at the start of a turn."""

_beside = ThreadPoolExecutor(8, thread_name_prefix="forecast")


class Forecast:
    """Follows one session. In every arm but OFF it predicts; only in ON does anything run."""

    def __init__(self, session: Session, toolbox: Toolbox, predictor: SessionPredictor) -> None:
        self.session, self.toolbox, self.predictor = session, toolbox, predictor
        self.permits = Permits(session, toolbox)
        self._pending: Future[None] | None = None
        self._reasons: dict[str, str] = {}

    def user_said(self, text: str) -> None:
        self._observe(Event(EventKind.USER, text=text))

    def model_said(self, turn: int, text: str) -> None:
        self._observe(Event(EventKind.LLM, turn=turn, text=text))

    def turn_answered(self, turn: int, calls: Sequence[RequestedCall], answers: Mapping[str, Message]) -> None:
        for call in calls:
            answer = answers[call.call_id]
            self._observe(
                Event(
                    EventKind.TOOL,
                    turn=turn,
                    tool=call.tool,
                    status="ok" if answer.ok else "error",
                    arguments=call.arguments,
                    result=answer.content if answer.structured is None else answer.structured,
                )
            )

    def begin(self, turn: int) -> None:
        """Predict and speculate for this turn, while the model reads its prompt."""
        if self.session.arm != Arm.OFF:
            self.settle()
            self._pending = _beside.submit(self._speculate, turn)

    def settle(self) -> None:
        """Wait until the last forecast is through: the predictor is used by one thread at a time."""
        if self._pending is not None:
            self._pending.result()
            self._pending = None

    def why_unserved(self, spec: JobSpec) -> str:
        """The reason this call was not speculated, as far as the forecast knows it."""
        if self.session.arm == Arm.OFF:
            return "speculation is off"
        return self._reasons.get(spec.fingerprint, "not predicted")

    def _observe(self, event: Event) -> None:
        self.settle()
        self.predictor.observe(event)

    def _speculate(self, turn: int) -> None:
        """A failure here is ours alone: it never reaches the agent."""
        try:
            launched = scheduler.speculate(self.session.pk, self.session.attempt, self._forecast(turn))
            self._reasons |= launched.refused
        except (SessionLost, DatabaseError) as problem:
            logger.warning("no speculation in turn %s of %s: %s", turn, self.session.short_id, type(problem).__name__)
        except Exception:
            logger.exception("the forecast for turn %s of %s failed", turn, self.session.short_id)
        finally:
            connection.close()

    def _forecast(self, turn: int) -> Forecasted:
        epoch = self.permits.refresh()
        predictions, abstentions = self.predictor.predict(CANDIDATES, only_reads=True)
        patterns = learning.pattern_ids(self.session.agent_id, [prediction.pattern for prediction in predictions])
        offers: list[Offer] = []
        declined: list[Mapping[str, Any]] = []
        self._reasons = {}
        for prediction in predictions:
            spec = self.toolbox[prediction.call.tool].spec_of(prediction.call.arguments)
            against = self.permits.against(spec)
            self._reasons[spec.fingerprint] = against or "the world or a decision moved meanwhile"
            if against:
                declined.append(_declined(prediction, against))
            else:
                offers.append(self._offer(prediction, spec, patterns.get(prediction.pattern)))
        abstained = [{"tool": one.tool, "reason": one.reason} for one in abstentions]
        return Forecasted(turn, epoch, offers, declined, abstained)

    def _offer(self, prediction: Prediction, spec: JobSpec, pattern_id: int | None) -> Offer:
        box = self.toolbox[prediction.call.tool]
        return Offer(
            bid=bid_for(prediction, box.traits, spec.fingerprint),
            spec=self.permits.limited(spec),
            traits=box.traits,
            pattern_id=pattern_id,
            most_parallel=self.permits.most_parallel(box),
        )


def _declined(prediction: Prediction, reason: str) -> dict[str, Any]:
    return {
        "tool": prediction.call.tool,
        "arguments": dict(prediction.call.arguments),
        "probability": prediction.probability_before_write,
        "utility": None,
        "pattern": prediction.pattern,
        "verdict": reason,
        "job": None,
    }
