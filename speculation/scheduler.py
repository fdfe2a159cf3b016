"""Authoritative calls first; the slack is for speculation, which gives way at once.

`serve` answers what an agent asked for: a speculation that fits is promoted, one of the same work before one of a whole
that the call is a part of; else a job is requested, for which the least useful speculation gives way where no slot is free
(preemption.py). `speculate` spends free slots on the best bids; `verify` on second runs of what was served.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from speculation import breakers_open, events, jobs, locks, new_jobs, processors, slack
from speculation.asked import AskedCall
from speculation.engine.scheduling import Refused, Slack, Verdict, admit
from speculation.engine.types import Prediction
from speculation.events import SessionLog
from speculation.jobs import POOL
from speculation.known_jobs import known_jobs
from speculation.leases import owner
from speculation.models import EventRecord, JobStatus, ToolJob, ToolRecord, WorkerPool
from speculation.offers import ADMITTED, WARMED_UP, Forecasted, Launched, Offer
from speculation.preemption import make_room
from speculation.slack import Budget
from speculation.specs import START_WITHIN_SECONDS, Guess
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

NOT_WAITED_FOR = "quicker in place"
"""A guess that no worker has begun, of a call that takes less time than to wait for one."""
NOT_IN_WHOLE = "the whole did not give this part"


def serve(session_id: UUID, attempt: int, asked: Sequence[AskedCall]) -> list[ToolJob]:
    """One job a call, in order, each the call's own: promoted, requested, or already there (a resumed session).

    A whole that has ended without giving its call the part is given up here, in the same transaction that finds the call
    another job. A call in place is started here too, and is then the caller's to run: see `runs_here`.
    """
    with transaction.atomic():
        tools = locks.share_tools(call.spec.tool.pk for call in asked if call.spec.effect == SideEffect.NONE)
        lock_scopes = locks.share_scopes if tools else locks.hold_scopes
        scopes = lock_scopes(call.spec.scope for call in asked)
        with events.writing(session_id, attempt=attempt, scopes=scopes) as log:
            known = known_jobs(log.session, asked)
            served = [_serve_one(log, call, tools, known) for call in asked]
    if any(job.status == JobStatus.QUEUED for job in served):
        find_places(asked)
    return served


def find_places(asked: Sequence[AskedCall]) -> None:
    """For calls that are queued: guesses give way where there are too few."""
    make_room(POOL, {call.spec.tool.pk: call.spec.max_parallel for call in asked})


def runs_here(job: ToolJob, attempt: int) -> bool:
    """True if `serve` has just started it for the owner of its session to run, who holds it under this attempt."""
    return job.status == JobStatus.RUNNING and job.pool_id is None and job.worker == in_place(attempt)


def in_place(attempt: int) -> str:
    """The worker of a job that the session's owner runs."""
    return f"{owner()} in place, attempt {attempt}"


def _serve_one(
    log: SessionLog, asked: AskedCall, tools: Mapping[int, ToolRecord], known: Sequence[ToolJob]
) -> ToolJob:
    existing = next((job for job in known if job.call_id == asked.call_id), None)
    if existing is not None:
        if not asked.is_let_down_by(existing):
            _tell_part(log, asked, existing)
            return existing
        jobs.give_back(log, existing, NOT_IN_WHOLE)
        asked = replace(asked, part=None, reason=NOT_IN_WHOLE)
    return _promote(log, asked, tools, known) or _request(log, asked, known)


def _tell_part(log: SessionLog, asked: AskedCall, job: ToolJob) -> None:
    """A part is told by whoever finds its whole ended: the worker that ran it knows nothing of parts."""
    if job.in_part and job.status == JobStatus.SUCCEEDED:
        told = EventRecord.objects.filter(session=log.session, kind="call_returned", payload__call_id=asked.call_id)
        if not told.exists():
            _tell_returned(log, asked, job)


def _request(log: SessionLog, asked: AskedCall, known: Sequence[ToolJob]) -> ToolJob:
    reason = _why_not(log, asked, known)
    started_by = in_place(log.session.attempt) if asked.spec.pool_id is None else ""
    job = new_jobs.request(log, asked.spec, asked.call_id, started_by=started_by)
    tell_asked(log, asked, job, "requested", reason)
    if started_by:
        jobs.tell_started(log, job)
    else:
        enqueue(job)
    return job


def _promote(
    log: SessionLog, asked: AskedCall, tools: Mapping[int, ToolRecord], known: Sequence[ToolJob]
) -> ToolJob | None:
    if asked.spec.effect != SideEffect.NONE:
        return None
    version = tools[asked.spec.tool.pk].policy_version
    for job in _fitting(log, asked, known):
        if job.status == JobStatus.QUEUED and asked.spec.pool_id is None:
            jobs.preempt(log, job, NOT_WAITED_FOR)
            continue
        in_part = job.fingerprint != asked.spec.fingerprint
        if jobs.promote(log, job, asked.call_id, policy_version=version, in_part=in_part):
            tell_asked(log, asked, job, OUTCOMES[job.status], "")
            if job.status == JobStatus.QUEUED:
                enqueue(job)  # again, and more urgent: the second delivery finds nothing to start
            if job.status == JobStatus.SUCCEEDED:
                _tell_returned(log, asked, job)
            return job
    return None


def _tell_returned(log: SessionLog, asked: AskedCall, job: ToolJob) -> None:
    """The call's answer, out of its ended job, which gives it."""
    log.append("call_returned", **asked.answered_by(job))


