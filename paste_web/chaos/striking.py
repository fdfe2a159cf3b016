"""Does each fault to the workers and servers of a run, and puts right later what must not stay broken."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

import redis
from kombu.exceptions import OperationalError as BrokerError

from paste_web import celery_app
from paste_web.chaos.crew import Crew, Member
from paste_web.chaos.faults import Fault, Strike
from paste_web.chaos.ground import Ground, ride_out
from speculation.jobs import LEASE_SECONDS
from speculation.models import Session, ToolJob
from speculation.worker import run_job

LEAST_HANG_SECONDS, MOST_HANG_SECONDS = LEASE_SECONDS + 2.0, LEASE_SECONDS + 10.0
"""Past the lease; the longer ones also past the time that the server gives a transaction in which nothing happens."""
LONGEST_BROKER_ABSENCE_SECONDS = 3.0
OLD_MESSAGES = 20
"""As many jobs and sessions as are told again at once."""
MOST_COPIES = 200
"""Of the messages of one queue, which else might double again and again faster than anybody takes them."""


@dataclass
class Storm:
    """Counts what it did, by fault: each process, connection and message for itself."""

    ground: Ground
    hands: Crew
    plan: Iterator[Strike]
    grace_seconds: float
    """A worker that started less than this ago is left alone: one that is only ever starting proves nothing."""
    done: Counter[Fault] = field(default_factory=Counter)
    _hung: list[tuple[float, Member]] = field(default_factory=list)
    _coming: tuple[float, Strike] | None = None
    """When the next fault is due, and which it is."""

    def strike_if_due(self, now: float) -> None:
        """A pause begins when the fault before it is done."""
        if self._coming is not None and now < self._coming[0]:
            return
        if self._coming is not None:
            self.strike(self._coming[1])
        strike = next(self.plan)
        self._coming = (time.monotonic() + strike.pause_seconds, strike)

    def strike(self, strike: Strike) -> None:
        faults: dict[Fault, Callable[[Random], int]] = {
            Fault.KILL_WORKER: self._kill_worker,
            Fault.ORPHAN_CHILDREN: self._orphan_children,
            Fault.KILL_CHILD: self._kill_child,
            Fault.HANG_WORKER: self._hang_worker,
            Fault.CUT_DATABASE: self._cut_database,
            Fault.CUT_BROKER: self._cut_broker,
            Fault.RESTART_BROKER: self._kill_broker,
            Fault.HANG_BROKER: self._hang_broker,
            Fault.RESTART_DATABASE: self._kill_database,
            Fault.DELIVER_AGAIN: self._deliver_again,
        }
        self.done[strike.fault] += faults[strike.fault](strike.draw)

    def look_after(self) -> None:
        """Let go on what has hung for long enough, and start what is gone."""
        due = [member for until, member in self._hung if until <= time.monotonic()]
        self._hung = [(until, member) for until, member in self._hung if until > time.monotonic()]
        for member in due:
            member.signal_all(signal.SIGCONT)
        self.hands.restart_the_gone()

    def calm(self) -> None:
        """Nothing is broken any more."""
        self._hung = [(0.0, member) for _, member in self._hung]
        self.look_after()

    @property
    def killed(self) -> int:
        """Processes and connections; messages and pauses are none."""
        alive = (Fault.HANG_WORKER, Fault.HANG_BROKER, Fault.DELIVER_AGAIN)
        return sum(count for fault, count in self.done.items() if fault not in alive)

    # Processes

    def _kill_worker(self, draw: Random) -> int:
        member = self._victim(draw)
        if member is None:
            return 0
        member.signal_all(signal.SIGKILL)
        return 1

    def _orphan_children(self, draw: Random) -> int:
        """The worker alone dies; what its children are doing they finish."""
        member = self._victim(draw, runs_tools=True)
        if member is None:
            return 0
        member.signal_alone(signal.SIGKILL)
        return 1

    def _kill_child(self, draw: Random) -> int:
        member = self._victim(draw, runs_tools=True)
        children = member.children() if member else []
        return int(bool(children) and member is not None and member.kill_child(draw.choice(children)))

    def _hang_worker(self, draw: Random) -> int:
        """One at a time, so that somebody is left to notice."""
        member = self._victim(draw)
        if self._hung or member is None:
            return 0
        member.signal_all(signal.SIGSTOP)
        self._hung.append((time.monotonic() + draw.uniform(LEAST_HANG_SECONDS, MOST_HANG_SECONDS), member))
        return 1

    def _victim(self, draw: Random, runs_tools: bool = False) -> Member | None:
        oldest_to_spare = time.monotonic() - self.grace_seconds
        members = [one for one in self.hands.victims if one.runs_tools or not runs_tools]
        grown = [one for one in members if one.started_at <= oldest_to_spare and not one.is_gone]
        return draw.choice(grown) if grown else None

    # Connections and servers

    def _cut_database(self, draw: Random) -> int:
        others = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"

        def cut() -> int:
            with self.ground.database() as connection:
                pids = sorted(pid for (pid,) in connection.execute(others))
                chosen = draw.sample(pids, min(len(pids), draw.randint(1, 6)))
                connection.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [chosen])
                return len(chosen)

        return ride_out(cut)

    def _cut_broker(self, draw: Random) -> int:
        try:
            with self.ground.broker() as broker:
                own = broker.client_id()
                clients = sorted(int(each["id"]) for each in broker.client_list() if int(each["id"]) != own)
                chosen = draw.sample(clients, min(len(clients), draw.randint(1, 6)))
                return sum(int(broker.execute_command("CLIENT", "KILL", "ID", client)) for client in chosen)
        except redis.RedisError:
            return 0

    def _kill_broker(self, draw: Random) -> int:
        self.ground.kill_broker(draw.uniform(0, LONGEST_BROKER_ABSENCE_SECONDS))
        return 1

    def _hang_broker(self, draw: Random) -> int:
        self.ground.hang_broker(draw.uniform(0.5, LONGEST_BROKER_ABSENCE_SECONDS))
        return 1

    def _kill_database(self, draw: Random) -> int:
        self.ground.kill_database()
        return 1

    # Messages

    def _deliver_again(self, draw: Random) -> int:
        """The messages that wait, byte for byte, and such as were sent before: of this attempt and of the one before."""
        try:
            return self._repeat_queued() + ride_out(lambda: self._repeat_sent(draw))
        except (redis.RedisError, BrokerError, OSError):
            return 0

    def _repeat_queued(self) -> int:
        count = 0
        with self.ground.broker() as broker:
            for queue in _queues(broker.scan_iter(match="*", _type="list")):
                waiting: list[Any] = list(broker.lrange(queue, 0, MOST_COPIES - 1))
                if waiting:
                    broker.lpush(queue, *waiting)
                    count += len(waiting)
        return count

    def _repeat_sent(self, draw: Random) -> int:
        jobs = list(ToolJob.objects.order_by("-created_at").values_list("pk", "attempt")[: 10 * OLD_MESSAGES])
        sessions = list(Session.objects.order_by("-created_at").values_list("pk", flat=True)[: 10 * OLD_MESSAGES])
        for job, attempt in draw.sample(jobs, min(len(jobs), OLD_MESSAGES)):
            send_job(job, attempt)
            send_job(job, max(0, attempt - 1))
        chosen = draw.sample(sessions, min(len(sessions), OLD_MESSAGES))
        for session in chosen:
            celery_app.send_task("speculation.run_session", args=[str(session)], queue="agents", retry=False)
        return 2 * min(len(jobs), OLD_MESSAGES) + len(chosen)


def send_job(job: UUID, attempt: int) -> None:
    run_job.apply_async(args=[str(job), attempt], queue="tools", retry=False)


def _queues(names: Iterable[Any]) -> list[bytes]:
    """The lists that are queues of tasks, at any priority; Celery's own are kept out."""
    return sorted(name for name in names if name.startswith((b"agents", b"tools", b"guesses")))
