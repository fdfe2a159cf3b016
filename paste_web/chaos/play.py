"""A run of chaos: learn in peace, do everything once in series, then all sessions at once in the storm, then judge."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice

from django.conf import settings
from django.db.models import Q

from paste_web import starting
from paste_web.chaos import roll_call, serial, verdict, witness
from paste_web.chaos.crew import Crew, crew, workers
from paste_web.chaos.faults import Fault, plan
from paste_web.chaos.ground import Ground, own_ground, ride_out
from paste_web.chaos.serial import Truth
from paste_web.chaos.striking import Storm
from paste_web.demonstration import stage
from paste_web.progress import Ticker, step
from speculation.agent.demo import AGENTS
from speculation.models import AgentProfile, Breaker, JobStatus, Origin, Session, SessionStatus, ToolJob, WorkerPool
from speculation.recovery import TELL_AGAIN_AFTER
from speculation.sessions import LEASE_SECONDS
from speculation.submission import submit_task
from speculation.toolbox import POOL

AGENTS_WORKERS, TOOLS_WORKERS = 2, 2
SESSIONS_EACH, SLOTS_EACH = 12, 4
SERIAL_AT_ONCE = 2
LEARNING_TASKS = 2
MOST_AT_ONCE = 60
"""Sessions that wait or run: more are submitted as they end."""
LEAST_KILLED, SHARE_HELD_BACK = 10, 10
"""The last tenth of the sessions waits until something was killed so often: on a slow machine, where faults keep further apart,
a few sessions would else be through before it was a storm."""
MEAN_PAUSE_SECONDS = 2.0
"""Where the workers start within five times as long; on a slower machine, a fifth of that start."""
QUIET_SECONDS = 60.0
"""Of the limit, the last part is without faults, so that what is late is told from what is lost."""
SETTLE_SECONDS = 2 * LEASE_SECONDS + 2 * TELL_AGAIN_AFTER.total_seconds()
LOOK_SECONDS = 0.25
PEACE_SECONDS = 120.0

PACE = {"PASTE_SCRIPTED_TOKENS_PER_SECOND": "1000", "PASTE_NETWORK_LATENCY_SECONDS": "0.2"}

Tasks = Sequence[tuple[AgentProfile, str]]
Truths = Mapping[tuple[str, str], Truth]


def limit_seconds(sessions: int) -> float:
    """The storm is over after so long, whatever has not ended by then is lost."""
    return 240.0 + 6.0 * sessions


@dataclass
class Played:
    """What a run leaves to be told. `tally`: how often each fault struck."""

    verdict: verdict.Verdict
    tally: Mapping[Fault, int]
    killed: int
    seconds: float
    storm_seconds: float


class ChaosFailed(Exception):
    """The run could not begin; the message says why."""


def play(sessions: int, seed: int) -> Played:
    """The whole run. Raises ChaosFailed, ServerError."""
    began = time.monotonic()
    os.environ.update(PACE)
    with own_ground() as ground, crew(settings.BASE_DIR, ground.log_folder) as hands:
        library = _stage(hands)
        agents = stage.load_agents(leaves_one_to_approve=False)
        hands.add(*workers(AGENTS_WORKERS, TOOLS_WORKERS, SESSIONS_EACH, SLOTS_EACH))
        tasks = list(islice(cycle(_mixed(agents)), sessions))
        with step("Workers"):
            start_seconds = _call_roll(hands)
        with step("Learning, and serial execution of every task"):
            truths = _in_peace(agents, tasks, ground, library)
        pause_seconds = max(MEAN_PAUSE_SECONDS, start_seconds / 5)
        storm = Storm(ground, hands, plan(seed, pause_seconds), grace_seconds=start_seconds)
        storm_began = time.monotonic()
        unsubmitted = _storm(tasks, storm, limit_seconds(sessions))
        storm_seconds = time.monotonic() - storm_began
        with step("Judging"):
            found = ride_out(lambda: verdict.judge(_all_lived(ground), truths))
        found.lose(unsubmitted)
        return Played(found, dict(storm.done), storm.killed, time.monotonic() - began, storm_seconds)


def _stage(hands: Crew) -> str:
    """Tables, slots, no breakers, and the agents' library, which alone is spared. Returns the library's host and port."""
    starting.prepare_tables()
    WorkerPool.objects.filter(name=POOL).update(slots=TOOLS_WORKERS * SLOTS_EACH, reserved=2)
    Breaker.objects.update(
        enabled=False
    )  # they would end speculation where so much dies, and with it what is to be shown
    port = starting.free_port()
    stage.set_variables(port)
    hands.add(stage.library(port), is_spared=True)
    return f"127.0.0.1:{port}"


def _in_peace(agents: Sequence[AgentProfile], tasks: Tasks, ground: Ground, library: str) -> Truths:
    """The truth of each task, while the agents learn. From then on the witness watches."""
    with ThreadPoolExecutor(SERIAL_AT_ONCE) as beside:
        found = {
            (agent.name, task): beside.submit(_live, agent, task, number, ground, library)
            for number, (agent, task) in enumerate(dict.fromkeys(tasks))
        }
        _learn(agents)
        truths = {key: truth.result() for key, truth in found.items()}
    with ground.database() as connection:
        witness.watch(connection)
    return truths


def _live(agent: AgentProfile, task: str, number: int, ground: Ground, library: str) -> Truth:
    folder = ground.home / "truth" / str(number)
    return serial.live(
        AGENTS[agent.script], task, folder, ground.postgres.url, f"http://{library}", frozenset({library})
    )


def _learn(agents: Sequence[AgentProfile]) -> None:
    for agent in agents:
        for task in AGENTS[agent.script].tasks[:LEARNING_TASKS]:
            submit_task(agent, task, speculation="off", origin=Origin.LEARNING)
    learning = Session.objects.filter(origin=Origin.LEARNING)
    _wait(
        lambda: not learning.filter(Q(ended_at=None) | Q(mined_at=None)).exists(), "what the agents are to learn from"
    )
    if failed := learning.exclude(status=SessionStatus.SUCCEEDED).first():
        raise ChaosFailed(f"A session failed before anything was broken: {failed.error}")


def _call_roll(hands: Crew) -> float:
    """How long a worker's start takes. Raises ChaosFailed."""
    try:
        return roll_call.wait_for_all(hands)
    except roll_call.NoAnswer as problem:
        raise ChaosFailed(f"In peace already, the workers did not start. {problem}") from problem


