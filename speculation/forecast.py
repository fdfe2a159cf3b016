"""What one session may ask for next, and the launching of it beside the loop, so that the model never waits for it.

At the start of a turn the predictor names candidates; while the turn streams they are weighed anew with what was written
so far, what has become worth it is launched, and what the model has refuted is stopped. Where chains are allowed, what
guesses have found is supposed to be asked for, and what would follow is launched too. Where real calls want all slots
there is, or the processors, nothing of this happens until that is over. All of it is on a thread beside, at most one a session, and the
stream is never held up: what it tells last wins.
"""

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection

from speculation import events, jobs, predictors, resting, scheduler
from speculation.agent.types import Message, ModelEvent, RequestedCall
from speculation.asked import AskedCall
from speculation.engine.chains import chained
from speculation.engine.evidence import REFUTED, Evidence
from speculation.engine.prediction import SessionPredictor
from speculation.engine.scheduling import Refused, is_likely_enough
from speculation.engine.sharpening import Sharpener
from speculation.engine.types import Event, EventKind, Prediction
from speculation.events import SessionLost
from speculation.findings import Findings
from speculation.listening import StreamedTurn
from speculation.models import Arm, Session, ToolJob
from speculation.offers import Forecasted, Offer
from speculation.permits import Permits
from speculation.resting import REST_SECONDS
from speculation.specs import JobSpec
from speculation.toolbox import Toolbox
from speculation.verdicts import ONLY_WARMS
from speculation.verification import draw_of
from tools.base import SideEffect, ToolCall

logger = logging.getLogger(__name__)

CANDIDATES = 5
"""Predictions that are offered at the start of a turn, and at most at each look at what streamed."""
MOST_OFFERS = 2
"""How often one call is offered in one turn: a slot may be free the second time."""
MOST_WATCHED = 16
"""Older guesses are no longer looked at: they have ended."""
MOVED = "the world or a decision moved meanwhile"
REFUTED_BELOW = 0.05
"""A running guess less likely than this, by what the model wrote, is stopped."""

_beside = ThreadPoolExecutor(8, thread_name_prefix="forecast")


