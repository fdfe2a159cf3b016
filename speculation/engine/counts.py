"""The decayed counts behind patterns: read from `Pattern`s, written back as `Pattern`s, bounded in number."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from speculation.engine.habits import Habits
from speculation.engine.identity_hints import Counts
from speculation.engine.roster import Tally
from speculation.engine.tool_choice import ToolChoice
from speculation.engine.types import Calibration, Calibrations, Pattern, Shift, SourceCount
from speculation.engine.value_choice import ValueChoice

MAX_CONTEXT = 4
"""Longest context, in signatures."""
MAX_MAPPING_CONTEXT = 2
"""Longest context that keeps its own counts of sources and of use before the next write."""
HALF_LIFE_SESSIONS = 400.0
AGE_EVERY = 50
"""Sessions after which what weights were learned from is aged."""

Context = tuple[str, ...]


def suffixes(signatures: Sequence[str]) -> list[Context]:
    """The context suffixes of lengths 0 to MAX_CONTEXT that a session has."""
    recent = tuple(signatures[-MAX_CONTEXT:])
    return [recent[len(recent) - length :] for length in range(len(recent) + 1)]


@dataclass(slots=True)
class Row:
    """The counts of one (context, tool), in units of the table's weight."""

    support: float = 0.0
    soon: float = 0.0
    sources: dict[str, dict[str, Tally]] = field(default_factory=dict)
    shapes: dict[str, float] = field(default_factory=dict)
    """How often the tool was called with exactly these arguments: their names as the text of a JSON list."""
    seen: dict[str, list[float]] = field(default_factory=dict)
    """[next, soon]: how often each other tool had a result when this one was called; "" counts all calls. Under "*": calls that sources led to by
    no set of them known then, and all that sources led to."""
    lead: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """Sum of the seconds until it was asked for, and how often that was known."""
    choices: dict[str, ValueChoice] = field(default_factory=dict)
    """Per argument the weights by which one of its values is chosen (value_choice.py); without context only."""
    habits: dict[str, Habits] = field(default_factory=dict)
    """Per argument the values that come again and again; without context only."""
    hints: Counts = field(default_factory=dict)
    """Per argument how often it changed the result (identity_hints.py); without context only, not aged."""
    enabled: bool = True
    probability_override: float | None = None
    has_own_mapping: bool = False

    def tally(self, argument: str, source: str) -> Tally:
        tallies = self.sources.setdefault(argument, {})
        found = tallies.get(source)
        if found is None:
            found = tallies[source] = [0.0, 0.0, 0.0, 0.0]
        return found


@dataclass(slots=True)
class Place:
    """All rows of one context."""

    occurrences: float = 0.0
    rows: dict[str, Row] = field(default_factory=dict)


