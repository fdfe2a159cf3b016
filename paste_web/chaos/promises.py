"""What must hold of every session, whatever died: pure functions of its log, of its job rows, of what serial execution did.

A log is the session's `EventRecord`s in order of `seq`; its kinds and payloads are those of `speculation/events.py`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from speculation.models import EventRecord, JobStatus, ToolJob
from tools.base import SideEffect

RESULT, ERROR, UNKNOWN = "result", "error", "unknown outcome"

OPEN = (JobStatus.QUEUED, JobStatus.RUNNING)
PROMOTED = ("used", "joined", "raised")
"""Outcomes of `call_asked` where a guess became the call's job."""


@dataclass(frozen=True)
class Broken:
    """One promise that did not hold: which, in which session, and what was seen."""

    promise: str
    session: str
    what: str


def endings(log: Sequence[EventRecord]) -> dict[str, list[str]]:
    """Of each authoritative call, all that the agent was told of it: `RESULT`, `ERROR` or `UNKNOWN`, once each time."""
    told: dict[str, list[str]] = {event.payload["call_id"]: [] for event in log if event.kind == "call_asked"}
    for event in log:
        if event.kind == "call_returned":
            told.setdefault(event.payload["call_id"], []).append(_ending(event))
    return told


def _ending(event: EventRecord) -> str:
    if event.payload["unknown_outcome"]:
        return UNKNOWN
    return RESULT if event.payload["ok"] else ERROR


def without_one_ending(log: Sequence[EventRecord]) -> dict[str, list[str]]:
    """Calls of a session that succeeded which did not end in exactly one of result, error, unknown outcome."""
    return {call_id: told for call_id, told in endings(log).items() if len(told) != 1}


def answered_twice(log: Sequence[EventRecord], jobs: Iterable[ToolJob]) -> list[str]:
    """Calls with two answers or two jobs, and runs repeated that must not be."""
    told = [f"{call_id} was answered {len(ends)} times" for call_id, ends in endings(log).items() if len(ends) > 1]
    rows = Counter(job.call_id for job in jobs if job.call_id is not None)
    told += [f"{call_id} has {count} jobs" for call_id, count in rows.items() if count > 1]
    return told + _repeated_writes(log)


def made_jobs(log: Sequence[EventRecord]) -> dict[str, Mapping[str, Any]]:
    """What each job is for. A second run that only checks a served guess answers nobody, and can only read."""
    queued = {event.payload["job"]: event.payload for event in log if event.kind == "job_queued"}
    checks = {
        event.payload["job"]: {"tool": event.payload["tool"], "effect": SideEffect.NONE, "call_id": None}
        for event in log
        if event.kind == "check_queued"
    }
    return {**queued, **checks}


def _repeated_writes(log: Sequence[EventRecord]) -> list[str]:
    queued = made_jobs(log)
    starts = Counter(event.payload["job"] for event in log if event.kind == "job_started")
    return [
        f"{queued[job]['call_id']} ({queued[job]['tool']}, {queued[job]['effect']}) was started {count} times"
        for job, count in starts.items()
        if count > 1 and not SideEffect(queued[job]["effect"]).may_repeat
    ]


def early_side_effects(log: Sequence[EventRecord]) -> list[str]:
    """Jobs that may change something and started before anybody had asked for them."""
    asked_at = {event.payload["job"]: event.seq for event in log if event.kind == "call_asked"}
    queued = made_jobs(log)
    return [
        f"{queued[job]['tool']} started as event {event.seq}, asked for as {asked_at.get(job)}"
        for event in log
        if event.kind == "job_started"
        and queued[job := event.payload["job"]]["effect"] != SideEffect.NONE
        and asked_at.get(job, event.seq) >= event.seq
    ]


def stale_promotions(log: Sequence[EventRecord]) -> list[str]:
    """Guesses that answered a call although the world had begun to change since they were made."""
    made = {event.payload["job"]: event for event in log if event.kind == "job_queued"}
    steps = [event.seq for event in log if event.kind == "epoch_stepped"]
    found = []
    for event in log:
        if event.kind == "call_asked" and event.payload["outcome"] in PROMOTED:
            guess = made[event.payload["job"]]
            if any(guess.seq < seq < event.seq for seq in steps) or guess.payload["epoch"] % 2:
                found.append(f"{event.payload['call_id']} ({event.payload['tool']}) was served from another epoch")
    return found


def stuck(jobs: Iterable[ToolJob]) -> list[str]:
    """Jobs that have not ended, or whose slot was never given back, long after all is over."""
    return [
        f"{job.tool.name} is {job.status}"
        for job in jobs
        if job.status in OPEN or (job.status == JobStatus.PREEMPTED and job.ended_at is None)
    ]


def gaps(log: Sequence[EventRecord]) -> list[str]:
    """A log whose events are not numbered 1, 2, 3 and so on."""
    numbers = [event.seq for event in log]
    return [] if numbers == list(range(1, len(log) + 1)) else [f"{len(log)} events, numbered up to {numbers[-1]}"]


def promoted_calls(log: Sequence[EventRecord]) -> set[str]:
    """Calls whose answer came from a guess: the last job that they were given was one."""
    last = {event.payload["call_id"]: event.payload["outcome"] for event in log if event.kind == "call_asked"}
    return {call_id for call_id, outcome in last.items() if outcome in PROMOTED}


def attempts_by_tool(log: Sequence[EventRecord]) -> Mapping[str, Sequence[EventRecord]]:
    """The `job_started` events of each tool, in order."""
    queued = made_jobs(log)
    found: dict[str, list[EventRecord]] = defaultdict(list)
    for event in log:
        if event.kind == "job_started":
            found[queued[event.payload["job"]]["tool"]].append(event)
    return found
