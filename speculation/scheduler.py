"""Authoritative calls first; the slack is for speculation, which gives way at once.

`serve` answers what an agent asked for: a speculation that fits is promoted, one of the same work before one of a whole
that the call is a part of; else a job is requested. `speculate` spends free slots on the best bids. `make_room` preempts
the least useful speculation when real work finds no slot.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from speculation import events, jobs, locks, slack
from speculation.asked import AskedCall
from speculation.engine.scheduling import Verdict, admit
from speculation.engine.types import Prediction, ToolTraits
from speculation.engine.utility import Bid
from speculation.events import SessionLog
from speculation.models import JobStatus, ToolJob, ToolRecord, WorkerPool
from speculation.slack import Budget, Capacity
from speculation.specs import Guess, JobSpec
from speculation.worker import enqueue
from tools.base import SideEffect

OUTCOMES: Mapping[str, str] = {
    JobStatus.SUCCEEDED: "used",
    JobStatus.RUNNING: "joined",
    JobStatus.QUEUED: "raised",
}
"""What a promotion found, by the job's status: PASTE's three cases."""

WHY_UNSERVED: Mapping[str, str] = {
    "expired": "expired",
    "invalidated": "world changed",
    "revoked": "approval revoked",
    "slot needed": "preempted: a slot was needed",
}

NOT_IN_WHOLE = "the whole did not give this part"

START_WITHIN_SECONDS = 5.0
"""A speculation that found no worker by then has lost most of its head start: it is dropped."""


@dataclass(frozen=True)
class Offer:
    """A bid with the job that it would become. The policy allowed it when the tool's version was the spec's."""

    bid: Bid
    spec: JobSpec
    traits: ToolTraits
    pattern_id: int | None
    capacity: Capacity


@dataclass(frozen=True)
class Launched:
    """What a forecast came to: the jobs that were made, and for every refused offer, by fingerprint, the reason."""

    jobs: Sequence[ToolJob] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Forecasted:
    """All that a turn's prediction came to: what may run, what may not and why, and what stayed vague and why."""

    turn: int
    epoch: int
    offers: Sequence[Offer]
    declined: Sequence[Mapping[str, Any]] = ()
    abstained: Sequence[Mapping[str, Any]] = ()


def serve(session_id: UUID, attempt: int, asked: Sequence[AskedCall]) -> list[ToolJob]:
    """One job a call, in order, each the call's own: promoted, requested, or already there (a resumed session).

    A whole that has ended without giving its call the part is given up here, in the same transaction that finds the call
    another job.
    """
    with transaction.atomic():
        tools = locks.share_tools(call.spec.tool.pk for call in asked)
        with events.writing(session_id, attempt=attempt) as log:
            served = [_serve_one(log, call, tools[call.spec.tool.pk]) for call in asked]
    if any(job.status == JobStatus.QUEUED for job in served):
        make_room(asked[0].spec.pool_id)
    return served


def _serve_one(log: SessionLog, asked: AskedCall, tool: ToolRecord) -> ToolJob:
    existing = ToolJob.objects.select_related("tool").filter(session=log.session, call_id=asked.call_id).first()
    if existing is not None:
        if not asked.is_let_down_by(existing):
            return existing
        jobs.give_back(log, existing, NOT_IN_WHOLE)
        asked = replace(asked, part=None, reason=NOT_IN_WHOLE)
    return _promote(log, asked, tool) or _request(log, asked)


def _request(log: SessionLog, asked: AskedCall) -> ToolJob:
    reason = _why_not(log, asked)
    job = jobs.request(log, asked.spec, asked.call_id)
    _tell_asked(log, asked, job, "requested", reason)
    enqueue(job)
    return job


