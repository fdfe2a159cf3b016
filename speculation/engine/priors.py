"""What patterns say before a session's values are looked at: each tool's chances in a context, each source's reliability.

The counts under the longest known context are blended with those of ever shorter ones by how often and how diversely each
was seen (Witten and Bell's escape estimate, as in PPM). A source's reliability is blended over contexts in the same way.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from speculation.engine.counts import MAX_MAPPING_CONTEXT, Context, Place, Row, Table, suffixes
from speculation.engine.roster import WHOLE, Roster, Tally
from speculation.engine.types import Pattern
from speculation.engine.value_choice import ValueChoice

PRIOR_RIGHT = 0.25
"""How often a source is right of which nothing is known."""
PRIOR_WEIGHT = 1.0
CONTEXT_WEIGHT = 4.0
"""How many observations under a longer context weigh as much as all under the shorter one."""
MIN_PROBABILITY = 0.004
MAX_SHAPES = 2
MAX_SOURCES = 40
MIN_RELIABILITY = 0.06
"""Sources more seldom right than this are not looked at."""
STEPS_FOR_HALF = 150.0
"""So many steps learned, and the learned choice of the tool counts as much as the blend of contexts."""
DEFAULT_USE_SECONDS = 3.0
UNTAUGHT = ValueChoice()


class Outlook(NamedTuple):
    """A tool's chances in a context."""

    tool: str
    next: float
    soon: float
    pattern: str
    is_decided: bool = False
    """True if an operator set the probability."""


class Chance(NamedTuple):
    """The reliability of one source: when the tool comes next, and when it comes before the next write."""

    next: float
    soon: float


