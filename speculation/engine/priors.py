"""What patterns say before a session's values are looked at: each tool's chances in a context, each source's reliability.

The counts under the longest known context are blended with those of ever shorter ones by how often and how diversely each
was seen (Witten and Bell's escape estimate, as in PPM), and that blend with what was learned (tool_choice.py).
"""

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speculation.engine.counts import MAX_MAPPING_CONTEXT, Context, Place, Row, Table, suffixes
from speculation.engine.habits import Habits
from speculation.engine.roster import WHOLE, Roster
from speculation.engine.source_worth import looked_at, reliable
from speculation.engine.tool_choice import Floats
from speculation.engine.types import Calibration, Pattern
from speculation.engine.value_choice import ValueChoice

PRIOR_RIGHT = 0.25
"""How often a source is right of which nothing is known."""
PRIOR_WEIGHT = 1.0
CONTEXT_WEIGHT = 4.0
"""How many observations under a longer context weigh as much as all under the shorter one."""
MIN_PROBABILITY = 0.004
MAX_SHAPES = 2
STEPS_FOR_HALF = 150.0
"""So many steps learned, and the learned choice of the tool counts as much as the blend of contexts."""
DEFAULT_USE_SECONDS = 3.0
UNTAUGHT = ValueChoice()
UNCOUNTED = (0.0, 0.0, 0.0, 0.0)


class Outlook(NamedTuple):
    """A tool's chances now."""

    tool: str
    next: float
    soon: float
    concrete: float
    """How often, in the past, a call of the tool could be made concrete."""


class Chance(NamedTuple):
    """The reliability of one source: when the tool comes next, and when it comes before the next write."""

    next: float
    soon: float


class OwnMapping(NamedTuple):
    """An operator's mapping, by argument: the sources, and how one of their values is chosen."""

    rosters: Mapping[str, Roster]
    choices: Mapping[str, ValueChoice]


