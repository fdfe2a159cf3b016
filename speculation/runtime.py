"""One session: answer a call, then speculate.

`SessionRuntime` is the loop's host: it writes every event to the log before anything follows from it (cheap reads alone,
which change nothing, are told when they are over), serves calls through the scheduler, waits without holding a database
connection, and lets the forecast speculate while the model streams. It may run again on any worker: the log and the job
rows are all the state there is.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models.functions import Coalesce, Now

from speculation import answers, events, in_place, scheduler, unguessed, worker
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
from speculation.known_jobs import ENDED, ended_jobs
from speculation.models import EventRecord, JobStatus, Session, ToolJob
from speculation.notices import LOOK_AGAIN_SECONDS, assert_outside_transaction, listener
from speculation.toolbox import Toolbox
from tools.base import SideEffect, ToolResult
from tools.running import clean_text


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
        self._deadline = time.monotonic() + _seconds_left(session)
        self._nudge = threading.Event()  # set when somebody wants something of the session, such as its end
        self.is_cancelled = False

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
        self.check()
        self._append("turn_started", turn=turn, attempt=self.session.attempt)
        self.forecast.begin(turn)

    def streamed(self, turn: int, event: ModelEvent) -> None:
        self.check()
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

    def answer_call(self, turn: int, call: RequestedCall) -> Message:
        """For callers that order calls themselves and tell the forecast when all of a turn are answered."""
        return self._answer_group(turn, [call])[call.call_id]

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
            if self.may_change(call):
                if group:
                    yield group
                yield [call]
                group = []
            else:
                group.append(call)
        if group:
            yield group

    def may_change(self, call: RequestedCall) -> bool:
        """True unless the call is known to change nothing: it has the session's world to itself."""
        box = self.toolbox.get(call.tool)
        return box is not None and box.effect_of(call.arguments) != SideEffect.NONE

    def _answer_group(self, turn: int, calls: Sequence[RequestedCall]) -> dict[str, Message]:
        unknown = [call for call in calls if call.tool not in self.toolbox]
        answered = self._refuse(unknown)
        asked = [self._asked(turn, call) for call in calls if call.tool in self.toolbox]
        while asked:  # again only where a call had joined a whole: it is told when that has ended, or finds another job
            answered |= self._collect(*self._serve(asked))
            asked = [call for call in asked if call.call_id not in answered]
        return answered

    def _serve(self, asked: Sequence[AskedCall]) -> tuple[Sequence[AskedCall], Sequence[ToolJob]]:
        """A job for each call. Cheap reads are read here, once the others are on their way."""
        asked_at, here = time.monotonic(), in_place.at_once(self.session.pk, asked)
        first = [call for call in asked if call.call_id not in here]
        then = [call for call in asked if call.call_id in here]
        served = self._sent(first) if first else []
        read = [in_place.read(self.session, call, here[call.call_id], asked_at) for call in then]
        return [*first, *then], [*served, *read]

    def _sent(self, asked: Sequence[AskedCall]) -> list[ToolJob]:
        sent = unguessed.request(self.session, asked)
        others = [call for call in asked if call.call_id not in sent]
        served = scheduler.serve(self.session.pk, self.session.attempt, others) if others else []
        found = sent | {call.call_id: job for call, job in zip(others, served, strict=True)}
        return [found[call.call_id] for call in asked]

    def _asked(self, turn: int, call: RequestedCall) -> AskedCall:
        box = self.toolbox[call.tool]
        asked = AskedCall(call.call_id, turn, box.spec_of(call.arguments), part=box.part_of(call.arguments))
        return replace(asked, reason=self.forecast.why_unserved(asked))

    def _refuse(self, calls: Sequence[RequestedCall]) -> dict[str, Message]:
        """There is nothing to run, so this is where their answers come from."""
        payloads = [
            answers.returned(call.call_id, call.tool, ToolResult(ok=False, content=self.toolbox.refusal(call.tool)))
            for call in calls
        ]
        if payloads:
            with events.writing(self.session.pk, attempt=self.session.attempt) as log:
                for payload in payloads:
                    log.append("call_returned", **payload)
        return {payload["call_id"]: answer_message(payload) for payload in payloads}

    def _collect(self, asked: Sequence[AskedCall], served: Sequence[ToolJob]) -> dict[str, Message]:
        """Run what runs here, then wait for the others. What each call is told stands in the log with its job's end."""
        assert_outside_transaction()
        for call, job in zip(asked, served, strict=True):
            if scheduler.runs_here(job, self.session.attempt):
                job.session, job.tool = self.session, call.spec.tool
                worker.perform(job)
        both = list(zip(asked, served, strict=True))
        told = {call.call_id: self._told(call, job) for call, job in both if job.status in ENDED}
        pending = {job.pk: call for call, job in both if job.status not in ENDED}
        return told | self._wait_for(pending) if pending else told

    def _told(self, call: AskedCall, job: ToolJob) -> Message:
        """What the model is told of a call whose job has ended."""
        if job.promoted_at is not None and job.status == JobStatus.SUCCEEDED:
            self.forecast.served(job)
        return answer_message(call.answered_by(job))

    def _wait_for(self, pending: dict[UUID, AskedCall]) -> dict[str, Message]:
        """Until all these jobs have ended, or a whole has, of which `serve` has to tell the part.

        No connection is held while nothing happens.
        """
        told: dict[str, Message] = {}
        with listener().waiting_for(*pending, self.session.pk) as bell:
            while True:
                for job in ended_jobs(pending):
                    call = pending.pop(job.pk)
                    if job.in_part or job.status == JobStatus.DISCARDED:
                        return told
                    told[call.call_id] = self._told(call, job)
                if not pending:
                    return told
                self.check()
                connection.close()
                bell.wait(LOOK_AGAIN_SECONDS)
                bell.clear()

    # The session's own state

    def _append(self, kind: str, **payload: Any) -> None:
        events.append(self.session.pk, kind, as_attempt=self.session.attempt, **payload)
        connection.close()  # back to the pool: what follows is a wait for the model

    def check(self) -> None:
        """Raises SessionStopped where the session is to end. Reads the row only when nudged."""
        if time.monotonic() > self._deadline:
            raise TimedOut(f"The session did not end within {self.session.timeout_seconds:g} s.")
        if self._nudge.is_set():
            self._nudge.clear()
            asked = Session.objects.filter(pk=self.session.pk, cancel_requested_at__isnull=False)
            self.is_cancelled = self.is_cancelled or asked.exists()
        if self.is_cancelled:  # kept, since several threads may wait for calls of it
            raise Cancelled("cancelled")


def _seconds_left(session: Session) -> float:
    """By the database's clock, which no worker's wrong one can move."""
    if not session.timeout_seconds:
        return float("inf")
    ran = Session.objects.values_list(Now() - Coalesce("started_at", Now()), flat=True).get(pk=session.pk)
    return session.timeout_seconds - ran.total_seconds()
