"""The section `throughput`: sessions and calls a minute at growing numbers of concurrent sessions, and what uses the processors.

A closed loop: as soon as a session ends the next one is submitted. The agent is made up, its times are known, so that
the pace it would have with costs of nothing is known too. The first part of each arm's time is not counted.
"""

import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import connection

from paste_web.benchmarks import made_up, processor_time, stage
from paste_web.benchmarks.choices import LiveChoices
from paste_web.benchmarks.made_up import Shape
from paste_web.benchmarks.quantities import quantile
from paste_web.benchmarks.waiting import LOOK_EVERY_SECONDS, task_seconds, unended, wait_until
from paste_web.processes import Processes
from speculation.models import AgentProfile, Arm, EventRecord, Session, SessionStatus, ToolJob

SHAPE = Shape(model_seconds=0.8, tool_seconds=0.2)
SLOTS, RESERVED = 24, 8
ARMS = (Arm.OFF, Arm.ON)
LONGEST_DRAIN_SECONDS = 300.0


class Crowd:
    """So many sessions of one arm at once."""

    def __init__(self, agent: AgentProfile, shape: Shape, root: Path, size: int, arm: Arm, rng: random.Random) -> None:
        self.shape, self.size, self.arm = shape, size, arm
        self._agent, self._root, self._rng = agent, root, rng
        self._running: set[UUID] = set()
        self.keys: list[UUID] = []

    def refill(self) -> None:
        self._running = unended(self._running)
        while len(self._running) < self.size:
            session = made_up.submit(
                self._agent, self.shape, self._root, random.Random(self._rng.getrandbits(64)), self.arm
            )
            self._running.add(session.pk)
            self.keys.append(session.pk)

    def keep_up(self, seconds: float, processes: Processes) -> None:
        """For so long, replace what ends."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            processes.check()
            self.refill()
            connection.close()
            time.sleep(LOOK_EVERY_SECONDS)

    def drain(self, processes: Processes) -> None:
        wait_until(lambda: not unended(self._running), processes, LONGEST_DRAIN_SECONDS, "the last sessions")


def throughput_document(choices: LiveChoices, tell: Callable[[str], object]) -> dict[str, Any]:
    rows, shape = [], replace(SHAPE, calls=choices.session_calls)
    threads = max(32, *choices.concurrent)
    with stage.ground() as processes:
        stage.size_pool(SLOTS, RESERVED)
        agent = made_up.make_agent("throughput", shape, foresees="next", seed=choices.seed)
        stage.start_tools(processes, SLOTS)
        stage.start_agents(processes, threads)
        root = stage.new_folder()
        for size in choices.concurrent:
            for arm in ARMS:
                tell(f"throughput: {size} concurrent sessions, speculation {arm}, {choices.seconds} s")
                crowd = Crowd(agent, shape, root, size, arm, random.Random(f"{choices.seed} {size}"))
                rows.append(live(crowd, choices.seconds, processes))
    return {
        "seconds": choices.seconds,
        "slots": SLOTS,
        "reserved": RESERVED,
        "agent_threads": threads,
        "cores": os.cpu_count(),
        "calls_a_session": shape.calls,
        "model_seconds": SHAPE.model_seconds,
        "tool_seconds": SHAPE.tool_seconds,
        "session_seconds": shape.session_seconds,
        "rows": rows,
    }


def live(crowd: Crowd, seconds: float, processes: Processes) -> dict[str, Any]:
    crowd.keep_up(min(seconds / 3, 2 * crowd.shape.session_seconds), processes)
    before, began_at = processor_time.by_class(), datetime.now(UTC)
    crowd.keep_up(seconds, processes)
    spent = processor_time.spent_between(before, processor_time.by_class())
    figures = counted(crowd.keys, began_at, datetime.now(UTC))
    crowd.drain(processes)
    return {"sessions": crowd.size, "arm": str(crowd.arm), **figures, **used(spent, figures["seconds"])}


def counted(keys: list[UUID], since: datetime, until: datetime) -> dict[str, Any]:
    """What ended and was answered in between. `task_seconds`: of the sessions that ended in between."""
    seconds = (until - since).total_seconds()
    ended = Session.objects.filter(pk__in=keys, ended_at__gte=since, ended_at__lt=until)
    good = [task_seconds(one) for one in ended.filter(status=SessionStatus.SUCCEEDED)]
    calls = EventRecord.objects.filter(session__in=keys, kind="call_returned", at__gte=since, at__lt=until).count()
    jobs = ToolJob.objects.filter(session__in=keys, created_at__gte=since, created_at__lt=until)
    return {
        "seconds": round(seconds, 2),
        "sessions_a_minute": round(60 * len(good) / seconds, 2),
        "calls_a_minute": round(60 * calls / seconds, 1),
        "p50_task_seconds": round(quantile(good, 0.5), 3) if good else None,
        "p95_task_seconds": round(quantile(good, 0.95), 3) if good else None,
        "not_succeeded": ended.count() - len(good),
        "guesses": jobs.filter(promoted_at__isnull=False).count() + jobs.filter(call_id=None).count(),
        "guesses_used": jobs.filter(promoted_at__isnull=False).count(),
    }


def used(spent: Mapping[str, float], seconds: float) -> dict[str, Any]:
    """`processors`: cores busy with us on average, by class and in all."""
    by_class = {name: round(one / seconds, 3) for name, one in spent.items()}
    return {
        "processor_seconds": dict(spent),
        "processors": by_class,
        "processors_in_all": round(sum(by_class.values()), 2),
    }


def saturation(rows: list[Mapping[str, Any]], cores: int) -> list[str]:
    """For each arm: the first level that gives less than nine tenths of what its sessions would at the first level's pace."""
    lines = []
    for arm in dict.fromkeys(row["arm"] for row in rows):
        own = [row for row in rows if row["arm"] == arm]
        first = own[0]
        pace = first["calls_a_minute"] / first["sessions"]
        full = next((row for row in own if row["calls_a_minute"] < 0.9 * pace * row["sessions"]), None)
        if full is None or pace == 0:
            lines.append(f"Speculation {arm}: not saturated.")
            continue
        busiest = max(full["processors"], key=lambda name: full["processors"][name], default="nothing")
        lines.append(
            f"Speculation {arm}: saturated at {full['sessions']} sessions, which give {full['calls_a_minute']:.0f} calls a minute of "
            f"the {pace * full['sessions']:.0f} that they would at the pace of {first['sessions']}. There "
            f"{full['processors_in_all']:.2f} of {cores} processors are busy with us, most of it the {busiest} "
            f"({full['processors'].get(busiest, 0):.2f})."
        )
    return lines