def _promote(log: SessionLog, asked: AskedCall, tool: ToolRecord) -> ToolJob | None:
    if asked.spec.effect != SideEffect.NONE:
        return None
    for job in _fitting(log, asked):
        if jobs.promote(log, job, asked.call_id, policy_version=tool.policy_version):
            _tell_asked(log, asked, job, OUTCOMES[job.status], "")
            if job.status == JobStatus.QUEUED:
                enqueue(job)  # again, and more urgent: the second delivery finds nothing to start
            return job
    return None


def _fitting(log: SessionLog, asked: AskedCall) -> list[ToolJob]:
    """Held guesses that may answer the call: one of the same work, then a whole that it is a part of."""
    held = ToolJob.objects.filter(
        session=log.session,
        epoch=log.session.epoch,
        fingerprint__in=asked.fingerprints,
        call_id=None,
        status__in=jobs.HELD,
    )
    return sorted(filter(asked.may_be_answered_by, held), key=lambda job: asked.fingerprints.index(job.fingerprint))


def _tell_asked(log: SessionLog, asked: AskedCall, job: ToolJob, outcome: str, reason: str) -> None:
    part_of = {"part_of": job.arguments} if asked.is_part_of(job) else {}
    log.append(
        "call_asked",
        call_id=asked.call_id,
        turn=asked.turn,
        tool=asked.spec.tool.name,
        arguments=dict(asked.spec.arguments),
        effect=str(asked.spec.effect),
        job=str(job.pk),
        outcome=outcome,
        reason=reason,
        **part_of,
    )


def _why_not(log: SessionLog, asked: AskedCall) -> str:
    """Why no speculation served this call: the fate of the last one that might have, else the caller's reason."""
    if asked.spec.effect != SideEffect.NONE:
        return "writes: not eligible"
    last = (
        ToolJob.objects.filter(session=log.session, fingerprint__in=asked.fingerprints, call_id=None)
        .order_by("-created_at")
        .first()
    )
    if last is None:
        return asked.reason
    if last.epoch != log.session.epoch:
        return "world changed"
    if last.status == JobStatus.FAILED:
        return "speculative run failed"
    if last.status == JobStatus.SUCCEEDED and not asked.may_be_answered_by(last):
        return NOT_IN_WHOLE
    if last.status == JobStatus.SUCCEEDED:
        return "expired" if last.expires_at else "approval changed"
    return WHY_UNSERVED.get(last.end_reason, last.end_reason or asked.reason)


def speculate(session_id: UUID, attempt: int, forecasted: Forecasted) -> Launched:
    """Spend the slack on the best offers, and say in the log what became of each."""
    with transaction.atomic():
        if not forecasted.offers:
            with events.writing(session_id, attempt=attempt) as log:
                _tell_predicted(log, forecasted, [], {})
            return Launched()
        tools = locks.share_tools(offer.spec.tool.pk for offer in forecasted.offers)
        pool = locks.hold_pool(forecasted.offers[0].spec.pool_id)
        with events.writing(session_id, attempt=attempt) as log:
            offers = [offer for offer in forecasted.offers if _is_current(log, forecasted, offer, tools)]
            verdicts = _admit(log, pool, offers)
            by_fingerprint = {offer.spec.fingerprint: offer for offer in offers}
            made = {
                verdict.bid.fingerprint: job
                for verdict in verdicts
                if verdict.admitted and (job := _launch(log, verdict, by_fingerprint[verdict.bid.fingerprint]))
            }
            _tell_predicted(log, forecasted, verdicts, made)
    refused = {verdict.bid.fingerprint: str(verdict.refused) for verdict in verdicts if verdict.refused}
    return Launched(list(made.values()), refused)


def _is_current(log: SessionLog, forecasted: Forecasted, offer: Offer, tools: Mapping[int, ToolRecord]) -> bool:
    """False if the world or the tool's policy has moved on since the forecast was made."""
    same_policy = tools[offer.spec.tool.pk].policy_version == offer.spec.tool.policy_version
    return same_policy and log.session.epoch == forecasted.epoch and not log.is_changing


