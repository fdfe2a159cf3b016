"""Two functions at the same instant on one row, thousands of times: persistent threads, rows made in bulk."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Count, F, Max
from uuid6 import uuid7

from speculation import events
from speculation.models import AgentProfile, Session, ToolJob, ToolRecord
from tools.base import ToolCall, ToolPolicy, ToolResult

HOUR = timedelta(hours=1)
RESULT = ToolResult(True, "text")
STAGGER_SECONDS = 0.001
"""At most so much later one begins: the contenders' ways to the row differ in length, and each is to come first at times."""
WRITE = {"status": "queued", "call_id": "0.0", "fingerprint": "w" * 64, "effect": "write"}


class Subject(NamedTuple):
    """What one pair fights over: a session of its own, a tool, and perhaps a job."""

    number: int
    session_id: UUID
    tool: ToolRecord
    job_id: UUID | None

    def move(self, verb: Callable[..., bool], *arguments: Any, **options: Any) -> bool:
        """The verb on the pair's job, in a transaction of its own."""
        with events.writing(self.session_id) as log:
            return verb(log, ToolJob.objects.select_related("tool").get(pk=self.job_id), *arguments, **options)


Contender = Callable[[Subject], Any]


class Outcome(NamedTuple):
    """What the two said, and what is left: the jobs of the pair's session, and the session."""

    one: Any
    other: Any
    jobs: Sequence[ToolJob]
    session: Session

    @property
    def job(self) -> ToolJob:
        (job,) = self.jobs
        return job

    @property
    def winners(self) -> int:
        return sum(map(bool, (self.one, self.other)))


def one_winner(outcome: Outcome) -> bool:
    return outcome.winners == 1


@dataclass(frozen=True)
class Pair:
    """Two contenders, what they start from, and what may come of it."""

    name: str
    one: Contender
    other: Contender
    job: Mapping[str, Any] | None = None
    session: Mapping[str, Any] = field(default_factory=dict)
    is_legal: Callable[[Outcome], bool] = one_winner
    prepare: Callable[[Subject], object] = bool
    own_tool: bool = False
    has_write: bool = False
    share: float = 1.0


def guess(status: str, **fields: Any) -> dict[str, Any]:
    """A speculation in this state, in time, under a live lease, not expired."""
    later = datetime.now(UTC) + HOUR
    if status == "queued":
        return {"status": status, "start_before": later, **fields}
    now = datetime.now(UTC)
    started = {"status": status, "attempt": 1, "started_at": now, "lease_until": later, "expires_at": later}
    ended = {"ended_at": now, "result": RESULT.to_json()} if status == "succeeded" else {}
    return {**started, **ended, **fields}


def race(pair: Pair, rounds: int, agent: AgentProfile, tool: ToolRecord) -> list[Outcome]:
    """Every round's outcome. The two threads have the contenders in turn."""
    subjects = make_subjects(pair, rounds, agent, tool)
    barrier = threading.Barrier(2)

    def contend(side: int) -> list[Any]:
        answers: list[Any] = []
        dice = Random(side)
        try:
            for subject in subjects:
                contender = (pair.one, pair.other)[(side + subject.number) % 2]
                if side == 0:
                    pair.prepare(subject)
                barrier.wait(60)
                time.sleep(dice.random() * STAGGER_SECONDS)
                answers.append(contender(subject))
                barrier.wait(60)  # what is prepared for the next round is nobody's business in this one
        except BaseException:
            barrier.abort()
            raise
        finally:
            connection.close()
        return answers

    with ThreadPoolExecutor(2) as threads:
        sides = [future.result() for future in [threads.submit(contend, side) for side in (0, 1)]]
    return _outcomes(subjects, sides)


def _outcomes(subjects: Sequence[Subject], sides: Sequence[Sequence[Any]]) -> list[Outcome]:
    sessions = Session.objects.prefetch_related("jobs").in_bulk([subject.session_id for subject in subjects])
    outcomes = []
    for subject in subjects:
        answers = [side[subject.number] for side in sides]
        one, other = answers if subject.number % 2 == 0 else reversed(answers)
        session = sessions[subject.session_id]
        outcomes.append(Outcome(one, other, list(session.jobs.all()), session))
    return outcomes


def sessions_with_gaps() -> int:
    """Sessions whose log is not numbered from 1 to their last_seq."""
    told = Session.objects.annotate(lines=Count("events"), highest=Max("events__seq"))
    return told.exclude(lines=F("last_seq")).count() + told.exclude(highest=None).exclude(highest=F("lines")).count()


def make_subjects(pair: Pair, rounds: int, agent: AgentProfile, tool: ToolRecord) -> list[Subject]:
    tools = _own_tools(rounds) if pair.own_tool else [tool] * rounds
    running = {"status": "running", "attempt": 1, "started_at": datetime.now(UTC)}
    made = Session.objects.bulk_create(
        Session(agent=agent, task="find it", **{**running, **pair.session}) for _ in range(rounds)
    )
    if pair.job is None:
        return [Subject(n, made[n].pk, tools[n], None) for n in range(rounds)]
    if pair.has_write:
        ToolJob.objects.bulk_create(_job(one, tool, WRITE) for one in made)
    jobs = ToolJob.objects.bulk_create(_job(made[n], tools[n], pair.job) for n in range(rounds))
    return [Subject(n, made[n].pk, tools[n], jobs[n].pk) for n in range(rounds)]


def _own_tools(rounds: int) -> list[ToolRecord]:
    return ToolRecord.objects.bulk_create(
        ToolRecord(name=f"read {uuid7()}", definition_hash="a" * 64, effect="none") for _ in range(rounds)
    )


def _job(session: Session, tool: ToolRecord, fields: Mapping[str, Any]) -> ToolJob:
    fingerprint = ToolCall(tool.name, {"path": "a.txt"}).fingerprint(ToolPolicy())
    made = {"fingerprint": fingerprint, "effect": "none", "epoch": 0, "policy_version": tool.policy_version}
    return ToolJob(session=session, tool=tool, pool_id="tools", arguments={"path": "a.txt"}, **{**made, **fields})