def _wait(is_done: Callable[[], bool], what: str) -> None:
    """Raises ChaosFailed."""
    began = time.monotonic()
    while not is_done():
        if time.monotonic() - began > PEACE_SECONDS:
            raise ChaosFailed(f"In peace already, {what} did not end within {PEACE_SECONDS:g} s.")
        time.sleep(LOOK_SECONDS)


def _mixed(agents: Sequence[AgentProfile]) -> Tasks:
    """The tasks of all agents in turn."""
    tasks = {agent: list(AGENTS[agent.script].tasks) for agent in agents}
    longest = max(map(len, tasks.values()))
    return [
        (agent, tasks[agent][number]) for number in range(longest) for agent in agents if number < len(tasks[agent])
    ]


def _storm(tasks: Tasks, storm: Storm, limit: float) -> int:
    """Submit, break, look after, until every session has ended or the limit is reached; then wait for the last to settle.

    Returns how many could not even be submitted within the limit.
    """
    began = time.monotonic()
    waiting = deque(tasks)
    with Ticker() as ticker:
        while (waiting or ride_out(_open_sessions)) and time.monotonic() - began < limit:
            is_storm = storm.killed >= LEAST_KILLED or time.monotonic() - began > limit / 2
            _submit(waiting, leave=0 if is_storm else len(tasks) // SHARE_HELD_BACK)
            if time.monotonic() - began < limit - QUIET_SECONDS:
                storm.strike_if_due(time.monotonic())
            storm.look_after()
            ended = len(tasks) - len(waiting) - ride_out(_open_sessions)
            ticker.tick(f"{ended} of {len(tasks)} sessions ended, {storm.killed} times something was killed")
            time.sleep(LOOK_SECONDS)
    storm.calm()
    with step("Waiting for the last leases", says_done=False):
        _settle(storm)
    return len(waiting)


def _submit(waiting: deque[tuple[AgentProfile, str]], leave: int) -> None:
    for _ in range(MOST_AT_ONCE - ride_out(_open_sessions)):
        if len(waiting) <= leave:
            return
        agent, task = waiting[0]
        ride_out(partial(submit_task, agent, task, speculation="on", origin=Origin.DEMO))
        waiting.popleft()


def _settle(storm: Storm) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while ride_out(_is_anything_open) and time.monotonic() < deadline:
        storm.look_after()
        time.sleep(LOOK_SECONDS)


def _open_sessions() -> int:
    return Session.objects.filter(origin=Origin.DEMO, ended_at=None).count()


def _is_anything_open() -> bool:
    not_over = Q(status__in=[JobStatus.QUEUED, JobStatus.RUNNING]) | Q(status=JobStatus.PREEMPTED, ended_at=None)
    return ToolJob.objects.filter(not_over).exists()


def _all_lived(ground: Ground) -> Iterator[verdict.Lived]:
    with ground.database() as connection:
        writes = witness.writes(connection)
        for session in Session.objects.filter(origin=Origin.DEMO).select_related("agent").order_by("created_at"):
            yield verdict.read(session, writes, connection)
