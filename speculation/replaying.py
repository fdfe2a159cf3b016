"""Recorded sessions re-lived by the real loop, scheduler, broker and workers: once without speculation, once with.

`choose` splits runs by task, `prepare` mines the training runs into a fresh agent, `Replay` keeps a bounded number of
pairs going until all have ended. Each arm has a world of its own; the arms of a pair run one after the other, in
alternating order. What came of it is read from the event log alone (replay_figures.py).
"""

import json
import random
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speculation import learning
from speculation.models import AgentProfile, Arm, Origin, Session, SpeculationMode
from speculation.recorded_agents import approve_reads, give_tools, profile, tool_names
from speculation.recordings import make_recording, task_of
from speculation.submission import cancel_session, submit_task
from speculation.toolbox import Toolbox
from speculation.traces import BadLine, Effects, TraceSession, read_lines
from tools.recorded import RECORDING_FILE

TEST_SHARE = 0.25
"""Of the tasks in a file that is given for training and for testing, the part that is kept for testing."""


@dataclass(frozen=True)
class Choice:
    """What one source trains on and is tested on; no task is in both."""

    source: str
    train: Sequence[TraceSession]
    test: Sequence[TraceSession]


def choose(
    train: Sequence[Path], test: Sequence[Path], *, sessions: int, seed: int, on_bad: Callable[[BadLine], object]
) -> list[Choice]:
    """At most `sessions` runs a source to test on, drawn by the seed. Raises OSError where a file cannot be read."""
    paths = list(dict.fromkeys(path.resolve() for path in [*train, *test]))
    runs = {path: list(_good(path, on_bad)) for path in paths}
    training, testing = {path.resolve() for path in train}, {path.resolve() for path in test}
    kept = _tasks_kept_for_testing([run for path in training & testing for run in runs[path]], seed)
    to_train = [run for path in paths if path in training for run in runs[path] if run.task_id not in kept]
    trained = {(run.source, run.task_id) for run in to_train}
    to_test = [
        run for path in paths if path in testing for run in runs[path] if (run.source, run.task_id) not in trained
    ]
    return [
        Choice(source, [run for run in to_train if run.source == source], _draw(source, to_test, sessions, seed))
        for source in sorted({run.source for run in to_test})
    ]


def _good(path: Path, on_bad: Callable[[BadLine], object]) -> Iterator[TraceSession]:
    for line in read_lines(path):
        if isinstance(line, BadLine):
            on_bad(line)
        elif any(event["type"] == "llm" for event in line.events):
            yield line


def _tasks_kept_for_testing(runs: Iterable[TraceSession], seed: int) -> set[str]:
    tasks = sorted({run.task_id for run in runs})
    random.Random(seed).shuffle(tasks)
    return set(tasks[: round(len(tasks) * TEST_SHARE)])


def _draw(source: str, runs: Iterable[TraceSession], sessions: int, seed: int) -> list[TraceSession]:
    candidates = [run for run in runs if run.source == source]
    return random.Random(seed).sample(candidates, min(sessions, len(candidates)))


def prepare(choice: Choice, effects: Effects, *, time_scale: float) -> AgentProfile:
    """A fresh agent that has learned from the training runs, with its reading tools approved for it alone."""
    agent = profile(_free_name(choice.source), SpeculationMode.ON)
    give_tools(agent, choice.source, tool_names([*choice.train, *choice.test]), effects, time_scale=time_scale)
    approve_reads(agent, who="replay", why="Recorded tools that only read: a replay measures what speculation does.")
    learning.learn(agent, (run.to_events(time_scale) for run in choice.train), Toolbox.of(agent).traits())
    return agent


def _free_name(source: str) -> str:
    taken = set(AgentProfile.objects.values_list("name", flat=True))
    numbers = range(1, len(taken) + 2)
    return next(name for number in numbers if (name := f"replay-{source}-{number}") not in taken)


@dataclass
class Pair:
    """One recorded run and its two arms; the sessions appear as they are submitted."""

    agent: AgentProfile
    trace: TraceSession
    recording: Mapping[str, Any]
    order: Sequence[Arm]
    sessions: dict[Arm, Session] = field(default_factory=dict)

    @property
    def waiting_for(self) -> Session | None:
        return self.sessions[self.order[len(self.sessions) - 1]] if self.sessions else None

    @property
    def next_arm(self) -> Arm | None:
        return self.order[len(self.sessions)] if len(self.sessions) < len(self.order) else None


def make_pairs(agent: AgentProfile, choice: Choice, effects: Effects, *, seed: int, time_scale: float) -> list[Pair]:
    """The pairs of a source; every other one begins with speculation."""
    orders = [(Arm.OFF, Arm.ON), (Arm.ON, Arm.OFF)]
    return [
        Pair(agent, run, make_recording(run, effects, seed=seed, time_scale=time_scale), orders[number % 2])
        for number, run in enumerate(choice.test)
    ]


class Replay:
    """Runs pairs, `parallel` at a time. Call `advance` every now and then until `is_over`."""

    def __init__(self, pairs: Iterable[Pair], worlds: Path, *, parallel: int) -> None:
        self._waiting = deque(pairs)
        self._running: list[Pair] = []
        self._worlds, self._parallel = worlds, parallel
        self.done: list[Pair] = []

    @property
    def is_over(self) -> bool:
        return not self._waiting and not self._running

    def advance(self) -> None:
        """Submit what may start: the second arm once the first has ended, a new pair once another is through."""
        ended = self._ended()
        for pair in list(self._running):
            session = pair.waiting_for
            if session is None or session.pk not in ended:
                continue
            if pair.next_arm is None:
                self._running.remove(pair)
                self.done.append(pair)
            else:
                self._submit(pair, pair.next_arm)
        while self._waiting and len(self._running) < self._parallel:
            pair = self._waiting.popleft()
            self._running.append(pair)
            self._submit(pair, pair.order[0])

    def abandon(self) -> None:
        """Ask for the end of what still runs."""
        for pair in self._running:
            if pair.waiting_for:
                cancel_session(pair.waiting_for)

    def remove_worlds(self) -> None:
        shutil.rmtree(self._worlds, ignore_errors=True)

    def _ended(self) -> set[Any]:
        keys = [pair.waiting_for.pk for pair in self._running if pair.waiting_for]
        return set(Session.objects.filter(pk__in=keys, ended_at__isnull=False).values_list("pk", flat=True))

    def _submit(self, pair: Pair, arm: Arm) -> None:
        other = next(iter(pair.sessions.values()), None)
        pair.sessions[arm] = submit_task(
            pair.agent,
            task_of(pair.trace),
            speculation=str(arm),
            max_turns=len(pair.recording["turns"]) + 1,
            labels={"trace": pair.trace.session_id},
            origin=Origin.REPLAY,
            world=self._make_world(pair, arm),
            pair=other,
        )

    def _make_world(self, pair: Pair, arm: Arm) -> dict[str, Any]:
        root = self._worlds / f"{len(list(self._worlds.glob('*')))}-{pair.agent.name}-{arm}"
        root.mkdir(parents=True)
        recording = root / RECORDING_FILE
        recording.write_text(json.dumps(pair.recording))
        return {
            "kind": "recorded",
            "recording": str(recording),
            "root": str(root),
            "time_scale": pair.recording["time_scale"],
        }
