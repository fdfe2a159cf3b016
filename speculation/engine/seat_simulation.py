"""Sessions that take turns between a model with few seats and tools with few slots, as discrete events. Pure, seeded.

A session asks, waits for a seat, decodes, runs its tool, and asks again, until its last turn answers. Where a tool's run
was foreseen it begins when the session asks, if a slot is free: speculation goes on while a session waits for its seat.
Whoever orders the seats knows what is usual for a kind of session, not what will happen. Tools are served first come,
first served. All times are seconds.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from speculation.engine.co_scheduling import Foreseen, WaitingRequest, exposed_tool_seconds

Order = Callable[[Iterable[WaitingRequest]], list[WaitingRequest]]


@dataclass(frozen=True)
class Kind:
    """What is usual for sessions of one kind: seconds a turn of the model, seconds a tool call, turns."""

    model_seconds: float
    tool_seconds: float
    turns: int
    hit_probability: float = 0.0
    spread: float = 0.5
    """Of the logarithm of both times; 0 makes every turn the usual one."""


@dataclass(frozen=True)
class Turn:
    model_seconds: float
    tool_seconds: float
    is_foreseen: bool


@dataclass
class Task:
    """One session of a run. `turns` are what will really happen."""

    key: str
    kind: Kind
    arrives_at: float
    turns: Sequence[Turn]
    done: int = 0
    asked_at: float = 0.0
    ran_ahead_until: float | None = None
    longest_wait_seconds: float = 0.0
    ended_at: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """Of one run."""

    task_seconds: Sequence[float]
    """From arrival to end, in the order of arrival."""
    longest_wait_seconds: float
    slot_use: float
    """Part of the slots' time, from the first arrival to the last end, in which they ran something that was used."""


def draw_tasks(kinds: Sequence[Kind], count: int, *, seats: int, load: float, rng: random.Random) -> list[Task]:
    """`count` sessions of mixed kinds that arrive at random. load: their model time over that of the seats."""
    mean_model_seconds = sum(kind.model_seconds * kind.turns for kind in kinds) / len(kinds)
    a_second = load * seats / mean_model_seconds
    now, tasks = 0.0, []
    for number in range(count):
        now += rng.expovariate(a_second)
        kind = rng.choice(kinds)
        tasks.append(Task(f"{number:06}", kind, now, [_draw_turn(kind, rng) for _ in range(kind.turns)]))
    return tasks


def _draw_turn(kind: Kind, rng: random.Random) -> Turn:
    mean_shift = -(kind.spread**2) / 2  # so that the usual times are the means
    model, tool = (rng.lognormvariate(mean_shift, kind.spread) for _ in range(2))
    return Turn(kind.model_seconds * model, kind.tool_seconds * tool, rng.random() < kind.hit_probability)


def simulate(tasks: Sequence[Task], order: Order, *, seats: int, slots: int) -> Outcome:
    """Run the tasks to their end. They are changed: draw them anew for another order."""
    run = _Run(order, seats, slots)
    for task in tasks:
        run.at(task.arrives_at, run.ask, task)
    run.go()
    span = max(task.ended_at for task in tasks) - min(task.arrives_at for task in tasks)
    return Outcome(
        [task.ended_at - task.arrives_at for task in tasks],
        max(task.longest_wait_seconds for task in tasks),
        run.used_slot_seconds / (span * slots),
    )


@dataclass
class _Run:
    order: Order
    free_seats: int
    free_slots: int
    now: float = 0.0
    used_slot_seconds: float = 0.0
    waiting: dict[str, Task] = field(default_factory=dict)
    tools: deque[Task] = field(default_factory=deque)
    _events: list[tuple[float, int, Callable[[Task], None], Task]] = field(default_factory=list)
    _count: int = 0

    def at(self, moment: float, act: Callable[[Task], None], task: Task) -> None:
        self._count += 1
        heapq.heappush(self._events, (moment, self._count, act, task))

    def go(self) -> None:
        while self._events:
            self.now, _, act, task = heapq.heappop(self._events)
            act(task)
            self._seat()

    def ask(self, task: Task) -> None:
        task.asked_at, task.ran_ahead_until = self.now, None
        turn = task.turns[task.done]
        is_last = task.done == len(task.turns) - 1
        if turn.is_foreseen and not is_last and self.free_slots > len(self.tools):
            task.ran_ahead_until = self._run_tool(task, turn, self._slot_is_free)
        self.waiting[task.key] = task

    def _seat(self) -> None:
        if not self.free_seats or not self.waiting:
            return
        for request in self.order([self._request(task) for task in self.waiting.values()])[: self.free_seats]:
            task = self.waiting.pop(request.key)
            task.longest_wait_seconds = max(task.longest_wait_seconds, self.now - task.asked_at)
            self.free_seats -= 1
            self.at(self.now + task.turns[task.done].model_seconds, self._said, task)

    def _request(self, task: Task) -> WaitingRequest:
        kind = task.kind
        ahead = (
            []
            if task.ran_ahead_until is None
            else [Foreseen(kind.hit_probability, kind.tool_seconds, self.now - task.asked_at)]
        )
        exposed = exposed_tool_seconds(ahead, usual_seconds=kind.tool_seconds, model_seconds=kind.model_seconds)
        return WaitingRequest(task.key, exposed, kind.model_seconds, self.now - task.asked_at)

    def _said(self, task: Task) -> None:
        self.free_seats += 1
        turn = task.turns[task.done]
        task.done += 1
        if task.done == len(task.turns):
            task.ended_at = self.now
        elif task.ran_ahead_until is not None:
            self.at(max(self.now, task.ran_ahead_until), self.ask, task)
        elif self.free_slots:
            self._run_tool(task, turn, self._ran)
        else:
            self.tools.append(task)

    def _run_tool(self, task: Task, turn: Turn, then: Callable[[Task], None]) -> float:
        self.free_slots -= 1
        self.used_slot_seconds += turn.tool_seconds
        self.at(self.now + turn.tool_seconds, then, task)
        return self.now + turn.tool_seconds

    def _ran(self, task: Task) -> None:
        self._slot_is_free(task)
        self.ask(task)

    def _slot_is_free(self, task: Task) -> None:
        self.free_slots += 1
        if self.tools:
            waiting = self.tools.popleft()
            self._run_tool(waiting, waiting.turns[waiting.done - 1], self._ran)


def compare(
    kinds: Sequence[Kind],
    orders: Mapping[str, Order],
    *,
    load: float,
    seats: int = 4,
    slots: int = 6,
    count: int = 200,
    seed: int = 1,
) -> dict[str, Outcome]:
    """The same tasks under each order: nothing but the order differs."""
    return {
        name: simulate(
            draw_tasks(kinds, count, seats=seats, load=load, rng=random.Random(seed)), order, seats=seats, slots=slots
        )
        for name, order in orders.items()
    }
