"""One session: answer a call, then speculate.

`SessionRuntime` is the loop's host: it writes every event to the log before anything follows from it, serves calls
through the scheduler, waits without holding a database connection, and lets the forecast speculate while the model
streams. It may run again on any worker: the log and the job rows are all the state there is.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from django.db import connection

from speculation import events, scheduler
from speculation.agent.types import (
    ArgumentsSealed,
    FirstToken,
    Message,
    ModelEvent,
    RequestedCall,
    SessionStopped,
    ToolNamed,
    TurnEnded,
)
from speculation.asked import AskedCall
from speculation.conversation import answer_message
from speculation.forecast import Forecast
from speculation.models import EventRecord, JobStatus, Session, ToolJob
from speculation.notices import LOOK_AGAIN_SECONDS, assert_outside_transaction, listener
from speculation.toolbox import Toolbox
from tools.base import SideEffect, ToolResult
from tools.running import clean_text

ENDED = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.DISCARDED)
"""Statuses in which a call's job is done; discarded where it was a whole that did not give the call its part."""

UNKNOWN_OUTCOME = (
    "The outcome of this call is unknown: its worker was lost while it ran, and running it again might do it twice. "
    "Check what has happened before you go on."
)


class Cancelled(SessionStopped):
    """Somebody asked for the session's end."""


class TimedOut(SessionStopped):
    """The session used up its time."""


