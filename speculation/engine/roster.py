"""All sources known for one argument of one tool, evaluated together: each place is looked up once."""

import json
import math
from collections.abc import Container, Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from speculation.engine.identity import key_of
from speculation.engine.mapping import Missing, Source, parse_source, select, transform
from speculation.engine.memory import Family, Memory
from speculation.engine.value_choice import LEAST_ODDS, Option, log_odds
from speculation.engine.views import MAX_LIST, View

WHOLE = "*"
"""A mapping's entry for whole calls: `again 0` is the tool's latest call once more, a JSON object names one source an
argument that go together."""
AGAIN_RANKS = 4
NOTHING_USED: Mapping[Hashable, None] = {}
Tally = list[float]
"""[right, available] when the tool came next, [right, available] when it came before the next change of the world."""
MAX_OFFERED, MAX_OFFERED_BESIDE = 40, 10
"""Elements of a list that are compared, for an only argument and for one of several."""
_PLACES = [f"w{place if place < 12 else 12 + place // 8}" for place in range(MAX_LIST)]
NONE_GONE: Sequence[int] = ()
MAX_SITUATIONS = 8
"""Signatures after which a roster's constants are kept as options."""


def again_text(rank: int) -> str:
    return f"again {rank}"


def template_text(parts: Mapping[str, str]) -> str:
    return json.dumps(parts, sort_keys=True)


@lru_cache(maxsize=20000)
def template_parts(text: str) -> Mapping[str, str]:
    """Argument to source text; empty for `again`."""
    parts: Mapping[str, str] = json.loads(text) if text.startswith("{") else {}
    return parts


class _Group:
    """The sources that select from one place: (index of the source, rank)."""

    __slots__ = ("each", "family", "items", "nexts", "others")

    def __init__(self, family: Family) -> None:
        self.family = family
        self.items: list[tuple[int, int]] = []
        self.nexts: list[tuple[int, int]] = []
        self.each: int | None = None
        self.others: list[tuple[int, Source]] = []

    def add(self, index: int, source: Source) -> None:
        if not source.is_plain or source.selector == "following":
            self.others.append((index, source))
        elif source.selector == "next":
            self.nexts.append((index, source.rank))
        elif source.selector == "each":
            self.each = index
        else:
            self.items.append((index, source.rank))


