"""Mining: counting, per context suffix, which tool came next and where its arguments came from.

The miner's state is the patterns. A finished session is one pass: linear in its events, nothing is mined again. Counts
decay by half every `half_life_sessions`; this is done by letting newer sessions weigh more, so old rows cost nothing.

    occurrences, support    how often the context was seen, how often the tool came next (arXiv 2603.18897: C, T, p)
    mapping                 per argument its sources: right and available, when the tool came next (f, late bound);
                            under "*" whole calls: earlier calls again, and sets of sources that go together
    statistics              soon: the tool was called before the next change of the world; sources_soon: the same as
                            `mapping` for that; shapes: which arguments were given; lead: seconds until it was asked

`Pattern.statistics["as_of"]` is the session count at which a row was written: rows written earlier are aged on reading.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from speculation.engine.counts import HALF_LIFE_SESSIONS, MAX_MAPPING_CONTEXT, Context, Row, Table, suffixes
from speculation.engine.discovery import discover
from speculation.engine.mapping import Source, parse_source
from speculation.engine.memory import Memory
from speculation.engine.roster import AGAIN_RANKS, WHOLE, Roster, again_text, template_parts, template_text
from speculation.engine.steps import Step, cut_into_steps
from speculation.engine.types import Event, Pattern, ToolTraits
from speculation.engine.values import Identity, identity, key_of

MAX_ROWS = 50_000
MAX_SOURCES = 40
"""Sources kept for one argument; a half more are counted before the least useful go."""
MAX_SHAPES = 8
MAX_WORDS = 300
"""Words kept for one tool."""
LEARN_ALWAYS_BELOW = 64.0
LEARN_EVERY = 8


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
        self._rosters: dict[tuple[str, str], Roster] = {}
        self._calls = 0

    def observe_session(self, events: Sequence[Event]) -> None:
        """Count one finished session, in the order of its events."""
        self._table.begin_session()
        memory, position = Memory(), 0
        for step in cut_into_steps(events, self._changes_world):
            for event in events[position : step.start]:
                memory.observe(event, self._cosmetic(event.tool))
            position = step.start
            self._learn(memory, step)
        for context, tool in self._table.evict(self._max_rows):
            if not context:
                self._rosters = {key: roster for key, roster in self._rosters.items() if key[0] != tool}

    def patterns(self) -> list[Pattern]:
        """All patterns, aged to the present session."""
        return list(self._table.patterns(self._table.places))

    def changed(self) -> list[Pattern]:
        """The patterns whose counts moved since the last call of this."""
        touched, self._touched = self._touched, set()
        return list(self._table.patterns(touched))

    def _changes_world(self, event: Event) -> bool:
        traits = self._tools.get(event.tool)
        return traits is None or traits.changes_world

    def _cosmetic(self, tool: str) -> frozenset[str]:
        traits = self._tools.get(tool)
        return traits.cosmetic_arguments if traits else frozenset()

    def _learn(self, memory: Memory, step: Step) -> None:
        contexts, weight = suffixes(memory.signatures), self._table.weight
        self._touched.update(contexts)
        places = [self._table.place(context) for context in contexts]
        for place in places:
            place.occurrences += weight
            place.row(step.tool).support += weight
        _count_words(places[0].row(step.tool).words, memory.words_now(), weight)
        soon: dict[str, list[tuple[int, Event]]] = {}
        for turns, call in step.soon:
            soon.setdefault(call.tool, []).append((turns, call))
        for tool, calls in soon.items():
            rows = [place.row(tool) for place in places[: MAX_MAPPING_CONTEXT + 1]]
            for row in rows:
                row.soon += weight
            _Lesson(self, memory, step, tool, calls, rows).learn()

    def roster(self, tool: str, argument: str, row: Row) -> Roster:
        """The sources known for an argument: those of the row without context."""
        known = self._rosters.get((tool, argument))
        if known is None:
            known = self._rosters[tool, argument] = Roster(tool, argument, list(row.sources.get(argument, ())))
        return known

    def forget_roster(self, tool: str, argument: str) -> None:
        """The argument's sources have changed."""
        self._rosters.pop((tool, argument), None)

    def should_discover(self, row: Row, explained: bool) -> bool:
        """Looking for new sources costs most of mining's time: always for few or unexplained calls, else now and then."""
        self._calls += 1
        return not explained or row.support < LEARN_ALWAYS_BELOW * self._table.weight or self._calls % LEARN_EVERY == 0

    @property
    def weight(self) -> float:
        return self._table.weight

    def identity_arguments(self, call: Event) -> dict[str, Any]:
        cosmetic = self._cosmetic(call.tool)
        return {name: value for name, value in call.arguments.items() if name not in cosmetic}


