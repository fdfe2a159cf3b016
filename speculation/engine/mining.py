"""Mining: counting, per context suffix, which tool came next and where its arguments came from.

The miner's state is the patterns. A finished session is one pass: linear in its events, nothing is mined again. Counts
decay by half every `half_life_sessions`; this is done by letting newer sessions weigh more, so old rows cost nothing.

    occurrences, support    how often the context was seen, how often the tool came next (arXiv 2603.18897: C, T, p)
    mapping                 per argument its sources: right and available, when the tool came next (f, late bound);
                            under "*" whole calls: earlier calls again, and sets of sources that go together
    statistics              soon: the tool was called before the next change of the world; sources_soon: the same as
                            `mapping` for that; shapes: which arguments were given; lead: seconds until it was asked;
                            hints: which arguments seem not to change the result

`Pattern.statistics["as_of"]` is the session count at which a row was written: rows written earlier are aged on reading.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from speculation.engine.counts import HALF_LIFE_SESSIONS, MAX_MAPPING_CONTEXT, Context, Place, Row, Table, suffixes
from speculation.engine.identity_hints import Counts, count_hints
from speculation.engine.lesson import Learner, Lesson
from speculation.engine.memory import Memory
from speculation.engine.steps import Step, cut_into_steps
from speculation.engine.types import Calibrations, Event, EventKind, Pattern, ToolTraits

MAX_ROWS = 50_000
STUDY_ALL_STEPS = 3000.0
"""Twice as many sessions are skimmed for one that is studied, each time so many steps more have been studied."""
MAX_HALVINGS = 4
LISTEN_BELOW = 12_000.0
"""As long as fewer steps were heard, skimmed sessions still teach which tool comes next: that takes many sessions to learn,
and a third of the time of a study."""
LONG_SESSION = 20
"""Steps of one session are much alike, down to the user's words: those of a longer one move the choice of tools less each."""
SOON_EVERY = 2
"""One in so many steps teaches about the calls that come later, and counts as much as so many."""