class SessionRuntime:
    """The host of one session's loop, under one ownership (`session.attempt`)."""

    def __init__(self, session: Session, toolbox: Toolbox, forecast: Forecast) -> None:
        self.session = session
        self.toolbox = toolbox
        self.forecast = forecast
        self._nudge = threading.Event()  # set when somebody wants something of the session, such as its end

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear of a cancellation at once, for as long as the session runs."""
        with listener().waiting_for(self.session.pk) as nudge:
            self._nudge = nudge
            nudge.set()
            yield

    # What the loop tells its host

    def user_said(self, text: str) -> None:
        self._append("user_said", text=text)
        self.forecast.user_said(text)

    def turn_started(self, turn: int) -> None:
        self._check()
        self._append("turn_started", turn=turn, attempt=self.session.attempt)
        self.forecast.begin(turn)

    def streamed(self, turn: int, event: ModelEvent) -> None:
        self._check()
        match event:
            case FirstToken():
                self._append("first_token", turn=turn)
            case ToolNamed(index, tool):
                self._append("tool_named", turn=turn, index=index, tool=clean_text(tool))
            case ArgumentsSealed(index, call):
                self._append(
                    "arguments_sealed", turn=turn, index=index, call_id=call.call_id, tool=clean_text(call.tool)
                )
            case _:
                pass
        self.forecast.hear(event)

    def turn_ended(self, turn: int, ended: TurnEnded) -> None:
        calls = [asdict(call) for call in ended.calls]
        self._append(
            "turn_ended",
            turn=turn,
            text=ended.text,
            calls=calls,
            finish_reason=ended.finish_reason,
            usage=dict(ended.usage),
        )
        self.forecast.model_said(turn, ended.text)

    def answer_calls(self, turn: int, calls: Sequence[RequestedCall]) -> Sequence[Message]:
        """One message a call, in order. Reads between two changing calls run side by side; a changing call alone."""
        answered = self._answers_in_log(turn)
        open_calls = [call for call in calls if call.call_id not in answered]
        for group in self._in_groups(turn, open_calls):
            answered |= self._answer_group(turn, group)
        self.forecast.turn_answered(turn, calls, answered)
        return [answered[call.call_id] for call in calls]

    # Answering

    def _answers_in_log(self, turn: int) -> dict[str, Message]:
        """What an earlier owner of the session already answered."""
        if self.session.attempt == 1:
            return {}
        records = EventRecord.objects.filter(session=self.session, kind="call_returned", payload__turn=turn)
        return {record.payload["call_id"]: answer_message(record.payload) for record in records}

    def _in_groups(self, turn: int, calls: Sequence[RequestedCall]) -> Iterator[list[RequestedCall]]:
        group: list[RequestedCall] = []
        for call in calls:
            if self._may_change(call):
                if group:
                    yield group
                yield [call]
                group = []
            else:
                group.append(call)
        if group:
            yield group

    def _may_change(self, call: RequestedCall) -> bool:
        box = self.toolbox.get(call.tool)
        return box is not None and box.tool.effect_of(call.arguments) != SideEffect.NONE

    def _answer_group(self, turn: int, calls: Sequence[RequestedCall]) -> dict[str, Message]:
        unknown = [call for call in calls if call.tool not in self.toolbox]
        answers = self._refuse(turn, unknown)
        asked = [self._asked(turn, call) for call in calls if call.tool in self.toolbox]
        while asked:  # again only where a call had joined a whole that then did not give the part
            answers |= self._collect(asked, scheduler.serve(self.session.pk, self.session.attempt, asked))
            asked = [call for call in asked if call.call_id not in answers]
        return answers

    def _asked(self, turn: int, call: RequestedCall) -> AskedCall:
        box = self.toolbox[call.tool]
        asked = AskedCall(call.call_id, turn, box.spec_of(call.arguments), part=box.part_of(call.arguments))
        return replace(asked, reason=self.forecast.why_unserved(asked))

    def _refuse(self, turn: int, calls: Sequence[RequestedCall]) -> dict[str, Message]:
        payloads = [
            _returned(turn, call.call_id, call.tool, None, ok=False, content=self.toolbox.refusal(call.tool))
            for call in calls
        ]
        return self._tell_returned(payloads)

    def _collect(self, asked: Sequence[AskedCall], jobs: Sequence[ToolJob]) -> dict[str, Message]:
        """Wait for the calls' jobs, each answered as it ends, until all are or one has ended that answers nothing.

        No connection is held while nothing happens.
        """
        assert_outside_transaction()
        pending = {job.pk: call for call, job in zip(asked, jobs, strict=True)}
        answers: dict[str, Message] = {}
        with listener().waiting_for(*pending, self.session.pk) as bell:
            while True:
                ended = ToolJob.objects.select_related("tool").filter(pk__in=pending, status__in=ENDED)
                payloads = [_returned_by(pending.pop(job.pk), job) for job in ended]
                answers |= self._tell_returned([payload for payload in payloads if payload])
                if not pending or None in payloads:
                    return answers
                self._check()
                connection.close()
                bell.wait(LOOK_AGAIN_SECONDS)
                bell.clear()

    def _tell_returned(self, payloads: Sequence[dict[str, Any]]) -> dict[str, Message]:
        if not payloads:
            return {}
        with events.writing(self.session.pk, attempt=self.session.attempt) as log:
            for payload in payloads:
                log.append("call_returned", **payload)
        return {payload["call_id"]: answer_message(payload) for payload in payloads}

    # The session's own state

    def _append(self, kind: str, **payload: Any) -> None:
        events.append(self.session.pk, kind, as_attempt=self.session.attempt, **payload)
        connection.close()  # back to the pool: what follows is a wait for the model

    def _check(self) -> None:
        """Raises SessionStopped where the session is to end. Reads the row only when nudged."""
        if self.session.timeout_seconds and time.time() > self._deadline:
            raise TimedOut(f"The session did not end within {self.session.timeout_seconds:g} s.")
        if not self._nudge.is_set():
            return
        self._nudge.clear()
        if Session.objects.filter(pk=self.session.pk, cancel_requested_at__isnull=False).exists():
            raise Cancelled("cancelled")

    @property
    def _deadline(self) -> float:
        started_at = self.session.started_at
        return (started_at.timestamp() if started_at else time.time()) + (self.session.timeout_seconds or 0.0)


def _returned_by(call: AskedCall, job: ToolJob) -> dict[str, Any] | None:
    """What the call's ended job found of it. None: nothing, so the call needs another job."""
    if job.status == JobStatus.DISCARDED or call.is_let_down_by(job):
        return None
    if job.status == JobStatus.FAILED:
        return _returned(
            call.turn, call.call_id, job.tool.name, job, ok=False, content=UNKNOWN_OUTCOME, unknown_outcome=True
        )
    result = call.cut_from(job) if call.is_part_of(job) else ToolResult.from_json(job.result)
    assert result is not None
    return _returned(call.turn, call.call_id, job.tool.name, job, result.ok, result.content, result.structured)


def _returned(
    turn: int,
    call_id: str,
    tool: str,
    job: ToolJob | None,
    ok: bool,
    content: str,
    structured: Any = None,
    unknown_outcome: bool = False,
) -> dict[str, Any]:
    return {
        "turn": turn,
        "call_id": call_id,
        "tool": tool,
        "job": str(job.pk) if job else None,
        "ok": ok,
        "content": content,
        "structured": structured,
        "unknown_outcome": unknown_outcome,
    }