def _admit(log: SessionLog, pool: WorkerPool, offers: Sequence[Offer]) -> list[Verdict]:
    capacities = {offer.spec.tool.name: offer.capacity for offer in offers}
    fingerprints = [offer.spec.fingerprint for offer in offers]
    traits = {offer.spec.tool.name: offer.traits for offer in offers}
    budget = Budget(settings.PASTE_SPECULATION_SECONDS_A_SESSION, settings.PASTE_SPECULATION_SECONDS_A_MINUTE)
    free = slack.measure(pool, log.session, capacities, fingerprints, budget)
    return admit([offer.bid for offer in offers], free, traits)


def _launch(log: SessionLog, verdict: Verdict, offer: Offer) -> ToolJob | None:
    if verdict.preempt is not None:
        replaced = ToolJob.objects.get(pk=verdict.preempt)
        if replaced.session_id == log.session.pk:
            jobs.preempt(log, replaced, "replaced by a better guess")
        else:
            _preempt(replaced, "replaced by a better guess")
    prediction = verdict.bid.prediction
    guess = Guess(
        pattern_id=offer.pattern_id,
        probability=prediction.probability_before_write,
        utility=verdict.bid.utility_seconds,
        policy_version=offer.spec.tool.policy_version,
        start_within_seconds=START_WITHIN_SECONDS,
        sources=prediction.sources,
    )
    job = jobs.speculate(log, offer.spec, guess)
    if job is not None:
        enqueue(job)
    return job


def _tell_predicted(
    log: SessionLog, forecasted: Forecasted, verdicts: Sequence[Verdict], made: Mapping[str, ToolJob]
) -> None:
    judged = [
        {
            "tool": verdict.bid.prediction.call.tool,
            "arguments": dict(verdict.bid.prediction.call.arguments),
            "probability": verdict.bid.prediction.probability_before_write,
            "utility": verdict.bid.utility_seconds,
            "pattern": verdict.bid.prediction.pattern,
            "verdict": str(verdict.refused or "admitted"),
            "job": str(made[verdict.bid.fingerprint].pk) if verdict.bid.fingerprint in made else None,
            **_chain(verdict.bid.prediction),
        }
        for verdict in verdicts
    ]
    candidates = [*judged, *forecasted.declined]
    if candidates or forecasted.abstained:
        log.append(
            "predicted",
            turn=forecasted.turn,
            candidates=candidates,
            abstained=[dict(item) for item in forecasted.abstained],
        )


def _chain(prediction: Prediction) -> dict[str, Any]:
    """The calls that the guess stands on, for the reader; nothing where there are none."""
    after = [{"tool": call.tool, "arguments": dict(call.arguments)} for call in prediction.after]
    return {"after": after} if after else {}


def make_room(pool_id: str) -> int:
    """Preempt as many of the least useful speculations as real work lacks slots. Returns how many gave way."""
    if _lacking(pool_id, slots=None) <= 0:
        return 0
    with transaction.atomic():
        pool = locks.hold_pool(pool_id)
        lacking = _lacking(pool_id, slots=pool.slots)
        if lacking <= 0:
            return 0
        least_useful = ToolJob.objects.filter(
            pool_id=pool_id, call_id=None, status__in=[JobStatus.QUEUED, JobStatus.RUNNING]
        ).order_by("utility", "-created_at")[:lacking]
        return sum(_preempt(job, "slot needed") for job in least_useful)


def _lacking(pool_id: str, slots: int | None) -> int:
    """How many jobs more than slots are queued or running, those given up not counted: they let go by themselves."""
    active = ToolJob.objects.filter(slack.holding_a_slot(), pool_id=pool_id).exclude(status=JobStatus.PREEMPTED)
    return active.count() - (_slots_of(pool_id) if slots is None else slots)


def _slots_of(pool_id: str) -> int:
    return WorkerPool.objects.values_list("slots", flat=True).get(pk=pool_id)


def _preempt(job: ToolJob, reason: str) -> bool:
    with events.writing(job.session_id) as log:
        return jobs.preempt(log, job, reason)
