"""A told session in the database: its log through the product's own writer, its jobs as the log says they went."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from paste_web.picturing.telling import Line
from speculation import events
from speculation.jobs import POOL
from speculation.models import AgentProfile, JobStatus, Session, ToolJob, ToolRecord
from speculation.prices import as_text

LONG = timedelta(days=1)
"""Nobody sweeps a made-up installation, and nobody should."""


@dataclass
class _Job:
    """A job as far as the log has told of it."""

    fields: dict[str, Any] = field(default_factory=dict)

    def queued(self, at: datetime, payload: Mapping[str, Any]) -> None:
        names = ("arguments", "effect", "epoch", "call_id")
        self.fields |= {name: payload[name] for name in names}
        self.fields |= {
            "status": JobStatus.QUEUED,
            "created_at": at,
            "enqueued_at": at,
            "pattern_id": payload["pattern"],
            "transformed": bool(payload.get("warm_up")),
        }
        if payload["speculative"]:
            self.fields |= {name: payload[name] for name in ("probability", "utility")}

    def started(self, at: datetime) -> None:
        self.fields |= {"status": JobStatus.RUNNING, "started_at": at, "attempt": 1, "lease_until": at + LONG}

    def ended(self, at: datetime, status: str, reason: str = "") -> None:
        self.fields |= {"status": status, "ended_at": at, "end_reason": reason}

    def asked(self, at: datetime, call_id: str) -> None:
        self.fields |= {"call_id": call_id, "promoted_at": at}


def store(
    agent: AgentProfile, tools: Mapping[str, ToolRecord], lines: Sequence[Line], origin: datetime, **fields: Any
) -> Session:
    """A session that started at `origin` and whose log so far is `lines`. Raises KeyError for a tool it does not know."""
    lines = [_priced(line, tools) for line in lines]
    created_at = origin + timedelta(seconds=lines[0].at)
    session = Session.objects.create(agent=agent, created_at=created_at, **fields)
    with transaction.atomic():
        with events.writing(session.pk) as log:
            for line in lines:
                log.append(line.kind, at=origin + timedelta(seconds=line.at), **line.payload)
        ToolJob.objects.bulk_create(_jobs(session, tools, lines, origin))
        _settle(session, lines, origin)
    session.refresh_from_db()
    return session


def _priced(line: Line, tools: Mapping[str, ToolRecord]) -> Line:
    """As the product tells of a guess: with what a call of its tool costs."""
    if line.kind != "job_queued" or not line.payload["speculative"] or line.payload.get("warm_up"):
        return line
    price = tools[line.payload["tool"]].price_per_call
    return replace(line, payload={**line.payload, "price": as_text(price)}) if price else line


def _settle(session: Session, lines: Sequence[Line], origin: datetime) -> None:
    """The session's own columns, as its log leaves them."""
    fields: dict[str, Any] = {"started_at": origin, "attempt": 1, "status": "running", "lease_until": origin + LONG}
    for line in lines:
        at = origin + timedelta(seconds=line.at)
        if line.kind == "epoch_stepped":
            fields["epoch"] = line.payload["epoch"]
        if line.kind == "session_ended":
            fields |= {**line.payload, "ended_at": at, "lease_until": None}
    Session.objects.filter(pk=session.pk).update(**fields)


def _jobs(session: Session, tools: Mapping[str, ToolRecord], lines: Iterable[Line], origin: datetime) -> list[ToolJob]:
    jobs: dict[str, _Job] = {}
    for line in lines:
        _follow(jobs, tools, line, origin + timedelta(seconds=line.at))
    return [
        ToolJob(
            id=UUID(key),
            session=session,
            pool_id=POOL,
            fingerprint=_fingerprint(job.fields["tool"].name, job.fields["arguments"]),
            policy_version=job.fields["tool"].policy_version,
            warmed=_is_warmed(job, jobs.values()),
            **job.fields,
        )
        for key, job in jobs.items()
    ]


def _is_warmed(job: _Job, jobs: Iterable[_Job]) -> bool:
    """What the product notes when a call is asked for: a warm-up for it had ended."""
    own = job.fields
    return own["call_id"] is not None and any(
        other.fields["transformed"]
        and other.fields["tool"] == own["tool"]
        and other.fields["arguments"].items() <= own["arguments"].items()
        and other.fields.get("ended_at", own["created_at"]) < own["created_at"]
        for other in jobs
    )


def _follow(jobs: dict[str, _Job], tools: Mapping[str, ToolRecord], line: Line, at: datetime) -> None:
    job = jobs.setdefault(line.payload["job"], _Job()) if line.payload.get("job") else None
    if job is None:
        return
    match line.kind:
        case "job_queued":
            job.fields["tool"] = tools[line.payload["tool"]]
            job.queued(at, line.payload)
        case "job_started":
            job.started(at)
        case "job_ended":
            job.ended(at, JobStatus.SUCCEEDED)
        case "job_preempted":
            job.ended(at, JobStatus.PREEMPTED, line.payload["reason"])
        case "job_released":
            job.fields["ended_at"] = at
        case "job_discarded":
            job.fields |= {"status": JobStatus.DISCARDED, "end_reason": line.payload["reason"]}
        case "call_asked" if line.payload["outcome"] != "requested":
            job.asked(at, line.payload["call_id"])


def _fingerprint(tool: str, arguments: Mapping[str, Any]) -> str:
    return hashlib.sha256(f"{tool}\n{json.dumps(arguments, sort_keys=True)}".encode()).hexdigest()