def _fitting(log: SessionLog, asked: AskedCall, known: Sequence[ToolJob]) -> list[ToolJob]:
    """Held guesses that may answer the call: one of the same work, then a whole that it is a part of."""
    held = [
        job
        for job in known
        if job.call_id is None and job.epoch == log.session.epoch and job.status in jobs.HELD and not job.transformed
    ]
    fitting = [job for job in held if job.fingerprint in asked.fingerprints and asked.may_be_answered_by(job)]
    return sorted(fitting, key=lambda job: asked.fingerprints.index(job.fingerprint))


def tell_asked(log: SessionLog, asked: AskedCall, job: ToolJob, outcome: str, reason: str) -> None:
    """Which job is the call's, and how it came to that."""
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


def _why_not(log: SessionLog, asked: AskedCall, known: Sequence[ToolJob]) -> str:
    """Why no speculation served this call: the fate of the last one that might have, else the caller's reason."""
    if asked.spec.effect != SideEffect.NONE:
        return "writes: not eligible"
    guesses = (job for job in known if job.call_id is None and job.fingerprint in asked.fingerprints)
    last = next(guesses, None)
    if last is None:
        return asked.reason
    if last.epoch != log.session.epoch:
        return "world changed"
    if last.scope and last.scope_epoch != log.scopes.get(last.scope):
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
        scopes = locks.share_scopes(offer.spec.scope for offer in forecasted.offers)
        pool = locks.hold_pool(POOL)
        with events.writing(session_id, attempt=attempt, scopes=scopes) as log:
            offers = [offer for offer in forecasted.offers if _is_current(log, forecasted, offer, tools)]
            free = _slack_for(log, pool, offers)
            verdicts = admit([offer.bid for offer in offers], free, {offer.traits.name: offer.traits for offer in offers})
            by_fingerprint = {offer.spec.fingerprint: offer for offer in offers}
            made = {
                verdict.bid.fingerprint: job
                for verdict in verdicts
                if verdict.admitted and (job := _launch(log, verdict, by_fingerprint[verdict.bid.fingerprint]))
            }
            _tell_predicted(log, forecasted, verdicts, made)
    refused = {verdict.bid.fingerprint: _word(verdict, made) for verdict in verdicts if verdict.bid.fingerprint not in made}
    return Launched(list(made.values()), refused, free.pool_free_slots)


def _word(verdict: Verdict, made: Mapping[str, ToolJob]) -> str:
    """What became of a bid. One may be admitted in vain: what it was to replace has begun, or its call was tried before."""
    if verdict.refused:
        return str(verdict.refused)
    if job := made.get(verdict.bid.fingerprint):
        return WARMED_UP if job.transformed else ADMITTED
    return str(Refused.NO_FREE_SLOT if verdict.preempt is not None else Refused.ALREADY_HELD)


def _is_current(log: SessionLog, forecasted: Forecasted, offer: Offer, tools: Mapping[int, ToolRecord]) -> bool:
    """False if the world or the tool's policy has moved on since the forecast was made."""
    same_policy = tools[offer.spec.tool.pk].policy_version == offer.spec.tool.policy_version
    return same_policy and log.session.epoch == forecasted.epoch and not log.is_changing


def _slack_for(log: SessionLog, pool: WorkerPool, offers: Sequence[Offer]) -> Slack:
    capacities = {offer.spec.tool.name: offer.capacity for offer in offers}
    fingerprints = [offer.spec.fingerprint for offer in offers]
    budget = Budget(
        settings.PASTE_SPECULATION_SECONDS_A_SESSION,
        settings.PASTE_SPECULATION_SECONDS_A_MINUTE,
        processors.left_for_guesses(settings.PASTE_REST_ABOVE_PERCENT),
    )
    free = slack.measure(pool, log.session, capacities, fingerprints, budget)
    broken = breakers_open.refusals([offer.spec.tool for offer in offers], log.session.agent_id)
    return replace(free, broken=broken)


def _launch(log: SessionLog, verdict: Verdict, offer: Offer) -> ToolJob | None:
    if verdict.preempt is not None and not _outbid(log, ToolJob.objects.get(pk=verdict.preempt)):
        return None
    prediction = verdict.bid.prediction
    guess = Guess(
        pattern_id=offer.pattern_id,
        probability=prediction.probability_before_write,
        utility=verdict.bid.utility_seconds,
        policy_version=offer.spec.tool.policy_version,
        start_within_seconds=START_WITHIN_SECONDS,
        sources=prediction.sources,
    )
    job = new_jobs.speculate(log, offer.spec, guess)
    if job is not None:
        enqueue(job)
    return job


def _outbid(log: SessionLog, queued: ToolJob) -> bool:
    """False: a worker has begun it since the slots were counted, or a call asked for it. Then its slot is taken."""
    if queued.session_id == log.session.pk:
        return jobs.outbid(log, queued)
    with events.writing(queued.session_id) as its_log:
        return jobs.outbid(its_log, queued)


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
            "verdict": _word(verdict, made),
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


def verify(session_id: UUID, attempt: int, served: Sequence[ToolJob]) -> list[ToolJob]:
    """Run served guesses again, on slack, to check them. None is checked once the world or the approval has moved on."""
    with transaction.atomic():
        tools = locks.share_tools(job.tool_id for job in served)
        scopes = locks.share_scopes(job.scope for job in served)
        pool = locks.hold_pool(POOL)
        with events.writing(session_id, attempt=attempt, scopes=scopes) as log:
            checks = []
            for job in served:
                is_current = (job.epoch, job.policy_version) == (log.session.epoch, tools[job.tool_id].policy_version)
                is_unchanged = not job.scope or job.scope_epoch == scopes[job.scope]
                if is_current and is_unchanged and slack.measure(pool, log.session, {}, ()).free_slots > 0:
                    checks.append(new_jobs.check(log, job, START_WITHIN_SECONDS))
                    enqueue(checks[-1])
    return checks