class Miner:
    """Counts sessions of one agent into patterns. Deterministic: the same sessions give the same patterns."""

    def __init__(
        self,
        agent: str,
        patterns: Iterable[Pattern] = (),
        tools: Mapping[str, ToolTraits] | None = None,
        *,
        half_life_sessions: float = HALF_LIFE_SESSIONS,
        max_rows: int = MAX_ROWS,
    ) -> None:
        self._table = Table(agent, patterns, half_life_sessions)
        self._tools = dict(tools or {})
        self._max_rows = max_rows
        self._touched: set[Context] = set()
        self._learners: dict[str, Learner] = {}
        self._steps = 0
        self._pace = 1.0

    def observe_session(self, events: Sequence[Event], known_turns: int = 0) -> int:
        """Count one session, in the order of its events. Returns how many model turns it has.

        known_turns: so many of them were counted before, when it seemed to be over: they are remembered, not counted again.
        """
        steps = cut_into_steps(events, self._changes_world)
        if not known_turns:
            self._table.begin_session()
        if self._table.sessions % self._stride() == 0:
            self._follow(events, steps, known_turns, self._learn)
            known_events = steps[known_turns].start if known_turns < len(steps) else len(events)
            count_hints(events, self._tools, self._hints, known_events if known_turns else 0)
        elif self._table.tools.steps < LISTEN_BELOW:
            self._follow(events, steps, known_turns, self._listen)
        else:
            self._skim(events, steps, known_turns)
        for context, tool in self._table.evict(self._max_rows):
            if not context:
                self._learners.pop(tool, None)
        if len(self._touched) > 2 * self._max_rows:
            self._touched &= self._table.places.keys()
        return len(steps)

    def _stride(self) -> int:
        """One in so many sessions is studied: all of the first, ever fewer of those that come when much is known."""
        return 1 << min(MAX_HALVINGS, int(self._table.tools.steps / STUDY_ALL_STEPS).bit_length())

    def _skim(self, events: Sequence[Event], steps: Sequence[Step], known_turns: int) -> None:
        """Count what was called in which context, and nothing else: no result is read."""
        signatures: list[str] = []
        position = 0
        for number, step in enumerate(steps):
            signatures += [
                self._signature(event) for event in events[position : step.start] if event.kind != EventKind.LLM
            ]
            position = step.start
            if number >= known_turns:
                self._count(signatures, step)

    def _signature(self, event: Event) -> str:
        traits = self._tools.get(event.tool)
        return str(event.signature) if traits is None else traits.signature(event)

    def _follow(
        self,
        events: Sequence[Event],
        steps: Sequence[Step],
        known_turns: int,
        learn: Callable[[Memory, Step], object],
    ) -> None:
        """Go through it as a predictor would, and learn at every step from what was seen by then."""
        memory, position = Memory(), 0
        self._pace = min(1.0, math.sqrt(LONG_SESSION / max(len(steps), 1)))
        for number, step in enumerate(steps):
            for event in events[position : step.start]:
                memory.observe(event, self._tools.get(event.tool))
            position = step.start
            if number >= known_turns:
                learn(memory, step)

    def _hints(self, tool: str) -> Counts:
        return self._table.row(self._table.place(()), tool).hints

    def settle(self) -> None:
        """Learn all there is to learn from the sessions so far. Done by itself before patterns are read."""
        self._table.tools.settle()

    def calibrate(self, calibrations: Calibrations) -> None:
        """Set what predictions need to keep their word (calibration.py)."""
        self._table.calibrations = calibrations
        self._touched.add(())

    def patterns(self) -> list[Pattern]:
        """All patterns, aged to the present session."""
        self._touched.clear()
        return list(self._table.patterns(self._table.places))

    def changed(self) -> list[Pattern]:
        """The patterns whose counts moved since the last call of this."""
        touched, self._touched = self._touched & self._table.places.keys(), set()
        return list(self._table.patterns(touched))

    def _changes_world(self, event: Event) -> bool:
        traits = self._tools.get(event.tool)
        return traits is None or traits.may_change_world(event.arguments)

    def _count(self, signatures: Sequence[str], step: Step) -> tuple[list[Place], dict[str, list[tuple[int, Event]]]]:
        """One step in all its contexts. Returns these, and by tool the calls that came until the next change of the world."""
        contexts, weight = suffixes(signatures), self._table.weight
        self._touched.update(contexts)
        places = [self._table.place(context) for context in contexts]
        for place in places:
            place.occurrences += weight
            self._table.row(place, step.tool).support += weight
        soon: dict[str, list[tuple[int, Event]]] = {}
        for turns, call in step.soon:
            soon.setdefault(call.tool, []).append((turns, call))
        for tool in soon:
            for place in places[: MAX_MAPPING_CONTEXT + 1]:
                self._table.row(place, tool).soon += weight
        return places, soon

    def _listen(self, memory: Memory, step: Step) -> tuple[list[Place], dict[str, list[tuple[int, Event]]]]:
        """Count it, as `_count` does, and learn what tells the next tool."""
        places, soon = self._count(memory.signatures, step)
        self._table.tools.learn(memory.signs(), step.tool, soon, pace=self._pace)
        return places, soon

    def _learn(self, memory: Memory, step: Step) -> None:
        """Count it, and learn what tells the next tool and where its arguments come from."""
        places, soon = self._listen(memory, step)
        self._steps += 1
        for tool, calls in soon.items():
            rows = [self._table.row(place, tool) for place in places[: MAX_MAPPING_CONTEXT + 1]]
            _lead(rows[0].lead, step, calls[0][1], self._table.weight)
            if tool == step.tool:
                self._teach(memory, step, tool, calls, rows, 1.0)
            elif self._steps % SOON_EVERY == 0:
                self._teach(memory, step, tool, calls, rows, float(SOON_EVERY))

    def _teach(
        self, memory: Memory, step: Step, tool: str, calls: list[tuple[int, Event]], rows: list[Row], times: float
    ) -> None:
        learner, traits = self._learners.get(tool), self._tools.get(tool)
        if learner is None or learner.base is not rows[0]:
            repeats, habitual = (traits.repeats, traits.shell_argument) if traits is not None else (False, "")
            learner = self._learners[tool] = Learner(tool, rows[0], repeats, habitual)
        times *= learner.how_often(tool == step.tool)
        if not times:
            return
        told = [(turns, self._identity_arguments(call)) for turns, call in calls]
        Lesson(learner, memory, step, told, rows, self._table.weight * times, times).learn()

    def _identity_arguments(self, call: Event) -> dict[str, Any]:
        traits = self._tools.get(call.tool)
        left_out = traits.unimportant if traits else ()
        return {name: value for name, value in call.arguments.items() if name not in left_out}


def _lead(lead: list[float], step: Step, call: Event, weight: float) -> None:
    """Seconds from the turn's start to the call."""
    if call.started_at > step.began_at > 0:
        lead[0] += weight * (call.started_at - step.began_at)
        lead[1] += weight
