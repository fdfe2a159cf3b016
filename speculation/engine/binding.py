"""Making a likely tool concrete: from the values its sources have now to whole calls with their probabilities.

Arguments are combined as if independent, corrected by the counts of sets of sources that were seen to go together: what such
a set leads to is as likely as the set is reliable, and what none leads to comes soon only as likely as calls of the tool are new in
that way (two values that both come soon need not come in one call). A call asked for before is only ever predicted as "again",
unless the tool's calls come again as a matter of course.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from heapq import nlargest
from operator import attrgetter, itemgetter
from typing import Any

from speculation.engine.counts import Context
from speculation.engine.habits import settled
from speculation.engine.identity import Identity
from speculation.engine.memory import Memory
from speculation.engine.priors import Chance, Priors
from speculation.engine.roster import AGAIN_RANKS, WHOLE, Roster, again_text, template_parts
from speculation.engine.value_choice import Option

MAX_VALUES = 4
"""Values of one argument that are combined with those of others."""
MAX_CALLS = 6

_likeliness = attrgetter("next")


class Candidate:
    """A whole call's arguments, with its probabilities given that the tool is called."""

    __slots__ = ("_arguments", "_chosen", "_whole", "next", "soon")

    def __init__(
        self,
        after: float,
        soon: float,
        chosen: Sequence["_Value"] = (),
        arguments: Mapping[str, Any] | None = None,
        whole: str = "",
    ) -> None:
        """`chosen`: a value for each argument; or `arguments`, if they were all taken from one place, which is `whole`."""
        self.next = after
        self.soon = soon
        self._chosen = chosen
        self._arguments = arguments
        self._whole = whole

    @property
    def arguments(self) -> dict[str, Any]:
        if self._arguments is not None:
            return dict(self._arguments)
        return {v.roster.argument: v.option.value for v in self._chosen}

    @property
    def key(self) -> "Key":
        """The names and keys of the arguments that were chosen."""
        return _key(self._chosen)

    @property
    def kind(self) -> tuple[str, ...]:
        """The texts of its sources, in the order of the arguments' names."""
        return (self._whole,) if self._whole else tuple([v.source for v in self._chosen])

    @property
    def sources(self) -> dict[str, str]:
        """Per argument where its value was taken from."""
        return {WHOLE: self._whole} if self._whole else {v.roster.argument: v.source for v in self._chosen}


class _Value:
    """One value of one argument, with its probabilities given that the tool is called."""

    __slots__ = ("next", "option", "roster", "soon")

    def __init__(self, option: Option, after: float, soon: float, roster: Roster) -> None:
        self.option = option
        self.next = after
        self.soon = soon
        self.roster = roster

    @property
    def source(self) -> str:
        return self.roster.texts[self.option.sources[0]]


HOPELESS = "too unlikely"


Valued = tuple[list[_Value], float]
"""An argument's distinct values, and the largest of their chances."""


