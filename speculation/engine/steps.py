"""A session cut into the points where the model was about to act: what came before, what it called, what it called soon."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from speculation.engine.types import Event, EventKind

HORIZON_STEPS = 8
"""A held result is not worth waiting for longer than this many turns."""


@dataclass
class Step:
    """One model turn. `start`: how many of the session's events had happened before it."""

    start: int
    calls: list[Event] = field(default_factory=list)
    """What this turn called, in listed order; empty if the model answered."""
    began_at: float = 0.0
    """When the model began, 0 where no time is known."""
    soon: list[tuple[int, Event]] = field(default_factory=list)
    """(turns from now, call) up to and including the next call that changes the world, this turn's calls first."""

    @property
    def tool(self) -> str:
        """The tool of the first call, empty for an answer."""
        return self.calls[0].tool if self.calls else ""


def cut_into_steps(events: Sequence[Event], changes_world: Callable[[Event], bool]) -> list[Step]:
    """Every model turn of a session; a turn without an event of its own (no LLM event) counts from its first call."""
    steps: list[Step] = []
    turn: int | None = None
    for index, event in enumerate(events):
        if event.kind == EventKind.LLM:
            steps.append(Step(index, began_at=event.started_at))
            turn = event.turn
        elif event.kind == EventKind.TOOL:
            if turn is None or event.turn != turn:
                steps.append(Step(index))
                turn = event.turn
            steps[-1].calls.append(event)
        else:
            turn = None
    _look_ahead(steps, changes_world)
    return steps


def _look_ahead(steps: Sequence[Step], changes_world: Callable[[Event], bool]) -> None:
    window: list[tuple[int, Event]] = []
    for index in range(len(steps) - 1, -1, -1):
        for call in reversed(steps[index].calls):
            if changes_world(call):
                window = []
            window.insert(0, (index, call))
        window = [(at, call) for at, call in window if at < index + HORIZON_STEPS]
        steps[index].soon = [(at - index, call) for at, call in window]
