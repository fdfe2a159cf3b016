"""The loop of an agent that runs elsewhere: its calls come in over MCP, and its model's time is the time between them.

Such an agent is not asked anything. A turn begins when all its calls have been answered, which is when its model has
something to go on; it ends with the next call. Calls that come while others of the turn still run belong to it: no model
asks for more before it has heard all, so its client must have sent a turn's calls one by one.

Calls start in the order in which they came. Reads run side by side, one that may change something alone.
"""

import threading
import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

from django.db import connection

from speculation.agent.types import Message, Outcome, RequestedCall
from speculation.models import Session
from speculation.notices import LOOK_AGAIN_SECONDS, assert_outside_transaction, listener
from speculation.remote_inbox import Inbox, bell_of
from speculation.runtime import Cancelled, SessionRuntime

PARK_AFTER_SECONDS = 15.0
"""A model that thinks for longer pays some hundredths of a second for its next call, and keeps no worker's thread meanwhile."""
MOST_AT_ONCE = 16
"""Calls of one session that run side by side; further ones wait, as they would for slots."""

Answered = dict[str, Message]
"""By the calls' ids."""


class RemoteLoop:
    """One session's loop, under one ownership. `run` may be called once.

    quiet_seconds: how long after its last answer the agent may be silent before its session is over.
    """

    def __init__(
        self, session: Session, host: SessionRuntime, *, quiet_seconds: float, was_parked_for: timedelta | None = None
    ) -> None:
        self.inbox, self.host, self.quiet_seconds = Inbox(session), host, quiet_seconds
        self._session, self._was_parked_for = session, was_parked_for
        self._bell = threading.Event()
        self._said = ""
        self._has_left = self._is_over = False
        self._beside: ThreadPoolExecutor

    def run(self) -> Outcome | None:
        """Until the client has left, or was quiet for long. None: it has been quiet for a while, and nobody need wait here.

        Raises SessionStopped, SessionLost.
        """
        with self._listening():
            turn, calls = self.inbox.last_turn()
            self._said = self.inbox.last_said()
            self._go_on_with(turn, calls)
            while True:
                turn += 1
                if self._was_parked_for is None:  # else the turn had begun, and goes on
                    self.host.turn_started(turn)
                calls = self._first_calls(turn)
                self._was_parked_for = None
                if calls:
                    self._answer(turn, calls)
                elif self._is_over:
                    return Outcome("succeeded", over_at=None if self._has_left else self.inbox.last_answered_at())
                else:
                    return None

    @contextmanager
    def _listening(self) -> Iterator[None]:
        keys = (self._session.pk, bell_of(self._session.pk))
        with (
            listener().waiting_for(*keys) as self._bell,
            ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="remote-call") as self._beside,
        ):
            yield

    def _go_on_with(self, turn: int, calls: Sequence[RequestedCall]) -> None:
        """An earlier owner left these open, or answered them and could not say so."""
        if left := set(self.inbox.left_open()):
            self._answer(turn, [call for call in calls if call.call_id in left], of_turn=len(calls))

    def _first_calls(self, turn: int) -> Sequence[RequestedCall]:
        """The calls that end the model's turn; none where the client has left, or was quiet for a while or too long."""
        began, quiet_before = time.monotonic(), 0.0
        if self._was_parked_for is not None:
            quiet_before = self._was_parked_for.total_seconds() + PARK_AFTER_SECONDS
        while not (calls := self._take(turn, 0)):
            quiet_here = time.monotonic() - began
            self._is_over = self._has_left or quiet_before + quiet_here >= self.quiet_seconds
            if self._is_over or quiet_here >= PARK_AFTER_SECONDS:
                return []
            self._wait(min(PARK_AFTER_SECONDS - quiet_here, self.quiet_seconds - quiet_before - quiet_here))
        return calls

    def _answer(self, turn: int, first: Sequence[RequestedCall], of_turn: int | None = None) -> None:
        """All calls of a turn, those included that come meanwhile. of_turn: how many it has, where `first` are not all."""
        calls, waiting, answered = list(first), deque(first), Answered()
        count = len(calls) if of_turn is None else of_turn
        running: dict[Future[None], RequestedCall] = {}
        while waiting or running:
            self._start(turn, waiting, running, answered)
            self._wait(LOOK_AGAIN_SECONDS)
            for done in [future for future in running if future.done()]:
                running.pop(done)
                done.result()  # raises what kept it from being answered
            if len(answered) < len(calls):  # whoever has heard all begins another turn
                late = self._take(turn, count)
                calls += late
                waiting += late
                count += len(late)
        self.host.forecast.turn_answered(turn, calls, answered)

    def _start(
        self, turn: int, waiting: deque[RequestedCall], running: dict[Future[None], RequestedCall], answered: Answered
    ) -> None:
        """Those that may start now, in their order: a change waits for all before it, and all behind it wait for it."""
        while waiting and self._may_start(waiting[0], running.values()):
            call = waiting.popleft()
            future = self._beside.submit(self._answer_one, turn, call, answered)
            running[future] = call
            future.add_done_callback(lambda _: self._bell.set())

    def _may_start(self, call: RequestedCall, running: Collection[RequestedCall]) -> bool:
        return not running or not any(map(self.host.may_change, (call, *running)))

    def _answer_one(self, turn: int, call: RequestedCall, answered: Answered) -> None:
        """In a thread beside. The log has the answer before the client has, and so have we: its next call may come at once."""
        try:
            message = self.host.answer_call(turn, call)
            answered[call.call_id] = message
            self.inbox.tell(call.call_id, message)
        finally:
            connection.close()

    def _take(self, turn: int, first_index: int) -> Sequence[RequestedCall]:
        """What has come in, if anything has. Raises Cancelled where the session is to end."""
        taken = self.inbox.take(turn, first_index, self._said)
        connection.close()  # back to the pool: what follows is a wait
        self._has_left = taken.has_left
        if taken.is_cancelled:
            self.host.is_cancelled = True
            raise Cancelled("cancelled")
        for self._said in taken.said:
            self.host.forecast.user_said(self._said)
        if taken.calls and first_index == 0:
            self.host.forecast.model_said(turn, "")
        return taken.calls

    def _wait(self, seconds: float) -> None:
        assert_outside_transaction()
        self._bell.wait(max(0.0, min(seconds, LOOK_AGAIN_SECONDS)))
        self._bell.clear()
