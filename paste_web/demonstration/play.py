"""What the demonstration plays: learning sessions, then pairs of sessions on tasks that nothing was learned from.

All sessions of one round carry its number as a label. A round ends when an agent has no fresh task left; the next one
forgets what the demo agents learned, so that no pattern ever comes from a task it is then tested on.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import IntegerField, Max, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from paste_web.processes import Processes
from speculation import submission
from speculation.agent.demo import AGENTS
from speculation.figures import Figures
from speculation.models import AgentProfile, EventRecord, Origin, PatternRecord, Session, SessionStatus
from speculation.queries import told
from tools import catalog
from tools.base import without_volatile

LEARNING_SESSIONS = 2
ROUND = "demo_round"
LONGEST_SESSION_SECONDS = 300.0
LONGEST_MINING_SECONDS = 60.0


class DemoFailed(Exception):
    """A session failed or did not end; the message says which and where to look."""


@dataclass(frozen=True)
class Ended:
    """One session that ended, and its figures from its log."""

    session: Session
    figures: Figures


@dataclass(frozen=True)
class Pair:
    """The same task twice, each on its own copy of the world."""

    agent: AgentProfile
    off: Ended
    on: Ended

    @property
    def results_equal(self) -> bool:
        """True if both arms' agents were given the same results, volatile fields aside."""
        return results(self.off.session) == results(self.on.session)


def results(session: Session) -> list[tuple[object, ...]]:
    """What the agent was given, call by call, without what each tool declares volatile."""
    returned = EventRecord.objects.filter(session=session, kind="call_returned")
    payloads = sorted((event.payload for event in returned), key=lambda payload: payload["call_id"])
    return [(payload["call_id"], payload["tool"], payload["ok"], _stable(payload)) for payload in payloads]


def _stable(payload: dict[str, object]) -> object:
    structured, tool = payload["structured"], catalog.BUILTIN[str(payload["tool"])]
    return payload["content"] if structured is None else without_volatile(structured, tool.volatile)


class Round:
    """One round of the demo: knows which tasks are still fresh."""

    def __init__(self, agents: Sequence[AgentProfile], processes: Processes) -> None:
        self.agents = agents
        self._processes = processes
        newest = _sessions().aggregate(newest=Max(Cast(KT(f"labels__{ROUND}"), IntegerField())))["newest"]
        self.number: int = newest or 1

    def cancel_leftovers(self) -> None:
        """End what an earlier run was stopped in: its library is gone."""
        for session in _sessions().filter(ended_at=None):
            submission.cancel_session(session)

    def fresh_tasks(self, agent: AgentProfile) -> list[str]:
        used = set(self._own().filter(agent=agent).values_list("task", flat=True))
        return [task for task in AGENTS[agent.script].tasks if task not in used]

    def make_room(self, pairs_an_agent: int) -> bool:
        """Begin a new round if some agent is short of fresh tasks. True: what was learned was forgotten."""
        needed = {agent: pairs_an_agent + self._learning_needed(agent) for agent in self.agents}
        if all(len(self.fresh_tasks(agent)) >= count for agent, count in needed.items()):
            return False
        self.number += 1
        PatternRecord.objects.filter(agent__in=self.agents).delete()
        return True

    def learn(self, on_progress: Callable[[int, int, int], None]) -> tuple[int, int]:
        """Learning sessions without speculation, all at once. Returns how many, and how many patterns there are."""
        sessions = [
            self._submit(agent, task, "off", Origin.LEARNING)
            for agent in self.agents
            for task in self.fresh_tasks(agent)[: self._learning_needed(agent)]
        ]

        def report() -> None:
            on_progress(sum(_has_ended(session) for session in sessions), len(sessions), self.patterns())

        for session in sessions:
            self._wait_for_end(session, report)
        self._wait(lambda: not self._own().filter(mined_at=None, origin=Origin.LEARNING).exists(), LONGEST_MINING_SECONDS, report)
        return len(sessions), self.patterns()

    def patterns(self) -> int:
        return PatternRecord.objects.filter(agent__in=self.agents).count()

    def play(
        self, agent: AgentProfile, arms: Sequence[str], on_start: Callable[[str], None], on_end: Callable[[Ended], None]
    ) -> Pair:
        """The next fresh task in both arms ("on", "off"), one after the other."""
        task = self.fresh_tasks(agent)[0]
        ended: dict[str, Ended] = {}
        first: Session | None = None
        for arm in arms:
            on_start(arm)
            session = self._submit(agent, task, arm, Origin.DEMO, first)
            first = first or session
            ended[arm] = self._wait_for_end(session)
            on_end(ended[arm])
        return Pair(agent, ended["off"], ended["on"])

    def _own(self) -> QuerySet[Session]:
        return _sessions().filter(**{f"labels__{ROUND}": str(self.number)})

    def _learning_needed(self, agent: AgentProfile) -> int:
        done = self._own().filter(agent=agent, origin=Origin.LEARNING, status=SessionStatus.SUCCEEDED).count()
        return max(0, LEARNING_SESSIONS - done)

    def _submit(self, agent: AgentProfile, task: str, arm: str, origin: Origin, pair: Session | None = None) -> Session:
        labels = {ROUND: str(self.number)}
        return submission.submit_task(agent, task, speculation=arm, origin=origin, pair=pair, labels=labels)

    def _wait_for_end(self, session: Session, while_waiting: Callable[[], None] = lambda: None) -> Ended:
        """Raises DemoFailed if it does not succeed."""
        self._wait(lambda: _has_ended(session), LONGEST_SESSION_SECONDS, while_waiting)
        session.refresh_from_db()
        if session.status != SessionStatus.SUCCEEDED:
            raise DemoFailed(f"Session {session.pk} of {session.agent.name} {session.status}: {session.error}")
        return Ended(session, told(session).figures)

    def _wait(self, is_done: Callable[[], bool], timeout_seconds: float, while_waiting: Callable[[], None]) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not is_done():
            self._processes.check()
            if time.monotonic() > deadline:
                raise DemoFailed(f"The demo waited {timeout_seconds:.0f} s in vain; its logs say why.")
            while_waiting()
            connection.close()  # back to the pool while we sleep
            time.sleep(0.1)


def _sessions() -> QuerySet[Session]:
    return Session.objects.filter(origin__in=[Origin.DEMO, Origin.LEARNING])


def _has_ended(session: Session) -> bool:
    return Session.objects.filter(pk=session.pk, ended_at__isnull=False).exists()
