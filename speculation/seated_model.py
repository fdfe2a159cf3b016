"""A model whose requests wait for their seat, where its endpoint has a limit; what they take is learned from them."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import DatabaseError, connection
from django.db.models import Avg, F
from django.db.models.functions import Extract

from speculation import events, seats
from speculation.agent.types import FirstToken, Message, Model, ModelStream, ToolSpec
from speculation.engine.co_scheduling import Pace
from speculation.models import JobStatus, Session, ToolJob
from speculation.notices import LOOK_AGAIN_SECONDS, assert_outside_transaction, listener

logger = logging.getLogger(__name__)

RECENT_CALLS = 100
USUAL_TOOL_SECONDS = 1.0
"""Of an agent that has called nothing yet."""


class Paces:
    """The pace of each agent's endpoint, as this process has seen it."""

    def __init__(self) -> None:
        self._of: dict[int, Pace] = {}
        self._lock = threading.Lock()

    def expected_seconds(self, agent_id: int, characters: int) -> float:
        return self._of.get(agent_id, Pace()).expected_seconds(characters)

    def learn(self, agent_id: int, characters: int, prefill_seconds: float, decode_seconds: float) -> None:
        with self._lock:
            pace = self._of.get(agent_id, Pace())
            self._of[agent_id] = pace.after(characters, prefill_seconds, decode_seconds)


paces = Paces()


def seated(model: Model, session: Session, check: Callable[[], None]) -> Model:
    """The model itself where its endpoint has no limit now. `check` raises SessionStopped where the session is to end."""
    endpoint = seats.endpoint_of(session)
    if not seats.most_requests(endpoint):
        return model
    return SeatedModel(model, session, endpoint, check, usual_tool_seconds(session.agent_id))


def usual_tool_seconds(agent_id: int) -> float:
    """Mean of the agent's latest calls, in seconds from start to end."""
    calls = ToolJob.objects.filter(
        session__agent=agent_id, call_id__isnull=False, status=JobStatus.SUCCEEDED, started_at__isnull=False
    )
    took = Extract(F("ended_at") - F("started_at"), "epoch")
    latest = calls.order_by("-created_at").annotate(took=took)[:RECENT_CALLS]
    mean = latest.aggregate(mean=Avg("took"))["mean"]
    return USUAL_TOOL_SECONDS if mean is None else float(mean)


@dataclass
class SeatedModel:
    """Waits before each request, without a database connection; the session may speculate meanwhile."""

    inner: Model
    session: Session
    endpoint: str
    check: Callable[[], None]
    usual_tool_seconds: float
    name: str = field(init=False)
    is_scripted: bool = field(init=False)

    def __post_init__(self) -> None:
        self.name, self.is_scripted = self.inner.name, self.inner.is_scripted

    def stream(self, turn: int, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> ModelStream:
        characters = sum(len(message.content) for message in messages)
        with self._seat(turn, characters):
            sent = time.monotonic()
            first = sent
            for event in self.inner.stream(turn, messages, tools):
                if isinstance(event, FirstToken):
                    first = time.monotonic()
                yield event
            paces.learn(self.session.agent_id, characters, first - sent, time.monotonic() - first)

    @contextmanager
    def _seat(self, turn: int, characters: int) -> Iterator[None]:
        assert_outside_transaction()
        try:
            if not self._ask(characters):
                self._tell("turn_queued", turn=turn)
                self._wait(characters)
                self._tell("turn_seated", turn=turn)
            connection.close()
            yield
        finally:
            self._leave()

    def _ask(self, characters: int) -> bool:
        expected = paces.expected_seconds(self.session.agent_id, characters)
        return seats.ask(
            self.session, self.endpoint, usual_tool_seconds=self.usual_tool_seconds, model_seconds=expected
        )

    def _wait(self, characters: int) -> None:
        with listener().waiting_for(seats.bell_key(self.session.pk), self.session.pk) as bell:
            while True:
                is_seated = seats.look(self.session, self.endpoint)
                if is_seated or (is_seated is None and self._ask(characters)):
                    return
                self.check()
                connection.close()
                bell.wait(LOOK_AGAIN_SECONDS)
                bell.clear()

    def _tell(self, kind: str, turn: int) -> None:
        events.append(self.session.pk, kind, as_attempt=self.session.attempt, turn=turn)

    def _leave(self) -> None:
        try:
            seats.leave(self.session, self.endpoint)
        except DatabaseError as problem:  # its next request, or its lease, frees the seat
            logger.warning("could not leave the seat of %s: %s", self.session.short_id, type(problem).__name__)
        finally:
            connection.close()
