"""Sets of sources, one an argument, that lead to whole calls: arguments that go together come from the same place."""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from speculation.engine.counts import Row
from speculation.engine.mapping import parse_source
from speculation.engine.roster import AGAIN_RANKS, WHOLE, template_parts, template_text
from speculation.engine.source_worth import drop_least

MAX_SETS = 24
"""Sets kept for one tool; a half more are counted before the least useful go."""

Values = dict[str, tuple[Any, Hashable]]
"""Source to its value and the value's key."""
NO_VALUES: Values = {}


class SourceSets:
    """The sets known for one tool: texts in its row without context, under WHOLE."""

    def __init__(self, base: Row) -> None:
        self._base = base
        self._known = _parts(base.sources.get(WHOLE, {}))

    def made_from(self, values: Mapping[str, Values]) -> Iterator[tuple[str, tuple[tuple[str, Hashable], ...]]]:
        """The sets whose sources all have a value, with these: (argument, the value's key). `values`: by argument."""
        for text, parts in self._known.items():
            made: list[tuple[str, Hashable]] = []
            for argument, source in parts:
                value = values.get(argument, NO_VALUES).get(source)
                if value is None:
                    break
                made.append((argument, value[1]))
            else:
                yield text, tuple(made)

    def introduce(self, wanted: Mapping[str, Hashable], values: Mapping[str, Values], weight: float) -> bool:
        """Sets that would have led to the call with these keys. False where not every argument had a source that did."""
        right = {
            argument: [source for source, (_, key) in values.get(argument, NO_VALUES).items() if key == wanted_key]
            for argument, wanted_key in wanted.items()
        }
        if not all(right.values()):
            return False
        known, seen = self._base.sources.setdefault(WHOLE, {}), self._base.seen[""]
        for parts in self._choose(right, weight):
            if (text := template_text(parts)) not in known:
                known[text] = [weight, seen[0], weight, seen[1]]
                self._known[text] = tuple(template_parts(text).items())
        if len(self._known) > MAX_SETS * 1.5:
            drop_least(known, MAX_SETS + AGAIN_RANKS, known)
            self._known = {text: parts for text, parts in self._known.items() if text in known}
        return True

    def _choose(self, right: Mapping[str, list[str]], weight: float) -> list[dict[str, str]]:
        """The most reliable source of each argument; and, for the places that give most arguments, theirs first."""
        best = {a: max(sources, key=lambda s: (self._reliability(a, s, weight), s)) for a, sources in right.items()}
        places: dict[tuple[str, str, str, int], dict[str, str]] = {}
        for argument, sources in right.items():
            for text in sources:
                source = parse_source(text)
                if source.constant is None:
                    place = (source.family.kind, source.family.tool, source.selector, source.rank)
                    places.setdefault(place, {}).setdefault(argument, text)
        most = sorted(places, key=lambda place: (-len(places[place]), place))[:3]
        return [best, *(best | places[place] for place in most if len(places[place]) > 1)]

    def _reliability(self, argument: str, source: str, weight: float) -> float:
        right, available, *_ = self._base.sources[argument].get(source, (0.0, 1.0))
        return right / (available + weight)


def _parts(texts: Mapping[str, object]) -> dict[str, tuple[tuple[str, str], ...]]:
    return {text: tuple(parts.items()) for text in texts if (parts := template_parts(text))}