class Priors:
    """The patterns of one agent, indexed for look-up. Immutable but for its caches."""

    def __init__(self, patterns: Iterable[Pattern], half_life_sessions: float) -> None:
        self._table = Table("", patterns, half_life_sessions)
        self._outlooks: dict[Context, list[Outlook]] = {}
        self._chances: dict[tuple[str, Context], dict[str, dict[str, Chance]]] = {}
        self._base = self._table.places.get((), Place()).rows
        self._rosters = {
            tool: {
                a: Roster(tool, a, {source: tallies[source] for source in _best(tallies)})
                for a, tallies in row.sources.items()
                if a != WHOLE
            }
            for tool, row in self._base.items()
        }
        self._shapes = {tool: _shares(row.shapes) for tool, row in self._base.items()}

    def outlook(self, signatures: Sequence[str], signs: Sequence[str]) -> list[Outlook]:
        """Every tool's chances now, the likeliest first. The empty tool, an answer, is left out.

        The more steps were learned from, the more the learned choice counts beside the counts of contexts.
        """
        outlooks = self._outlook(signatures)
        learned = self._table.tools.chances(signs)
        steps = self._table.tools.steps
        share = steps / (steps + STEPS_FOR_HALF) if learned else 0.0
        found = [
            o if o.is_decided or o.tool not in learned else _mixed(o, *learned[o.tool], share)
            for o in outlooks
            if o.tool
        ]
        return sorted([o for o in found if o.soon >= MIN_PROBABILITY], key=lambda o: (-o.next, o.tool))

    def _outlook(self, signatures: Sequence[str]) -> list[Outlook]:
        known = [context for context in suffixes(signatures) if context in self._table.places]
        if not known:
            return []
        longest = known[-1]
        if longest not in self._outlooks:
            self._outlooks[longest] = self._blend(known)
        return self._outlooks[longest]

    def _blend(self, contexts: Sequence[Context]) -> list[Outlook]:
        places = [self._table.places[context] for context in contexts]
        tools = [tool for tool, row in self._base.items() if row.enabled]
        after = dict.fromkeys(tools, 1.0 / (len(tools) + 1))
        soon: dict[str, float] = {}
        pattern = dict.fromkeys(tools, contexts[0])
        for context, place in zip(contexts, places, strict=True):
            escape = float(sum(1 for row in place.rows.values() if row.support > 0))
            for tool in tools:
                row = place.rows.get(tool)
                support = row.support if row else 0.0
                after[tool] = (
                    (support + escape * after[tool]) / (place.occurrences + escape)
                    if place.occurrences
                    else after[tool]
                )
                if len(context) <= MAX_MAPPING_CONTEXT:
                    before = soon.get(tool, after[tool])
                    soon[tool] = ((row.soon if row else 0.0) + CONTEXT_WEIGHT * before) / (
                        place.occurrences + CONTEXT_WEIGHT
                    )
                if row is not None and row.support > 0:
                    pattern[tool] = context
        fixed = self._apply_overrides(places, after, soon)
        found = [
            Outlook(t, after[t], max(after[t], soon.get(t, 0.0)), Pattern("", pattern[t], t, 0.0, 0.0).key, t in fixed)
            for t in tools
            if t in after
        ]
        return sorted(found, key=lambda o: (-o.next, o.tool))

    def _apply_overrides(self, places: Sequence[Place], after: dict[str, float], soon: dict[str, float]) -> set[str]:
        """An operator's word, the longest context's first: disabled is never, a probability is as given. Returns the latter's tools."""
        fixed: dict[str, float] = {}
        for place in places:
            for tool, row in place.rows.items():
                if not row.enabled:
                    after.pop(tool, None)
                    soon.pop(tool, None)
                elif row.probability_override is not None:
                    fixed[tool] = row.probability_override
        fixed = {tool: p for tool, p in fixed.items() if tool in after}
        rest = sum(p for tool, p in after.items() if tool not in fixed)
        room = max(0.0, 1.0 - sum(fixed.values()))
        scale = room / rest if fixed and rest > room else 1.0
        after.update({tool: p * scale for tool, p in after.items()})
        after.update(fixed)
        soon.update(fixed)
        return set(fixed)

    def chances(self, tool: str, signatures: Sequence[str]) -> dict[str, dict[str, Chance]]:
        """Argument (or WHOLE) to source to its reliability now."""
        contexts = suffixes(signatures)[: MAX_MAPPING_CONTEXT + 1]
        rows = [(c, row) for c in contexts if (place := self._table.places.get(c)) and (row := place.rows.get(tool))]
        key = (tool, rows[-1][0] if rows else ())
        if key not in self._chances:
            self._chances[key] = self._weigh([row for _, row in rows])
        return self._chances[key]

    def _weigh(self, rows: Sequence[Row]) -> dict[str, dict[str, Chance]]:
        found: dict[str, dict[str, Chance]] = {}
        for argument, tallies in rows[0].sources.items():
            chances = found[argument] = {}
            for source in _best(tallies):
                after = soon = PRIOR_RIGHT
                weight = PRIOR_WEIGHT
                for row in rows:
                    right, available, right_soon, available_soon = row.sources.get(argument, {}).get(source, (0.0,) * 4)
                    after = (right + weight * after) / (available + weight)
                    soon = (right_soon + weight * soon) / (available_soon + weight)
                    weight = CONTEXT_WEIGHT
                chances[source] = Chance(after, soon)
        return found

    def choice(self, tool: str, argument: str) -> ValueChoice:
        """How one of the argument's values is chosen."""
        return self._base[tool].choices.get(argument, UNTAUGHT)

    def shapes(self, tool: str) -> list[tuple[float, list[str]]]:
        """The commonest sets of arguments of a tool, with their shares."""
        return self._shapes[tool]

    def rosters(self, tool: str) -> Mapping[str, Roster]:
        return self._rosters[tool]

    def use_seconds(self, tool: str) -> float:
        """Usual seconds from a turn's start until the tool is asked for."""
        total, count = self._base[tool].lead
        return total / count if count else DEFAULT_USE_SECONDS


def _best(tallies: Mapping[str, Tally]) -> list[str]:
    """The sources that are worth a look at every prediction, the oftenest right first."""
    order = sorted(tallies, key=lambda s: (-(tallies[s][0] + tallies[s][2]), tallies[s][3], s))
    return [s for s in order[:MAX_SOURCES] if tallies[s][2] >= MIN_RELIABILITY * tallies[s][3]]


def _mixed(outlook: Outlook, after: float, soon: float, share: float) -> Outlook:
    after = outlook.next + share * (after - outlook.next)
    return outlook._replace(next=after, soon=max(after, outlook.soon + share * (soon - outlook.soon)))


def _shares(shapes: Mapping[str, float]) -> list[tuple[float, list[str]]]:
    total = sum(shapes.values())
    best = sorted(shapes, key=lambda shape: (-shapes[shape], shape))[:MAX_SHAPES]
    return [(shapes[shape] / total, json.loads(shape)) for shape in best]