class Forecast:
    """Follows one session. In every arm but OFF it predicts; only in ON does anything run.

    chain_depth: calls of a chain, as in engine/chains.py; with 1 no guess stands on what another found.
    """

    def __init__(
        self, session: Session, toolbox: Toolbox, predictor: SessionPredictor, *, chain_depth: int = 1
    ) -> None:
        self.session, self.toolbox, self.predictor, self.chain_depth = session, toolbox, predictor, chain_depth
        self.findings = Findings(session, toolbox)
        self.permits = Permits(session, toolbox)
        self._pending: Future[None] | None = None
        self._reasons: dict[str, str] = {}
        self._streamed: StreamedTurn | None = None
        self._sharpener: Sharpener | None = None
        self._rests: Refused | None = None
        self._rests_until = 0.0
        self._unseen: list[Event] = []
        self._offers: Counter[str] = Counter()
        self._to_check: list[ToolJob] = []
        self._launched: dict[str, ToolJob] = {}
        """Guesses that may still run, by fingerprint."""

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

    def served(self, job: ToolJob) -> None:
        """A guess has answered a call: a share of them is run again beside the next turn, to see that it was right."""
        if draw_of(job.pk) * 100 < settings.PASTE_VERIFY_PERCENT:
            self._to_check.append(job)

    def begin(self, turn: int) -> None:
        """Predict and speculate for this turn, while the model reads its prompt."""
        if self.session.arm != Arm.OFF:
            self.settle()
            self._streamed, self._sharpener = StreamedTurn(turn), None
            self._pending = _beside.submit(self._follow, self._streamed, is_begin=True)

    def hear(self, event: ModelEvent) -> None:
        """A piece of the turn that streams. Returns at once, whatever it leads to."""
        streamed = self._streamed
        if streamed is None or not streamed.hear(event) or time.monotonic() < self._rests_until:
            return
        if self._pending is None or self._pending.done():
            self._pending = _beside.submit(self._follow, streamed)

    def settle(self) -> None:
        """Wait until the last forecast is through: the predictor is used by one thread at a time."""
        if self._streamed is not None:
            self._streamed.close()
        if self._pending is not None:
            self._pending.result()
            self._pending = None

    def why_unserved(self, asked: AskedCall) -> str:
        """The reason that nothing was speculated which may answer this call, as far as the forecast knows it."""
        if self.session.arm == Arm.OFF:
            return "speculation is off"
        if self._rests:
            return self._rests
        known = (self._reasons[fingerprint] for fingerprint in asked.fingerprints if fingerprint in self._reasons)
        return next(known, asked.reason)

    def _observe(self, event: Event) -> None:
        """Noted here, where the agent waits; the predictor studies it beside the next turn, if that is forecast at all."""
        self.settle()
        if self.session.arm != Arm.OFF:
            self._unseen.append(event)
        self.remember(event)

    def remember(self, event: Event) -> None:
        """What went to a tool's server and came back. Also for what the predictor saw before this forecast was made."""
        if event.kind == EventKind.TOOL and (box := self.toolbox.get(event.tool)) is not None:
            self.permits.exchanged.hear(box.record.server, event.arguments, event.result)

    def _follow(self, streamed: StreamedTurn, is_begin: bool = False) -> None:
        """A failure here is ours alone: it never reaches the agent."""
        turn = streamed.turn
        try:
            if is_begin:
                self._reasons, self._offers = {}, Counter()
                self._check_served()
            if self._sharpener is None:
                self._rests = resting.reason()
                if not self._rests:
                    self._speculate(turn)
                self._rests_until = time.monotonic() + REST_SECONDS if self._rests else 0.0
            while not self._rests and (evidence := streamed.take()) is not None:
                is_news = self._weigh(turn, evidence)
                self._look_further(turn, is_news)
        except (SessionLost, DatabaseError) as problem:
            logger.warning("no speculation in turn %s of %s: %s", turn, self.session.short_id, type(problem).__name__)
        except Exception:
            logger.exception("the forecast for turn %s of %s failed", turn, self.session.short_id)
        finally:
            connection.close()

    def _speculate(self, turn: int) -> None:
        """What is likely by what came before the turn."""
        unseen, self._unseen = self._unseen, []
        for event in unseen:
            self.predictor.observe(event)
        predictions, abstentions = self.predictor.predict(CANDIDATES, only_reads=True)
        predictions = [*predictions, *self._to_warm()]
        if self.chain_depth > 1:
            self.findings.look()
            predictions = self._chained(predictions)
        abstained = [{"tool": one.tool, "reason": one.reason} for one in abstentions]
        self._launch(turn, predictions, abstained)
        self._sharpener = self.predictor.sharpener(self.toolbox.traits())

    def _to_warm(self) -> list[Prediction]:
        """Calls that change something, as far as a decision lets them be warmed up for: as likely as they are next."""
        warming = {name: box for name, box in self.toolbox.items() if box.tool.warms_by and box.traits.changes_world}
        tools = {name for name, box in warming.items() if self.permits.only_warms(box.record)}
        if not tools:
            return []
        likely, _ = self.predictor.predict(CANDIDATES)
        return [
            replace(one, probability_before_write=one.probability)
            for one in likely
            if one.call.tool in tools and self._spec_of(one).effect != SideEffect.NONE
        ]

    def _spec_of(self, prediction: Prediction) -> JobSpec:
        return self.toolbox[prediction.call.tool].spec_of(prediction.call.arguments)

    def _check_served(self) -> None:
        served, self._to_check = self._to_check, []
        if served:
            scheduler.verify(self.session.pk, self.session.attempt, served)

    def _weigh(self, turn: int, evidence: Evidence) -> bool:
        """What has become likely, or out of the question, by what the model wrote. True if that has changed anything."""
        evidence = self._of_known_tools(evidence)
        if self._sharpener is None or not self._sharpener.hear(evidence):
            return False
        standing = self._sharpener.standing(CANDIDATES + len(evidence.sealed))
        likely = [prediction for prediction in standing if self._is_worth_offering(prediction)]
        if likely and not resting.reason():
            self._launch(turn, likely)
        if evidence.has_calls and (refuted := self._take_refuted(self._sharpener)):
            self._stop(refuted)
        return True

    def _look_further(self, turn: int, is_news: bool) -> None:
        """What would follow the guesses that have ended meanwhile, or that have become likelier."""
        if self.chain_depth == 1 or self._sharpener is None:
            return
        has_ended = self.findings.lacks(self._launched.values()) and self.findings.look()
        if self.findings and (has_ended or is_news):
            further = self._chained(self._sharpener.standing(CANDIDATES))
            if likely := [one for one in further if one.after and self._is_worth_offering(one)]:
                self._launch(turn, likely)

    def _chained(self, predictions: Sequence[Prediction]) -> list[Prediction]:
        return chained(self.predictor, self.findings.result_of, CANDIDATES, self.chain_depth, first=predictions)

    def _of_known_tools(self, evidence: Evidence) -> Evidence:
        """A tool that does not exist is refused: a call of it tells nothing and changes nothing."""
        sealed = tuple(call for call in evidence.sealed if call.tool in self.toolbox)
        evidence = replace(evidence, sealed=sealed)
        if evidence.tool in self.toolbox:
            return evidence
        return replace(evidence, tool="", arguments={}, partial_name="", partial_value="")

    def _is_worth_offering(self, prediction: Prediction) -> bool:
        """Admission takes transactions: it is not asked about what it would refuse as unlikely."""
        box = self.toolbox.get(prediction.call.tool)
        if box is None or not is_likely_enough(prediction, box.traits):
            return False
        spec = self._spec_of(prediction)
        return spec.effect == SideEffect.NONE and self._offers[spec.fingerprint] < MOST_OFFERS

    def _take_refuted(self, sharpener: Sharpener) -> list[ToolJob]:
        """Guesses of which the evidence leaves nothing; each is taken once."""
        worths = {
            fingerprint: sharpener.worth(ToolCall(job.tool.name, job.arguments))
            for fingerprint, job in self._launched.items()
        }
        refuted = [key for key, worth in worths.items() if worth is not None and worth < REFUTED_BELOW]
        return [self._launched.pop(fingerprint) for fingerprint in refuted]

    def _stop(self, refuted: Sequence[ToolJob]) -> None:
        """Those that nobody asked for and that have not ended."""
        with events.writing(self.session.pk, attempt=self.session.attempt) as log:
            for job in refuted:
                jobs.preempt(log, job, REFUTED)

    def _launch(
        self, turn: int, predictions: Sequence[Prediction], abstained: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """Offer these calls; what is refused, and why, is remembered."""
        forecasted = self._judge(turn, predictions, abstained)
        launched = scheduler.speculate(self.session.pk, self.session.attempt, forecasted)
        self._reasons |= launched.refused
        if launched.pool_free_slots is not None:
            resting.of_this_process.found(launched.pool_free_slots)
        held = [fingerprint for fingerprint, reason in launched.refused.items() if reason == Refused.ALREADY_HELD]
        self._offers |= Counter(dict.fromkeys([*held, *(job.fingerprint for job in launched.jobs)], MOST_OFFERS))
        self._launched = dict(list(self._launched.items())[-MOST_WATCHED:])
        self._launched |= {job.fingerprint: job for job in launched.jobs if not job.transformed}

    def _judge(
        self, turn: int, predictions: Sequence[Prediction], abstained: Sequence[Mapping[str, Any]]
    ) -> Forecasted:
        epoch = self.permits.refresh()
        patterns = predictors.pattern_ids(self.session.agent_id, [prediction.pattern for prediction in predictions])
        offers: list[Offer] = []
        declined: list[Mapping[str, Any]] = []
        for prediction in predictions:
            box, spec = self.toolbox[prediction.call.tool], self._spec_of(prediction)
            early = self.permits.early(box, spec)
            if isinstance(early, str):
                self._reasons[spec.fingerprint] = early
                self._offers[spec.fingerprint] = MOST_OFFERS
                declined.append(_declined(prediction, early))
                continue
            self._reasons[spec.fingerprint] = ONLY_WARMS if early.transformed else MOVED
            self._offers[spec.fingerprint] += is_likely_enough(prediction, box.traits)
            traits = box.warming_traits if early.transformed else box.traits
            pattern_id = patterns.get(prediction.pattern)
            offers.append(Offer.of(prediction, early, traits, self.permits.capacity(box), pattern_id))
        return Forecasted(turn, epoch, offers, declined, abstained)


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
