"""Making a likely tool concrete: from the values its sources have now to whole calls with their probabilities.

A value is as likely as its most reliable source. Arguments are combined as if independent, corrected by the counts of
sets of sources that were seen to go together; a call asked for before is only ever predicted as "again".
"""

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from speculation.engine.memory import Memory
from speculation.engine.priors import Chance, Priors
from speculation.engine.roster import AGAIN_RANKS, WHOLE, again_text, template_parts
from speculation.engine.values import Identity, identity

MAX_VALUES = 6
"""Values of one argument that are combined with those of others."""
MAX_CALLS = 12


@dataclass(slots=True)
class Candidate:
    """A whole call's arguments, with its probabilities given that the tool is called."""

    arguments: dict[str, Any]
    next: float
    soon: float
    sources: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Value:
    value: Any
    next: float
    soon: float
    all_sources: list[str]

    @property
    def source(self) -> str:
        return self.all_sources[0]


def bind(priors: Priors, memory: Memory, tool: str) -> tuple[list[Candidate], str]:
    """Candidates for a call of the tool, and, if there are none, the reason."""
    chances = priors.chances(tool, memory.signatures)
    asked = memory.asked.get(tool, {})
    found: dict[Identity, Candidate] = {}
    _again(found, asked, chances.get(WHOLE, {}))
    reason = "never seen with arguments"
    for share, names in priors.shapes(tool):
        values, missing = _values(priors, memory, tool, names)
        if missing:
            reason = reason if found else missing
            continue
        for candidate in _combine(names, values, chances.get(WHOLE, {})):
            call = identity(tool, candidate.arguments)
            if call not in asked and call not in found:
                candidate.next, candidate.soon = candidate.next * share, candidate.soon * share
                found[call] = candidate
    total = sum(candidate.next for candidate in found.values())
    if total > 1.0:
        for candidate in found.values():
            candidate.next /= total
    return list(found.values()), reason


def _again(
    found: dict[Identity, Candidate], asked: Mapping[Identity, Mapping[str, Any]], chances: Mapping[str, Chance]
) -> None:
    for rank, (call, arguments) in enumerate(list(asked.items())[: -AGAIN_RANKS - 1 : -1]):
        chance = chances.get(again_text(rank))
        if chance is not None:
            found[call] = Candidate(dict(arguments), chance.next, chance.soon, {WHOLE: again_text(rank)})


def _values(
    priors: Priors, memory: Memory, tool: str, names: Sequence[str]
) -> tuple[dict[str, dict[Any, _Value]], str]:
    """Per argument its distinct values with their chances; and, where an argument has none, why."""
    rosters = priors.rosters(tool)
    situation = memory.signatures[-1] if memory.signatures else ""
    values: dict[str, dict[Any, _Value]] = {}
    for name in names:
        roster = rosters.get(name)
        options = list(roster.options(memory, len(names) == 1).values()) if roster else []
        if not options or roster is None:
            return {}, f"no source of {name} has a value"
        chances = priors.choice(tool, name).chances(options, situation)
        values[name] = {
            option.key: _Value(option.value, after, soon, [roster.texts[i] for i in option.sources])
            for option, (after, soon) in zip(options, chances, strict=True)
        }
    return values, ""


def _combine(
    names: Sequence[str], values: Mapping[str, Mapping[Any, _Value]], sets: Mapping[str, Chance]
) -> list[Candidate]:
    if len(names) == 1:
        name = names[0]
        return [Candidate({name: v.value}, v.next, v.soon, {name: v.source}) for v in values[name].values()]
    best = [heapq.nlargest(MAX_VALUES, values[name].values(), key=lambda v: v.next) for name in names]
    calls: dict[Identity, Candidate] = {}
    for chosen in _likeliest(best):
        candidate = Candidate(
            {n: v.value for n, v in zip(names, chosen, strict=True)},
            math.prod(v.next for v in chosen),
            math.prod(v.soon for v in chosen),
            {n: v.source for n, v in zip(names, chosen, strict=True)},
        )
        calls[identity("", candidate.arguments)] = candidate
    _correct(calls, names, values, sets)
    return list(calls.values())


def _likeliest(best: Sequence[Sequence[_Value]]) -> list[tuple[_Value, ...]]:
    """The MAX_CALLS combinations with the largest products, each list being sorted already."""
    start = (0,) * len(best)
    heap = [(-math.prod(v[0].next for v in best), start)]
    seen = {start}
    found: list[tuple[_Value, ...]] = []
    while heap and len(found) < MAX_CALLS:
        _, at = heapq.heappop(heap)
        found.append(tuple(values[i] for values, i in zip(best, at, strict=True)))
        for place in range(len(at)):
            step = (*at[:place], at[place] + 1, *at[place + 1 :])
            if step[place] < len(best[place]) and step not in seen:
                seen.add(step)
                heapq.heappush(heap, (-math.prod(v[i].next for v, i in zip(best, step, strict=True)), step))
    return found


def _correct(
    calls: dict[Identity, Candidate],
    names: Sequence[str],
    values: Mapping[str, Mapping[Any, _Value]],
    sets: Mapping[str, Chance],
) -> None:
    """Raise the calls that known sets of sources lead to."""
    by_source: dict[tuple[str, str], Any] = {}
    for name in names:
        for value in values[name].values():
            by_source.update(dict.fromkeys(((name, source) for source in value.all_sources), value.value))
    for text, chance in sets.items():
        parts = template_parts(text)
        if len(parts) != len(names) or any((n, parts.get(n, "")) not in by_source for n in names):
            continue
        arguments = {n: by_source[n, parts[n]] for n in names}
        known = calls.setdefault(identity("", arguments), Candidate(arguments, 0.0, 0.0, dict(parts)))
        known.next, known.soon = max(known.next, chance.next), max(known.soon, chance.soon)