class Priors:
    """The patterns of one agent, indexed for look-up. Immutable but for its caches. Arrays have a column a tool."""

    def __init__(
        self, patterns: Iterable[Pattern], half_life_sessions: float, repeating: Container[str] = frozenset()
    ) -> None:
        """`repeating`: tools whose calls come again as a matter of course, as ToolTraits.repeats."""
        self._table = Table("", patterns, half_life_sessions)
        self._base = self._table.places.get((), Place()).rows
        self._tools = [tool for tool, row in self._base.items() if row.enabled]
        self._columns = {tool: column for column, tool in enumerate(self._tools)}
        self._learned = self._columns_of_learned()
        steps = self._table.tools.steps
        self._share = steps / (steps + STEPS_FOR_HALF)
        self._places: dict[Context, tuple[Floats, Floats]] = {}
        self._blends: dict[Context, tuple[Floats, NDArray[np.intp]]] = {}
        self._wholes: dict[tuple[str, Context], dict[str, Chance]] = {}
        self._keys: dict[tuple[str, Context], str] = {}
        self._calibrations: dict[tuple[str, str], Calibration] = {}
        self._rosters = {
            tool: {
                a: Roster(tool, a, {source: tallies[source] for source in looked_at(tallies, tool in repeating)})
                for a, tallies in row.sources.items()
                if a != WHOLE
            }
            for tool, row in self._base.items()
        }
        self._own = {
            (tool, context): self._own_mapping(tool, row)
            for context, place in self._table.places.items()
            for tool, row in place.rows.items()
            if row.has_own_mapping
        }
        """Where an operator gave the mapping: for a tool in a context and in all that end in it."""
        self._shapes = {tool: self._sorted(tool, _shares(row.shapes)) for tool, row in self._base.items()}
        self._concrete = {tool: self._share_concrete(tool) for tool in self._tools}

    def _columns_of_learned(self) -> NDArray[np.intp]:
        """For each tool its column in the learned choice; all tools of a table are in it, or none."""
        known = self._table.tools.tools
        return np.array([known[tool] for tool in self._tools if tool in known], dtype=np.intp)

    def _sorted(self, tool: str, shapes: Iterable[tuple[float, list[str]]]) -> list[tuple[float, list[str]]]:
        return [
            (share, sorted(names, key=lambda name: (self.choice(tool, name).derivable, name)))
            for share, names in shapes
        ]

    def _own_mapping(self, tool: str, row: Row) -> "OwnMapping":
        rosters = {a: Roster(tool, a, tallies) for a, tallies in row.sources.items() if a != WHOLE}
        known = self._base[tool].choices if tool in self._base else {}
        return OwnMapping(rosters, {a: known.get(a, UNTAUGHT).among_others() for a in rosters})

    def _share_concrete(self, tool: str) -> float:
        if any(known == tool for known, _ in self._own):
            return 1.0  # what was learned says nothing of a mapping that an operator gave
        shapes = self._shapes[tool]
        return max((prod(self.choice(tool, name).derivable for name in names) for _, names in shapes), default=0.0)

    def calibration(self, tool: str, situation: str) -> Calibration:
        """What predictions of the tool's calls need to keep their word, where the session's last signature is this."""
        known = self._calibrations.get(which := (tool, situation))
        if known is None:
            known = self._calibrations[which] = self._table.calibrations.of(tool, situation)
        return known

    def contexts(self, signatures: Sequence[str]) -> list[Context]:
        """The contexts that a session stands in, of those that are known, the shortest first."""
        places = self._table.places
        return [context for context in suffixes(signatures) if context in places]

    def outlook(self, contexts: Sequence[Context], signs: Sequence[str]) -> list[Outlook]:
        """The tools that may come next or soon, the likeliest first. The empty tool, an answer, is left out.

        The more steps were learned from, the more the learned choice counts beside the counts of contexts.
        """
        if not contexts:
            return []
        chances, decided = self._blend(contexts)
        if len(self._learned) == len(self._tools):
            learned = self._table.tools.chances(signs)[:, self._learned]
            mixed = chances + self._share * (learned - chances)
            mixed[:, decided] = chances[:, decided]
            chances = mixed
        after, soon = chances[0], np.maximum(chances[0], chances[1])
        likely = np.flatnonzero(soon >= MIN_PROBABILITY)
        likely = likely[np.argsort(-after[likely], kind="stable")]
        tools, concrete = self._tools, self._concrete
        return [
            Outlook(tools[i], next_, soon_, concrete[tools[i]])
            for i, next_, soon_ in zip(likely.tolist(), after[likely].tolist(), soon[likely].tolist(), strict=True)
            if tools[i]
        ]

    def _blend(self, contexts: Sequence[Context]) -> tuple[Floats, NDArray[np.intp]]:
        """Counts of all known contexts as chances, and the columns where an operator decided."""
        longest = contexts[-1]
        if longest not in self._blends:
            count = len(self._tools)
            after: Floats = np.full(count, 1.0 / (count + 1), dtype=np.float32)
            soon = after
            for context in contexts:
                support, came_soon = self._counts(context)
                occurrences = self._table.places[context].occurrences
                escape = float(np.count_nonzero(support))
                if occurrences:
                    after = ((support + escape * after) / (occurrences + escape)).astype(np.float32)
                if len(context) <= MAX_MAPPING_CONTEXT:
                    before = soon if context else after
                    soon = ((came_soon + CONTEXT_WEIGHT * before) / (occurrences + CONTEXT_WEIGHT)).astype(np.float32)
            self._blends[longest] = self._overruled(contexts, np.stack([after, np.maximum(after, soon)]))
        return self._blends[longest]

    def _counts(self, context: Context) -> tuple[Floats, Floats]:
        """How often each tool came next in the context, and before the next change of the world."""
        known = self._places.get(context)
        if known is None:
            support, soon = np.zeros((2, len(self._tools)), dtype=np.float32)
            for tool, row in self._table.places[context].rows.items():
                column = self._columns.get(tool)
                if column is not None:
                    support[column], soon[column] = row.support, row.soon
            known = self._places[context] = support, soon
        return known

    def _overruled(self, contexts: Sequence[Context], chances: Floats) -> tuple[Floats, NDArray[np.intp]]:
        """An operator's word, the longest context's first: disabled is never, a probability is as given."""
        fixed: dict[int, float] = {}
        for context in contexts:
            for tool, row in self._table.places[context].rows.items():
                column = self._columns.get(tool)
                if column is None:
                    continue
                if not row.enabled:
                    fixed[column] = 0.0
                elif row.probability_override is not None:
                    fixed[column] = row.probability_override
        columns = np.array(list(fixed), dtype=np.intp)
        if fixed:
            chances[:, columns] = 0.0
            rest, room = chances[0].sum(), max(0.0, 1.0 - sum(fixed.values()))
            if rest > room:
                chances *= room / rest
            chances[:, columns] = list(fixed.values())
        return chances, columns

    def pattern_key(self, contexts: Sequence[Context], tool: str) -> str:
        """The key of the pattern with the longest context in which the tool was seen to come next."""
        key = self._keys.get(which := (tool, contexts[-1] if contexts else ()))
        if key is None:
            found: Context = ()
            for context in contexts:
                row = self._table.places[context].rows.get(tool)
                if row and row.support > 0:
                    found = context
            key = self._keys[which] = Pattern("", found, tool, 0.0, 0.0).key
        return key

    def wholes(self, tool: str, contexts: Sequence[Context]) -> dict[str, Chance]:
        """Earlier calls again, and sets of sources that go together, with their reliability now."""
        own = self._own_context(tool, contexts)
        contexts = [own] if own else contexts[: MAX_MAPPING_CONTEXT + 1]
        found = self._wholes.get(key := (tool, contexts[-1] if contexts else ()))
        if found is None:
            rows = [row for context in contexts if (row := self._table.places[context].rows.get(tool))]
            found = self._wholes[key] = _weigh(rows)
        return found

    def novelty(self, tool: str, contexts: Sequence[Context]) -> float:
        """Of calls whose arguments all had a source that led to their value, the share that no set of sources then known led
        to. An operator's mapping is taken at its word."""
        if self._own_context(tool, contexts) is not None:
            return 1.0
        new, all_made = self._base[tool].seen.get(WHOLE, (0.0, 0.0))
        return (new + 1.0) / (all_made + 1.0)

    def choice(self, tool: str, argument: str, contexts: Sequence[Context] = ()) -> ValueChoice:
        """How one of the argument's values is chosen."""
        own = self._own_context(tool, contexts)
        if own is not None:
            return self._own[tool, own].choices.get(argument, UNTAUGHT)
        return self._base[tool].choices.get(argument, UNTAUGHT)

    def habits(self, tool: str, argument: str, contexts: Sequence[Context] = ()) -> Habits | None:
        """The argument's values that come again and again, where there may be some and no operator said where they come from."""
        return None if self._own_context(tool, contexts) is not None else self._base[tool].habits.get(argument)

    def shapes(self, tool: str) -> list[tuple[float, list[str]]]:
        """The commonest sets of arguments of a tool, with their shares; of each the least often derivable argument first."""
        return self._shapes[tool]

    def rosters(self, tool: str, contexts: Sequence[Context] = ()) -> Mapping[str, Roster]:
        """Per argument its sources: an operator's of the longest of these contexts that has some, else what was learned."""
        own = self._own_context(tool, contexts)
        return self._rosters[tool] if own is None else self._own[tool, own].rosters

    def _own_context(self, tool: str, contexts: Sequence[Context]) -> Context | None:
        if not self._own:
            return None
        return next((context for context in reversed(contexts) if (tool, context) in self._own), None)

    def use_seconds(self, tool: str) -> float:
        """Usual seconds from a turn's start until the tool is asked for."""
        total, count = self._base[tool].lead
        return total / count if count else DEFAULT_USE_SECONDS


def _weigh(rows: Sequence[Row]) -> dict[str, Chance]:
    """The reliability of a tool's whole calls, blended over contexts from the shortest to the longest."""
    found: dict[str, Chance] = {}
    wholes = rows[0].sources.get(WHOLE, {}) if rows else {}
    for source in reliable(wholes, wholes):
        after = soon = PRIOR_RIGHT
        weight = PRIOR_WEIGHT
        for row in rows:
            right, available, right_soon, available_soon = row.sources.get(WHOLE, {}).get(source, UNCOUNTED)
            after = (right + weight * after) / (available + weight)
            soon = (right_soon + weight * soon) / (available_soon + weight)
            weight = CONTEXT_WEIGHT
        found[source] = Chance(after, soon)
    return found


def _shares(shapes: Mapping[str, float]) -> list[tuple[float, list[str]]]:
    total = sum(shapes.values())
    best = sorted(shapes, key=lambda shape: (-shapes[shape], shape))[:MAX_SHAPES]
    return [(shapes[shape] / total, json.loads(shape)) for shape in best]