class _Lesson:
    """What one step teaches about the arguments of one tool that was called at once or soon."""

    def __init__(
        self, miner: Miner, memory: Memory, step: Step, tool: str, calls: list[tuple[int, Event]], rows: list[Row]
    ) -> None:
        self.miner, self.memory, self.tool, self.rows = miner, memory, tool, rows
        self.weight, self.base = miner.weight, rows[0]
        self.asked = memory.asked.get(tool, {})
        self.is_next = step.tool == tool
        self.soon = [(miner.identity_arguments(call), turns) for turns, call in calls]
        self.identities = [identity(tool, arguments) for arguments, _ in self.soon]
        self.next: dict[str, Any] | None = self.soon[0][0] if self.is_next else None
        self._lead(step, calls)

    def _lead(self, step: Step, calls: list[tuple[int, Event]]) -> None:
        """Seconds from the turn's start to the first call's."""
        began, asked = step.began_at, calls[0][1].started_at
        if asked > began > 0:
            self.base.lead[0] += self.weight * (asked - began)
            self.base.lead[1] += self.weight

    def learn(self) -> None:
        self._learn_again()
        self._learn_shape()
        fresh = [
            (a, turns) for (a, turns), call in zip(self.soon, self.identities, strict=True) if call not in self.asked
        ]
        if not fresh:
            return
        is_next = self.is_next and self.identities[0] not in self.asked
        self._see(is_next)
        now = [arguments for arguments, turns in fresh if turns == 0]
        values: dict[str, dict[str, Any]] = {}
        for argument in dict.fromkeys(name for arguments, _ in fresh for name in arguments):
            values[argument] = self._learn_argument(argument, [a for a, _ in fresh], now, is_next)
        if max(len(arguments) for arguments, _ in fresh) > 1:
            self._learn_together([a for a, _ in fresh], values, is_next)

    def _count(self, argument: str, source: str, is_next: bool, right: bool, right_soon: bool) -> None:
        weight = self.weight
        for row in self.rows:
            tally = row.tally(argument, source)
            tally[3] += weight
            if right_soon:
                tally[2] += weight
            if is_next:
                tally[1] += weight
                if right:
                    tally[0] += weight

    def _learn_again(self) -> None:
        first = self.identities[0] if self.is_next else None
        for rank, call in enumerate(list(self.asked)[: -AGAIN_RANKS - 1 : -1]):
            self._count(WHOLE, again_text(rank), self.is_next, call == first, call in self.identities)

    def _learn_shape(self) -> None:
        if self.next is None:
            return
        shapes, shape = self.base.shapes, json.dumps(sorted(self.next))
        shapes[shape] = shapes.get(shape, 0.0) + self.weight
        if len(shapes) > MAX_SHAPES:
            del shapes[min(shapes, key=lambda s: (shapes[s], s))]

    def _see(self, is_next: bool) -> None:
        for tool in ("", *self.memory.results):
            pair = self.base.seen.setdefault(tool, [0.0, 0.0])
            pair[1] += self.weight
            if is_next:
                pair[0] += self.weight

    def _learn_argument(
        self, argument: str, fresh: list[dict[str, Any]], now: list[dict[str, Any]], is_next: bool
    ) -> dict[str, Any]:
        """Count every known source's value, look for new sources; returns source to value."""
        soon = {key_of(arguments[argument]) for arguments in fresh if argument in arguments}
        wanted = key_of(self.next[argument]) if is_next and self.next and argument in self.next else None
        alone = all(len(arguments) == 1 for arguments in fresh)
        roster = self.miner.roster(self.tool, argument, self.base)
        values: dict[str, Any] = {}
        explained = wanted is None
        for index, value, key in roster.evaluate(self.memory, alone):
            source = roster.texts[index]
            values[source] = value
            self._count(argument, source, is_next, key == wanted, key in soon)
            explained = explained or (key == wanted and not source.startswith("="))
        if now and self.miner.should_discover(self.base, explained):
            for arguments in now:
                if argument in arguments:
                    values |= self._discover(argument, arguments[argument], is_next and arguments is now[0])
        return values

    def _discover(self, argument: str, value: Any, is_next: bool) -> dict[str, Any]:
        known = self.base.sources.setdefault(argument, {})
        found: dict[str, Any] = {}
        for source in discover(self.memory, self.tool, argument, value):
            if (text := str(source)) not in known:
                self._introduce(argument, text, source, is_next)
                found[text] = value
        if found:
            self.miner.forget_roster(self.tool, argument)
        if len(known) > MAX_SOURCES * 1.5:
            _drop_least(known, MAX_SOURCES)
        return found

    def _introduce(self, argument: str, text: str, source: Source, is_next: bool) -> None:
        """A source first seen now: it was there, and wrong, at about all earlier calls at which its tool had a result."""
        seen = self.base.seen.get(source.family.tool, self.base.seen[""])
        right = self.weight if is_next else 0.0
        self.base.sources[argument][text] = [right, max(seen[0], right), self.weight, seen[1]]
        for row in self.rows[1:]:
            tally = row.tally(argument, text)
            tally[:] = [right, max(row.support, right), self.weight, row.soon]

    def _learn_together(
        self, fresh: list[dict[str, Any]], values: Mapping[str, Mapping[str, Any]], is_next: bool
    ) -> None:
        """Count sets of sources, one an argument, as wholes: arguments that go together come from the same place."""
        wanted = _keys(self.next) if is_next and self.next else None
        soon = [_keys(arguments) for arguments in fresh]
        for text in list(self.base.sources.get(WHOLE, {})):
            if not (parts := template_parts(text)):
                continue
            made = {a: values.get(a, {}).get(s, values) for a, s in parts.items()}
            if all(value is not values for value in made.values()):
                keys = _keys(made)
                self._count(WHOLE, text, is_next, keys == wanted, keys in soon)
        if is_next and self.next:
            self._introduce_sets(self.next, values)

    def _introduce_sets(self, call: Mapping[str, Any], values: Mapping[str, Mapping[str, Any]]) -> None:
        right = {
            a: [s for s, v in values.get(a, {}).items() if key_of(v) == key_of(value)] for a, value in call.items()
        }
        if len(right) < 2 or not all(right.values()):
            return
        known = self.base.sources.setdefault(WHOLE, {})
        for parts in self._sets(right):
            if (text := template_text(parts)) not in known:
                known[text] = [self.weight, self.base.seen[""][0], self.weight, self.base.seen[""][1]]
        if len(known) > MAX_SOURCES:
            _drop_least(known, MAX_SOURCES // 2)

    def _sets(self, right: Mapping[str, list[str]]) -> list[dict[str, str]]:
        """The most reliable source of each argument; and, for the places that give most arguments, theirs first."""
        best = {a: max(sources, key=lambda s: (self._reliability(a, s), s)) for a, sources in right.items()}
        places: dict[tuple[str, str, str, int], dict[str, str]] = {}
        for argument, sources in right.items():
            for text in sources:
                source = parse_source(text)
                if source.constant is None:
                    place = (source.family.kind, source.family.tool, source.selector, source.rank)
                    places.setdefault(place, {}).setdefault(argument, text)
        most = sorted(places, key=lambda place: (-len(places[place]), place))[:3]
        return [best, *(best | places[place] for place in most if len(places[place]) > 1)]

    def _reliability(self, argument: str, source: str) -> float:
        right, available, *_ = self.base.sources[argument].get(source, (0.0, 1.0))
        return right / (available + self.weight)


def _count_words(words: dict[str, float], present: Iterable[str], weight: float) -> None:
    for word in present:
        words[word] = words.get(word, 0.0) + weight
    if len(words) > 2 * MAX_WORDS:
        kept = sorted(words, key=lambda w: (-words[w], w))[:MAX_WORDS]
        for word in set(words).difference(kept):
            del words[word]


def _keys(arguments: Mapping[str, Any]) -> Identity:
    return identity("", arguments)


def _drop_least(tallies: dict[str, list[float]], keep: int) -> None:
    order = sorted(tallies, key=lambda s: (-(tallies[s][0] + tallies[s][2]), tallies[s][3], s))
    for source in order[keep:]:
        del tallies[source]
