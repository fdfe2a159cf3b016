"""The values of one place in what was seen, and what may speak for each of them."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from speculation.engine.identity import key_of
from speculation.engine.tokens import YEARS, periods_in, stems

MAX_LIST = 64
"""Values kept of one place: what lies further down a list is not predicted."""
MAX_WORDY = 120
"""Characters of a field that may name its record."""


class View:
    """The distinct values of one place, in order, and where each stands. `owners`: the record round each, or None."""

    __slots__ = ("_from", "_marks", "_periods", "_words", "index", "keys", "owners", "values")

    def __init__(self, values: Iterable[Any] = (), owners: Iterable[Any] = ()) -> None:
        self.index: dict[Hashable, int] = {}
        self.keys: list[Hashable] = []
        self.values: list[Any] = []
        self.owners: list[Any] = []
        self._words: dict[int, list[str]] = {}
        self._periods: dict[int, list[tuple[int, int]]] = {}
        self._from: list[tuple[View, int]] = []
        """The views that this one's values were taken from, and where they stand there; empty if from none."""
        self._marks: tuple[frozenset[str], tuple[int, ...], list[list[str]]] | None = None
        index, keys = self.index, self.keys
        for value, owner in zip_longest(values, owners):
            key = value if type(value) is str else key_of(value)
            if key not in index:
                index[key] = len(keys)
                keys.append(key)
                self.values.append(value)
                self.owners.append(owner)
                if len(keys) >= MAX_LIST:
                    break

    @classmethod
    def together(cls, views: Iterable["View"]) -> "View":
        """One place out of several, the first ones' values first."""
        made = cls()
        index, keys, values, owners, origin = made.index, made.keys, made.values, made.owners, made._from
        for view in views:
            for at, key in enumerate(view.keys):
                if key not in index:
                    index[key] = len(keys)
                    keys.append(key)
                    values.append(view.values[at])
                    owners.append(view.owners[at])
                    origin.append((view, at))
                    if len(keys) >= MAX_LIST:
                        return made
        return made

    def words(self, at: int) -> list[str]:
        """The words of a value and of the record round it, in a fixed order."""
        known = self._words.get(at)
        if known is None:
            if self._from:
                view, there = self._from[at]
                known = view.words(there)
            else:
                known = sorted(words_of(self.values[at], self.owners[at]))
            self._words[at] = known
        return known

    def periods(self, at: int) -> list[tuple[int, int]]:
        """The periods of years that a value or the record round it names, first and last year of each."""
        known = self._periods.get(at)
        if known is None:
            known = self._periods[at] = periods_in(" ".join(_texts(self.values[at], self.owners[at])))
        return known

    def marks(self, offered: Sequence[int], query: frozenset[str]) -> list[list[str]]:
        """What may speak for each of these elements: its place among them, its own words, how many it shares with `query`.

        A period of years that holds one that is asked for counts as a shared word. What many elements share counts for
        little. Kept until the query is another or others are offered.
        """
        known, which = self._marks, tuple(offered)
        if known is None or known[0] is not query or known[1] != which:
            years = sorted(map(int, query & YEARS))
            held = _held([self.periods(at) for at in offered], years) if years else {}
            known = self._marks = query, which, _marks_of([self.words(at) for at in offered], query, held)
        return known[2]


_RANKS = ("r0", "r1", "r2", "r3", "r4", "r5", "r5", "r7", "r7")


_CLOSEST = ("c0", "c1", "c2")


def _held(periods: Sequence[Sequence[tuple[int, int]]], years: Iterable[int]) -> dict[int, float]:
    """Places of elements with a period that holds one of the years, and how much that says of each."""
    held: dict[int, float] = {}
    for year in years:
        holders = [place for place, known in enumerate(periods) if any(first <= year <= last for first, last in known)]
        for place in holders:
            held[place] = held.get(place, 0.0) + 1.0 / len(holders)
    return held


def _marks_of(
    words: Sequence[Sequence[str]], query: frozenset[str], held: Mapping[int, float]
) -> list[list[str]]:
    spread: dict[str, int] = {}
    for found in words:
        for word in found:
            spread[word] = spread.get(word, 0) + 1
    most = len(words) / 2
    marked = []
    closeness = []
    for rank, found in enumerate(words):
        marks = [word for word in found if spread[word] <= most]
        shared = sum([1.0 / spread[word] for word in marks if word in query]) + held.get(rank, 0.0)
        marks.append(_RANKS[rank] if rank < len(_RANKS) else "r9")
        if shared:
            marks.append("s1" if shared < 0.45 else "s2" if shared < 1.0 else "s3")
            closeness.append((-shared, rank))
        marked.append(marks)
    for order, (_, rank) in enumerate(sorted(closeness)[:3]):
        marked[rank].append(_CLOSEST[order])
    marked[-1].append("last")
    return marked


NOTHING = View()


def words_of(value: Any, owner: Any) -> frozenset[str]:
    """The words of a value and of the record that holds it: what a person would call it by."""
    return stems(" ".join(_texts(value, owner)))


def _texts(value: Any, owner: Any) -> list[str]:
    texts = [str(value)]
    if isinstance(owner, tuple):
        texts.append(str(owner[0]))
        owner = owner[1]
    if isinstance(owner, Mapping):
        texts += [text for text in owner.values() if type(text) is str and len(text) <= MAX_WORDY]
    return texts
