"""A session's log and a recorded run are the same thing: events the engine learns from.

`events_of` reads a stored session for mining and for a predictor that joins in the middle; `store` writes a recorded run
as an ended session, all of it or nothing, once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any
from uuid import UUID, uuid5

from django.db import IntegrityError, transaction

from speculation import events
from speculation.agent.types import RequestedCall
from speculation.engine.types import Event, EventKind
from speculation.models import AgentProfile, Arm, EventRecord, Origin, Session, SessionStatus
from speculation.story import LogEntry
from speculation.traces import TraceSession, result_of

IMPORTED = UUID("6f1d1d3a-64a9-5f0c-9d1e-6a7c9f0b2e51")
"""Namespace of imported sessions' ids: made from agent and recording, so the primary key refuses a second import."""

KINDS = (
    "session_started", "user_said", "turn_started", "turn_ended", "turn_extended", "call_asked", "call_returned"
)


class History:
    """Reads a log entry by entry, from its start, and gives the engine's event where an entry makes one.

    Times are seconds since the first entry read.
    """

    def __init__(self) -> None:
        self._origin: datetime | None = None
        self._turn_started_at = 0.0
        self._asked: dict[str, tuple[Mapping[str, Any], float]] = {}
        """Call id to its arguments and the moment it was asked for."""

    def read(self, entry: LogEntry) -> Event | None:
        self._origin = self._origin or entry.at
        at, payload = (entry.at - self._origin).total_seconds(), entry.payload
        match entry.kind:
            case "user_said":
                return Event(EventKind.USER, text=payload["text"], started_at=at, ended_at=at)
            case "turn_started":
                self._turn_started_at = at
            case "turn_ended":
                for call in payload["calls"]:
                    self._asked[call["call_id"]] = call["arguments"], at
                started_at = self._turn_started_at
                return Event(EventKind.LLM, payload["turn"], payload["text"], started_at=started_at, ended_at=at)
            case "turn_extended":
                for call in payload["calls"]:
                    self._asked[call["call_id"]] = call["arguments"], at
            case "call_asked":
                self._asked[payload["call_id"]] = payload["arguments"], at
            case "call_returned":
                return self._returned(payload, at)
        return None

    def _returned(self, payload: Mapping[str, Any], at: float) -> Event:
        arguments, started_at = self._asked[payload["call_id"]]
        return Event(
            EventKind.TOOL,
            turn=payload["turn"],
            tool=payload["tool"],
            status="ok" if payload["ok"] else "error",
            arguments=arguments,
            result=payload["content"] if payload["structured"] is None else payload["structured"],
            started_at=started_at,
            ended_at=at,
        )


def events_in(entries: Iterable[LogEntry]) -> list[Event]:
    """The engine's events of a log. Calls of one turn stand in the order the model listed them, not in that of their ends:
    the order is the model's decision, and a quick read must not hide that a slow one was asked for first.
    """
    history = History()
    block = 0  # events between two words of model or user
    placed: list[tuple[int, int, Event]] = []
    for entry in entries:
        if (event := history.read(entry)) is None:
            continue
        if event.kind == EventKind.TOOL:
            placed.append((block, int(entry.payload["call_id"].partition(".")[2]), event))
        else:
            block += 1
            placed.append((block, -1, event))
    return [event for _, _, event in sorted(placed, key=lambda place: place[:2])]


def events_of(session: Session, until: int | None = None) -> list[Event]:
    """What a stored session did, as the engine sees it; `until`: before this entry of its log."""
    told = EventRecord.objects.filter(session=session, kind__in=KINDS).order_by("seq")
    return events_in(told if until is None else told.filter(seq__lt=until))


def store(agent: AgentProfile, trace: TraceSession, *, now: datetime) -> Session | None:
    """The recorded run as a session of `agent` that ended `now`, or None: it had been stored before."""
    pk = uuid5(IMPORTED, f"{agent.pk} {trace.source} {trace.session_id}")
    if Session.objects.filter(pk=pk).exists():
        return None
    told = list(_entries(trace))
    started_at = now - timedelta(seconds=told[-1][0])
    try:
        with transaction.atomic():
            session = _create(pk, agent, trace, started_at, now)
            with events.writing(pk) as log:
                log.append("session_queued", at=started_at, **_facts(session))
                log.append("session_started", at=started_at, attempt=1, owner="import")
                for seconds, kind, payload in told:
                    log.append(kind, at=started_at + timedelta(seconds=seconds), **payload)
                log.append("session_ended", at=now, status="succeeded", answer=session.answer, error=None)
    except IntegrityError:
        return None
    return session


def _create(pk: UUID, agent: AgentProfile, trace: TraceSession, started_at: datetime, ended_at: datetime) -> Session:
    return Session.objects.create(
        pk=pk,
        agent=agent,
        task=next(iter(trace.opened_events()))["text"],
        status=SessionStatus.SUCCEEDED,
        arm=Arm.OFF,
        speculation="off",
        origin=Origin.IMPORTED,
        model_name=trace.model[:200],
        labels={"source": trace.source, "trace": trace.session_id, "recorded_task": trace.task_id},
        answer=next((event["text"] for event in reversed(trace.events) if event["type"] == "llm"), ""),
        created_at=started_at,
        started_at=started_at,
        ended_at=ended_at,
    )


def _facts(session: Session) -> dict[str, Any]:
    return {
        "agent": session.agent.name,
        "task": session.task,
        "arm": str(session.arm),
        "model": session.model_name,
        "scripted": False,
    }


def _entries(trace: TraceSession) -> Iterator[tuple[float, str, dict[str, Any]]]:
    """(seconds since the start, kind, payload) of each entry a recorded run becomes. Turns are numbered anew from 1."""
    turn = index = 0
    told = trace.to_events()
    for position, event in enumerate(told):
        if event.kind == EventKind.USER:
            yield event.ended_at, "user_said", {"text": event.text}
        elif event.kind == EventKind.LLM:
            turn, index = turn + 1, 0
            calls = list(takewhile(lambda later: later.kind == EventKind.TOOL, told[position + 1 :]))
            yield event.started_at, "turn_started", {"turn": turn, "attempt": 1}
            yield event.ended_at, "turn_ended", _turn_ended(turn, event, calls)
        else:
            yield event.ended_at, "call_returned", _call_returned(turn, index, event)
            index += 1


def _turn_ended(turn: int, event: Event, calls: Sequence[Event]) -> dict[str, Any]:
    requested = [RequestedCall(f"{turn}.{index}", call.tool, call.arguments) for index, call in enumerate(calls)]
    return {
        "turn": turn,
        "text": event.text,
        "calls": [asdict(call) for call in requested],
        "finish_reason": "tool_calls" if calls else "stop",
        "usage": {},
    }


def _call_returned(turn: int, index: int, event: Event) -> dict[str, Any]:
    """Nobody asked here, so there is no `call_asked` and no job: only what came back."""
    result = result_of(event.status == "ok", event.result)
    return {
        "call_id": f"{turn}.{index}",
        "turn": turn,
        "tool": event.tool,
        "job": None,
        "unknown_outcome": False,
        **result.to_json(),
    }