class Roster:
    """Built from source texts and their counts; `options` gives the values that exist in a session now."""

    def __init__(self, tool: str, argument: str, tallies: Mapping[str, Tally]) -> None:
        self.tool, self.argument = tool, argument
        self.texts: list[str] = []
        self.tallies: list[Tally] = []
        self._odds: list[tuple[float, float]] = []
        self._constants: list[tuple[int, Any, Hashable]] = []
        self._after: dict[str | None, dict[Hashable, Option]] = {}
        """What the constants offer after a signature, or at all, as `_of_constants` gives it."""
        self._groups: dict[Family, _Group] = {}
        for text, tally in tallies.items():
            self.add(text, tally)

    def add(self, text: str, tally: Tally) -> None:
        """One more source. `tally` is kept, not copied."""
        source, index = parse_source(text), len(self.texts)
        self.texts.append(text)
        self.tallies.append(tally)
        self._odds.append(_odds(tally))
        self._after.clear()
        if source.constant is not None:
            value = json.loads(source.constant)
            self._constants.append((index, value, key_of(value)))
            return
        group = self._groups.get(source.family)
        if group is None:
            group = self._groups[source.family] = _Group(source.family)
        group.add(index, source)

    def weigh(self) -> None:
        """Look at the counts anew."""
        self._odds = [_odds(tally) for tally in self.tallies]
        self._after.clear()

    def options(self, memory: Memory, fresh_only: bool) -> dict[Hashable, Option]:
        """The distinct values that the sources have now, each with the sources that lead to it; by key.

        `fresh_only` leaves out values that the tool was already called with; that is for tools of one argument, which also
        choose among more elements of a list.
        """
        offered = MAX_OFFERED if fresh_only else MAX_OFFERED_BESIDE
        used = memory.used.get((self.tool, self.argument), NOTHING_USED)
        found = dict(self._of_constants(None if fresh_only else memory.situation))
        if fresh_only and used:
            for key in used.keys() & found.keys():
                del found[key]
        views = memory.views
        for group in self._groups.values():
            view = views.get(group.family) or memory.view(group.family)
            if view.keys:
                is_choice = bool(group.nexts) or group.each is not None
                gone = NONE_GONE
                if used and (is_choice or fresh_only):
                    gone = [at for key in used if (at := view.index.get(key)) is not None]
                if group.items:
                    self._items(found, group, view, gone if fresh_only else NONE_GONE)
                if is_choice:
                    self._fresh(found, group, view, gone, memory, used, offered)
                if group.others:
                    self._others(found, group, view, memory, used if fresh_only else NOTHING_USED)
        return found

    def _of_constants(self, situation: str | None) -> dict[Hashable, Option]:
        """The constants' options, shared by all who ask: kept until the counts are looked at anew. None: they have no marks
        of what happened last."""
        known = self._after.get(situation)
        if known is None:
            if len(self._after) >= MAX_SITUATIONS:
                self._after.clear()
            known = {}
            for index, value, key in self._constants:
                option = self._point(known, index, value, key)
                if situation is not None:
                    option.marks.append(f"{self.texts[index]} after {situation}")
            for option in known.values():
                option.is_shared = True
            self._after[situation] = known
        return known

    def _point(
        self, found: dict[Hashable, Option], index: int, value: Any, key: Hashable, spread: float = 0.0
    ) -> Option:
        """`spread`: the logarithm of how many values share the source's chance."""
        odds, soon = self._odds[index]
        if spread:
            odds, soon = odds - spread, soon - spread
        odds, soon = odds if odds > LEAST_ODDS else LEAST_ODDS, soon if soon > LEAST_ODDS else LEAST_ODDS
        option = found.get(key)
        if option is None:
            option = found[key] = Option(value, key, [index], [self.texts[index]], odds, soon)
            return option
        if option.is_shared:
            option = found[key] = option.copy()
        option.sources.append(index)
        option.marks.append(self.texts[index])
        if odds > option.odds:
            option.odds = odds
        if soon > option.odds_soon:
            option.odds_soon = soon
        return option

    def _items(self, found: dict[Hashable, Option], group: _Group, view: View, gone: Container[int]) -> None:
        keys, values, owners = view.keys, view.values, view.owners
        count = len(keys)
        for index, rank in group.items:
            at = rank if rank >= 0 else count + rank
            if 0 <= at < count and not (gone and at in gone):
                option = self._point(found, index, values[at], keys[at])
                if (owner := owners[at]) is not None:
                    option.records.append(owner)

    def _fresh(
        self,
        found: dict[Hashable, Option],
        group: _Group,
        view: View,
        gone: Sequence[int],
        memory: Memory,
        used: Mapping[Hashable, None],
        offered: int,
    ) -> None:
        """Sources that select among what the tool was not yet called with."""
        keys, values, owners = view.keys, view.values, view.owners
        fresh: Sequence[int] = [i for i in range(len(keys)) if i not in gone] if gone else range(len(keys))
        left = len(fresh)
        for index, rank in group.nexts:
            if rank < left:
                at = fresh[rank]
                option = self._point(found, index, values[at], keys[at])
                if (owner := owners[at]) is not None:
                    option.records.append(owner)
        if group.each is None:
            return
        if group.family.kind == "work":
            self._weighed(found, group.each, memory.workspace.weighed(group.family.path[1:]), used)
        elif left > 1:
            self._each(found, group.each, view, fresh[:offered], memory.query, math.log(left))

    def _each(
        self,
        found: dict[Hashable, Option],
        index: int,
        view: View,
        offered: Sequence[int],
        query: frozenset[str],
        spread: float,
    ) -> None:
        """All elements of a list, which share the source's chance."""
        text = self.texts[index]
        odds, odds_soon = self._odds[index]
        odds, odds_soon = max(odds - spread, LEAST_ODDS), max(odds_soon - spread, LEAST_ODDS)
        keys, values, owners = view.keys, view.values, view.owners
        for at, marks in zip(offered, view.marks(offered, query), strict=True):
            value, key = values[at], keys[at]
            if type(value) is list:
                continue
            option = found.get(key)
            if option is None:
                option = found[key] = Option(value, key, [index], [text, *marks], odds, odds_soon)
            else:
                if option.is_shared:
                    option = found[key] = option.copy()
                option.sources.append(index)
                option.marks += (text, *marks)
                option.odds = max(odds, option.odds)
                option.odds_soon = max(odds_soon, option.odds_soon)
            if (owner := owners[at]) is not None:
                option.records.append(owner)

    def _others(
        self,
        found: dict[Hashable, Option],
        group: _Group,
        view: View,
        memory: Memory,
        used: Mapping[Hashable, None],
    ) -> None:
        """Sources that make something else of what they select."""
        for index, source in group.others:
            if source.selector == "each" and source.family.kind == "work":
                self._weighed(found, index, memory.workspace.weighed(source.family.path[1:]), used, source.prefix)
                continue
            value = select(source, view, memory, self.tool, self.argument)
            if not isinstance(value, Missing) and not isinstance(value := transform(source, value), Missing):
                key = key_of(value)
                if key not in used:
                    self._point(found, index, value, key)

    def _weighed(
        self,
        found: dict[Hashable, Option],
        index: int,
        weighed: Sequence[tuple[str, float, list[str]]],
        used: Mapping[Hashable, None],
        prefix: str = "",
    ) -> None:
        """A list of the workspace: its own odds tell its values apart, and what is learned of their places and marks."""
        for place, (written, odds, marks) in enumerate(weighed):
            value = prefix + written
            option = self._point(found, index, value, value, -odds)
            option.marks.append(_PLACES[place])
            option.marks += marks
            if value in used:
                option.marks.append("again")


def _odds(tally: Tally) -> tuple[float, float]:
    return log_odds(tally[0], tally[1]), log_odds(tally[2], tally[3])