class Offers:
    """The values that arguments may have as a session stands; each argument's are weighed once until the next event."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._known: dict[tuple[str, str, bool], list[Option]] = {}
        self._valued: dict[tuple[str, str, bool], Valued] = {}

    def clear(self) -> None:
        """The session went on: look again."""
        self._known.clear()
        self._valued.clear()

    def of(self, roster: Roster, fresh_only: bool) -> list[Option]:
        """As Roster.options."""
        key = roster.tool, roster.argument, fresh_only
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = list(roster.options(self.memory, fresh_only).values())
        return known

    def values(self, priors: Priors, contexts: Sequence[Context], tool: str, name: str, fresh_only: bool) -> Valued:
        """No values where no source of the argument has one. The contexts are those that the session stands in."""
        key = tool, name, fresh_only
        known = self._valued.get(key)
        if known is None:
            known = self._valued[key] = self._weighed(priors, contexts, tool, name, fresh_only)
        return known

    def _weighed(self, priors: Priors, contexts: Sequence[Context], tool: str, name: str, fresh_only: bool) -> Valued:
        roster = priors.rosters(tool, contexts).get(name)
        options = self.of(roster, fresh_only) if roster else []
        if not options or roster is None:
            return [], 0.0
        chances = priors.choice(tool, name, contexts).chances(options, self.memory.situation)
        habits = priors.habits(tool, name, contexts)
        if habits is not None and (known := habits.chances(self.memory.habit_signs(habits.values))):
            chances = settled(chances, [option.key for option in options], known, habits.share)
        values = [_Value(option, after, soon, roster) for option, (after, soon) in zip(options, chances, strict=True)]
        return values, max([max(chance) for chance in chances])

    def look_up(self, priors: Priors, contexts: Sequence[Context], tool: str, repeats: bool) -> None:
        """Look up what a call of the tool would be bound from, before anybody asks."""
        priors.wholes(tool, contexts)  # which keeps them
        for _, names in priors.shapes(tool):
            for name in names:
                if not self.values(priors, contexts, tool, name, not repeats and len(names) == 1)[0]:
                    break


def _never(most: float) -> bool:
    return False


def bind(
    priors: Priors,
    offers: Offers,
    contexts: Sequence[Context],
    tool: str,
    repeats: bool,
    is_hopeless: Callable[[float], bool] = _never,
) -> tuple[list[Candidate], str]:
    """Candidates for a call of the tool, and, if there are none, the reason. `repeats`: as ToolTraits.repeats.

    `is_hopeless` is asked with the most that a candidate's probability can still be; where it says so before any was found,
    binding stops, and the reason is HOPELESS. Those found share the tool's chance with the others, so these are looked at.
    """
    memory = offers.memory
    asked = {} if repeats else memory.asked.get(tool, {})
    wholes = priors.wholes(tool, contexts)
    found = _again(asked, wholes) if asked else []
    together = max([c.next for text, c in wholes.items() if text[0] == "{"], default=0.0)
    reason = "never seen with arguments"
    for share, names in priors.shapes(tool):
        values, missing = _values(
            priors,
            offers,
            contexts,
            tool,
            names,
            not repeats and len(names) == 1,
            _never if found else lambda most: is_hopeless(max(most, together)),
        )
        if missing == HOPELESS:
            return found, HOPELESS
        if missing:
            reason = reason if found else missing
            continue
        calls = _combine(values, wholes, share, priors.novelty(tool, contexts))
        found += [one for one in calls if (tool, one.key) not in asked] if asked else calls
    total = sum([candidate.next for candidate in found])
    if total > 1.0:
        for candidate in found:
            candidate.next /= total
    return found, reason


def _again(asked: Mapping[Identity, Mapping[str, Any]], wholes: Mapping[str, Chance]) -> list[Candidate]:
    return [
        Candidate(chance.next, chance.soon, (), arguments, again_text(rank))
        for rank, arguments in enumerate(list(asked.values())[: -AGAIN_RANKS - 1 : -1])
        if (chance := wholes.get(again_text(rank))) is not None
    ]


def _values(
    priors: Priors,
    offers: Offers,
    contexts: Sequence[Context],
    tool: str,
    names: Sequence[str],
    fresh_only: bool,
    is_hopeless: Callable[[float], bool],
) -> tuple[list[list[_Value]], str]:
    """Per argument its distinct values with their chances; and, where an argument has none, why.

    The first argument is the least often derivable one: it says soonest that there is no hope.
    """
    values: dict[str, list[_Value]] = {}
    most = 1.0
    for name in names:
        values[name], best = offers.values(priors, contexts, tool, name, fresh_only)
        if not values[name]:
            return [], f"no source of {name} has a value"
        most *= best
        if is_hopeless(most):
            return [], HOPELESS
    return [values[name] for name in sorted(names)], ""


Key = tuple[tuple[str, Hashable], ...]


def _combine(
    values: Sequence[Sequence[_Value]], sets: Mapping[str, Chance], share: float, novelty: float
) -> list[Candidate]:
    """The likeliest calls. `share`: of the tool's calls, those with these arguments; `novelty`: those that no known set makes."""
    if len(values) == 1:
        return [Candidate(v.next * share, v.soon * share, (v,)) for v in values[0]]
    calls = {_key(chosen): Candidate(after, soon, chosen) for after, soon, chosen, _ in _likeliest(values)}
    if sets:
        _correct(calls, values, sets, novelty)
    for candidate in calls.values():
        candidate.next *= share
        candidate.soon *= share
    return list(calls.values())


def _key(chosen: Sequence[_Value]) -> Key:
    return tuple([(v.roster.argument, v.option.key) for v in chosen])


SAME_RECORD = 6.0
"""How much likelier values are together that one record holds, though never likelier than each alone."""

Together = tuple[float, float, tuple[_Value, ...], frozenset[int]]
"""P(next) and P(soon) of values of the first arguments, these, and the identities of the records that hold them."""


def _likeliest(values: Sequence[Sequence[_Value]]) -> list[Together]:
    """The MAX_CALLS combinations with the largest products; whatever is not among the best beginnings cannot be."""
    best: list[Together] = [(1.0, 1.0, (), frozenset())]
    for of_argument in values:
        likely = nlargest(MAX_VALUES, of_argument, key=_likeliness) if len(of_argument) > 1 else of_argument
        records = [frozenset(map(id, value.option.records)) for value in likely]
        longer = [_together(begun, v, held) for begun in best for v, held in zip(likely, records, strict=True)]
        best = nlargest(MAX_CALLS, longer, key=itemgetter(0)) if len(longer) > 1 else longer
    return best


def _together(begun: Together, value: _Value, records: frozenset[int]) -> Together:
    after, soon, chosen, held = begun
    if not records:
        return after * value.next, soon * value.soon, (*chosen, value), held
    if held.isdisjoint(records):
        return after * value.next, soon * value.soon, (*chosen, value), held | records
    likelier = min(after, value.next, SAME_RECORD * after * value.next)
    sooner = min(soon, value.soon, SAME_RECORD * soon * value.soon)
    return likelier, sooner, (*chosen, value), held | records


def _correct(
    calls: dict[Key, Candidate], values: Sequence[Sequence[_Value]], sets: Mapping[str, Chance], novelty: float
) -> None:
    """Raise the calls that known sets of sources lead to; the others hardly come soon. Which comes next they compete for."""
    by_source = {
        (v.roster.argument, v.roster.texts[index]): v
        for of_argument in values
        for v in of_argument
        for index in v.option.sources
    }
    made: set[Key] = set()
    for text, chance in sets.items():
        chosen = [by_source.get(part) for part in template_parts(text).items()]
        if len(chosen) != len(values) or None in chosen:
            continue
        complete = [value for value in chosen if value is not None]
        known = calls.get(key := _key(complete))
        made.add(key)
        if known is None:
            known = calls[key] = Candidate(0.0, 0.0, complete)
        known.next, known.soon = max(known.next, chance.next), max(known.soon, chance.soon)
    for key, call in calls.items():
        if key not in made:
            call.soon *= novelty
