"""Making a likely tool concrete: from the values its sources have now to whole calls with their probabilities.

Arguments are combined as if independent, corrected by the counts of sets of sources that were seen to go together; a call
asked for before is only ever predicted as "again", unless the tool's calls come again as a matter of course.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from operator import attrgetter, itemgetter
from typing import Any

from speculation.engine.identity import Identity
from speculation.engine.memory import Memory
from speculation.engine.priors import Chance, Priors
from speculation.engine.roster import AGAIN_RANKS, WHOLE, Roster, again_text, template_parts
from speculation.engine.value_choice import Option

MAX_VALUES = 4
"""Values of one argument that are combined with those of others."""
MAX_CALLS = 6

_likeliness = attrgetter("next")


@dataclass(slots=True)
class Candidate:
    """A whole call's arguments, with its probabilities given that the tool is called."""

    arguments: dict[str, Any]
    next: float
    soon: float
    chosen: Sequence["_Value"] = ()
    whole: str = ""
    """Where the whole call comes from, if not from one source an argument."""

    @property
    def sources(self) -> dict[str, str]:
        """Per argument where its value was taken from."""
        return {WHOLE: self.whole} if self.whole else {v.name: v.source for v in self.chosen}


@dataclass(slots=True)
class _Value:
    name: str
    option: Option
    next: float
    soon: float
    roster: Roster

    @property
    def source(self) -> str:
        return self.roster.texts[self.option.sources[0]]


HOPELESS = "too unlikely"


def bind(
    priors: Priors, memory: Memory, tool: str, repeats: bool, is_hopeless: Callable[[float], bool] = lambda most: False
) -> tuple[list[Candidate], str]:
    """Candidates for a call of the tool, and, if there are none, the reason. `repeats`: as ToolTraits.repeats.

    `is_hopeless` is asked with the most that a candidate's probability can still be; where it says so, binding stops with
    what is known by then, and the reason is HOPELESS.
    """
    asked = {} if repeats else memory.asked.get(tool, {})
    wholes = priors.wholes(tool, memory.signatures)
    found: dict[Identity, Candidate] = _again(asked, wholes) if asked else {}
    together = max([c.next for text, c in wholes.items() if text[0] == "{"], default=0.0)
    reason = "never seen with arguments"
    for share, names in priors.shapes(tool):
        values, missing = _values(
            priors, memory, tool, names, not repeats and len(names) == 1, lambda most: is_hopeless(max(most, together))
        )
        if missing == HOPELESS:
            return list(found.values()), HOPELESS
        if missing:
            reason = reason if found else missing
            continue
        for key, candidate in _combine(names, values, wholes).items():
            call = (tool, key)
            if call not in asked and call not in found:
                candidate.next *= share
                candidate.soon *= share
                found[call] = candidate
    total = sum([candidate.next for candidate in found.values()])
    if total > 1.0:
        for candidate in found.values():
            candidate.next /= total
    return list(found.values()), reason


def _again(asked: Mapping[Identity, Mapping[str, Any]], wholes: Mapping[str, Chance]) -> dict[Identity, Candidate]:
    found = {}
    for rank, (call, arguments) in enumerate(list(asked.items())[: -AGAIN_RANKS - 1 : -1]):
        chance = wholes.get(again_text(rank))
        if chance is not None:
            found[call] = Candidate(dict(arguments), chance.next, chance.soon, whole=again_text(rank))
    return found


def _values(
    priors: Priors,
    memory: Memory,
    tool: str,
    names: Sequence[str],
    fresh_only: bool,
    is_hopeless: Callable[[float], bool],
) -> tuple[list[list[_Value]], str]:
    """Per argument its distinct values with their chances; and, where an argument has none, why.

    The argument that is least often derivable is looked at first: it says soonest that there is no hope.
    """
    rosters = priors.rosters(tool)
    situation = memory.signatures[-1] if memory.signatures else ""
    values: dict[str, list[_Value]] = {}
    most = 1.0
    for name in sorted(names, key=lambda name: (priors.choice(tool, name).derivable, name)):
        roster = rosters.get(name)
        options = list(roster.options(memory, fresh_only).values()) if roster else []
        if not options or roster is None:
            return [], f"no source of {name} has a value"
        chances = priors.choice(tool, name).chances(options, situation)
        values[name] = [
            _Value(name, option, after, soon, roster) for option, (after, soon) in zip(options, chances, strict=True)
        ]
        most *= max([max(chance) for chance in chances])
        if is_hopeless(most):
            return [], HOPELESS
    return [values[name] for name in names], ""


Key = tuple[tuple[str, Hashable], ...]


def _combine(
    names: Sequence[str], values: Sequence[Sequence[_Value]], sets: Mapping[str, Chance]
) -> dict[Key, Candidate]:
    """The likeliest calls, by the names and keys of their arguments."""
    if len(names) == 1:
        best: Iterable[tuple[float, float, tuple[_Value, ...]]] = [(v.next, v.soon, (v,)) for v in values[0]]
    else:
        best = _likeliest(values)
    calls = {_key(chosen): Candidate(_arguments(chosen), after, soon, chosen) for after, soon, chosen in best}
    if len(names) > 1 and sets:
        _correct(calls, values, sets)
    return calls


def _key(chosen: Sequence[_Value]) -> Key:
    return tuple([(v.name, v.option.key) for v in chosen])


def _arguments(chosen: Sequence[_Value]) -> dict[str, Any]:
    return {v.name: v.option.value for v in chosen}


def _likeliest(values: Sequence[Sequence[_Value]]) -> list[tuple[float, float, tuple[_Value, ...]]]:
    """The MAX_CALLS combinations with the largest products; whatever is not among the best beginnings cannot be."""
    best: list[tuple[float, float, tuple[_Value, ...]]] = [(1.0, 1.0, ())]
    for of_argument in values:
        likely = nlargest(MAX_VALUES, of_argument, key=_likeliness)
        longer = [_together(p, soon, chosen, v) for p, soon, chosen in best for v in likely]
        best = nlargest(MAX_CALLS, longer, key=itemgetter(0))
    return best


SAME_RECORD = 6.0
"""How much likelier values are together that one record holds, though never likelier than each alone."""


def _together(
    after: float, soon: float, chosen: tuple[_Value, ...], value: _Value
) -> tuple[float, float, tuple[_Value, ...]]:
    records = value.option.records
    for other in chosen:
        if records.isdisjoint(other.option.records):
            continue
        likelier = min(after, value.next, SAME_RECORD * after * value.next)
        return likelier, min(soon, value.soon, SAME_RECORD * soon * value.soon), (*chosen, value)
    return after * value.next, soon * value.soon, (*chosen, value)


def _correct(calls: dict[Key, Candidate], values: Sequence[Sequence[_Value]], sets: Mapping[str, Chance]) -> None:
    """Raise the calls that known sets of sources lead to."""
    by_source = {
        (v.name, v.roster.texts[index]): v for of_argument in values for v in of_argument for index in v.option.sources
    }
    for text, chance in sets.items():
        chosen = [by_source.get(part) for part in template_parts(text).items()]
        if len(chosen) != len(values) or None in chosen:
            continue
        complete = [value for value in chosen if value is not None]
        known = calls.get(key := _key(complete))
        if known is None:
            known = calls[key] = Candidate(_arguments(complete), 0.0, 0.0, complete)
        known.next, known.soon = max(known.next, chance.next), max(known.soon, chance.soon)