class Table:
    """Contexts to rows. `weight` is what one observation of the present session counts."""

    def __init__(self, agent: str, patterns: Iterable[Pattern], half_life_sessions: float) -> None:
        self.agent, self.half_life_sessions = agent, half_life_sessions
        self.weight = 1.0
        self.places: dict[Context, Place] = {}
        self.rows = 0
        """How many there are in all places."""
        self.tools = ToolChoice()
        self.calibrations = Calibrations()
        known = list(patterns)
        self.sessions = max((int(p.statistics.get("as_of", 0)) for p in known), default=0)
        self.tools.steps = max((float(p.statistics.get("studied", 0.0)) for p in known), default=0.0)
        for pattern in known:
            self._load(pattern)
        self._load_calibrations(known)

    def _load(self, pattern: Pattern) -> None:
        statistics = pattern.statistics
        age = self.sessions - int(statistics.get("as_of", self.sessions))
        scale = 0.5 ** (age / self.half_life_sessions)
        place = self.places.setdefault(tuple(pattern.context), Place())
        self.rows += pattern.tool not in place.rows
        place.occurrences = max(place.occurrences, pattern.occurrences * scale)
        row = place.rows[pattern.tool] = Row(pattern.support * scale, statistics.get("soon", 0.0) * scale)
        row.enabled, row.probability_override = pattern.enabled, pattern.probability_override
        row.has_own_mapping = pattern.has_own_mapping
        soon = statistics.get("sources_soon", {})
        for argument, counts in pattern.mapping.items():
            row.sources[argument] = {
                c.source: [
                    c.right * scale,
                    c.available * scale,
                    *_scaled(soon.get(argument, {}).get(c.source, _uncounted_soon(pattern, c)), scale),
                ]
                for c in counts
            }
        row.shapes = {shape: count * scale for shape, count in statistics.get("shapes", {}).items()}
        row.seen = {tool: _scaled(pair, scale) for tool, pair in statistics.get("seen", {}).items()}
        row.lead = _scaled(statistics.get("lead", (0.0, 0.0)), scale)
        row.choices = {argument: ValueChoice(weights) for argument, weights in statistics.get("choices", {}).items()}
        for choice in row.choices.values():
            choice.age(scale)
        row.habits = {argument: Habits(shown) for argument, shown in statistics.get("habits", {}).items()}
        for habits in row.habits.values():
            habits.age(scale)
        row.hints = {argument: list(numbers) for argument, numbers in statistics.get("hints", {}).items()}
        if not pattern.context:
            self.tools.put(pattern.tool, statistics.get("signs", {}))

    def _load_calibrations(self, patterns: Iterable[Pattern]) -> None:
        rows = {p.tool: p.statistics for p in patterns if not p.context}
        tools = {tool: Calibration(*row["calibration"]) for tool, row in rows.items() if "calibration" in row}
        situations = rows.get("", {}).get("situations", {})
        self.calibrations = Calibrations(tools, {one: Shift(*shift) for one, shift in situations.items()})

    def begin_session(self) -> None:
        """Everything older counts a little less from now on."""
        self.sessions += 1
        if self.sessions % AGE_EVERY == 0:
            self._age(0.5 ** (AGE_EVERY / self.half_life_sessions))
        self.weight *= 2.0 ** (1.0 / self.half_life_sessions)
        if self.weight > 1e9:
            self._rescale()

    def _age(self, scale: float) -> None:
        self.tools.age(scale)
        for row in self.places[()].rows.values() if () in self.places else ():
            for choice in row.choices.values():
                choice.age(scale)
            for habits in row.habits.values():
                habits.age(scale)

    def _rescale(self) -> None:
        scale, self.weight = 1.0 / self.weight, 1.0
        for place in self.places.values():
            place.occurrences *= scale
            for row in place.rows.values():
                row.support, row.soon = row.support * scale, row.soon * scale
                row.shapes = {shape: count * scale for shape, count in row.shapes.items()}
                row.seen = {tool: _scaled(pair, scale) for tool, pair in row.seen.items()}
                row.lead = _scaled(row.lead, scale)
                for tallies in row.sources.values():
                    for tally in tallies.values():
                        tally[:] = _scaled(tally, scale)

    def row(self, place: Place, tool: str) -> Row:
        """The place's row for the tool, made if there is none."""
        found = place.rows.get(tool)
        if found is None:
            found = place.rows[tool] = Row()
            self.rows += 1
        return found

    def place(self, context: Context) -> Place:
        found = self.places.get(context)
        if found is None:
            found = self.places[context] = Place()
        return found

    def evict(self, max_rows: int) -> list[tuple[Context, str]]:
        """Drop the least supported rows, of equals the longest context's, if there are more than `max_rows`; those dropped.

        A tool's row without context is never less supported than its others, so it goes last.
        """
        if self.rows <= max_rows:
            return []
        rows = [
            (row.support + row.soon, -len(c), c, t) for c, place in self.places.items() for t, row in place.rows.items()
        ]
        dropped = [(context, tool) for _, _, context, tool in sorted(rows)[: len(rows) - int(max_rows * 0.9)]]
        for context, tool in dropped:
            place = self.places[context]
            del place.rows[tool]
            if not place.rows:
                del self.places[context]
        self.rows = len(rows) - len(dropped)
        return dropped

    def patterns(self, contexts: Iterable[Context]) -> Iterator[Pattern]:
        """The rows of these contexts as patterns, in a fixed order."""
        for context in sorted(contexts, key=lambda c: (len(c), c)):
            place = self.places.get(context)
            if place is not None:
                yield from (self._pattern(context, place, tool) for tool in sorted(place.rows))

    def _pattern(self, context: Context, place: Place, tool: str) -> Pattern:
        row = place.rows[tool]
        base = self.places[()].rows.get(tool) if context and () in self.places else row
        known = base.sources if base else {}
        sources = {
            a: {s: t for s, t in tallies.items() if s in known.get(a, {})} for a, tallies in sorted(row.sources.items())
        }
        return Pattern(
            agent=self.agent,
            context=context,
            tool=tool,
            occurrences=self._shown(place.occurrences),
            support=self._shown(row.support),
            mapping={a: self._mapping(tallies) for a, tallies in sources.items() if tallies},
            statistics=self._statistics(row, sources) | self._signs(context, tool),
            enabled=row.enabled,
            probability_override=row.probability_override,
            has_own_mapping=row.has_own_mapping,
        )

    def _signs(self, context: Context, tool: str) -> dict[str, object]:
        """The weights of signs for the tool and its calibration stand in its row without context, what situations add in
        that of answering in words."""
        signs = {} if context else self.tools.of_tool(tool)
        found: dict[str, object] = {"signs": {sign: list(weight) for sign, weight in signs.items()}} if signs else {}
        return found if context else found | self.calibrations.shown(tool)

    def _mapping(self, tallies: Mapping[str, Tally]) -> tuple[SourceCount, ...]:
        counts = [SourceCount(s, self._shown(t[0]), self._shown(t[1])) for s, t in tallies.items()]
        return tuple(sorted(counts, key=lambda c: (-c.right, c.available, c.source)))

    def _statistics(self, row: Row, sources: Mapping[str, Mapping[str, Tally]]) -> dict[str, object]:
        found: dict[str, object] = {
            "as_of": self.sessions,
            "soon": self._shown(row.soon),
            "studied": round(self.tools.steps, 3),
        }
        if soon := {
            a: {s: [self._shown(t[2]), self._shown(t[3])] for s, t in ts.items()} for a, ts in sources.items() if ts
        }:
            found["sources_soon"] = soon
        if row.shapes:
            found["shapes"] = {shape: self._shown(count) for shape, count in sorted(row.shapes.items())}
        if row.seen:
            found["seen"] = {tool: [self._shown(n) for n in pair] for tool, pair in sorted(row.seen.items())}
        if row.choices:
            found["choices"] = {argument: choice.shown() for argument, choice in sorted(row.choices.items())}
        if row.habits:
            found["habits"] = {argument: habits.shown() for argument, habits in sorted(row.habits.items())}
        if row.hints:
            found["hints"] = {argument: list(numbers) for argument, numbers in sorted(row.hints.items())}
        if row.lead[1]:
            found["lead"] = [self._shown(n) for n in row.lead]
        return found

    def _shown(self, count: float) -> float:
        return round(count / self.weight, 6)


def _uncounted_soon(pattern: Pattern, count: SourceCount) -> tuple[float, float]:
    """What is supposed of a source that was never counted before a change of the world: nothing, or an operator's word."""
    return (count.right, count.available) if pattern.has_own_mapping else (0.0, 0.0)


def _scaled(counts: Sequence[float], scale: float) -> list[float]:
    return [count * scale for count in counts]
