"""Which sources of an argument are worth keeping, and which a look at every prediction: by how often each was right."""

from collections.abc import Iterable, Mapping, Sequence

from speculation.engine.discovery import is_home
from speculation.engine.roster import Tally

MAX_SOURCES = 40
"""Sources of one argument; a half more are counted before the least useful go."""
MAX_HOMES = 8
"""Places of relative names that are kept beside them: each is right seldom, and in a new session one of them is."""
KEPT_SOURCES = 5
MIN_RELIABILITY = 0.12
"""Sources more seldom right than this are not looked at, but for the best few."""
KEPT_CONSTANTS, RIGHT_OF_CONSTANT = 12, 6.0
"""Constants of a tool whose calls come again, such as command lines, that are looked at however seldom they are right, and how
often each must have been: `git status` is given once in sixty commands, but often when the user spoke. Of other tools such
values are those of the tasks that were learned from."""


def looked_at(tallies: Mapping[str, Tally], is_repeating: bool) -> list[str]:
    """The sources of one argument that are worth a look, the oftenest right first; and all places where an agent works.

    Constants of a tool whose calls do not come again stand back behind other sources, unless they are reliable: most are of the
    tasks that were learned from, given by each of their sessions, and would keep out what the words and results of another say.
    """
    homes = sorted(filter(is_home, tallies))
    others = [source for source in tallies if not is_home(source)]
    if not is_repeating:
        return _constants_last(tallies, others) + homes
    best = reliable(tallies, others) + homes
    right = [s for s, t in tallies.items() if _is_constant(s) and s not in best and _right(t) >= RIGHT_OF_CONSTANT]
    return best + sorted(right, key=lambda s: (-_right(tallies[s]), s))[:KEPT_CONSTANTS]


def _constants_last(tallies: Mapping[str, Tally], among: Sequence[str]) -> list[str]:
    found = reliable(tallies, [source for source in among if not _is_constant(source)])
    constants = _oftenest_right_first(tallies, filter(_is_constant, among))
    found += [source for source in constants if _is_reliable(tallies[source])]
    unreliable = [source for source in constants if not _is_reliable(tallies[source])]
    return found + unreliable[: max(0, KEPT_SOURCES - len(found))]


def reliable(tallies: Mapping[str, Tally], among: Iterable[str]) -> list[str]:
    """Those of them that are often enough right, the oftenest right first; a few of the others where they are too few."""
    order = _oftenest_right_first(tallies, among)
    found = [s for s in order[:MAX_SOURCES] if _is_reliable(tallies[s])]
    return found if len(found) >= KEPT_SOURCES else order[:KEPT_SOURCES]


def drop_least_of_argument(tallies: dict[str, Tally]) -> None:
    """Of one argument's sources those that were least often right go."""
    drop_least(tallies, MAX_SOURCES, [source for source in tallies if not is_home(source)])
    drop_least(tallies, MAX_HOMES, list(filter(is_home, tallies)))


def drop_least(tallies: dict[str, Tally], keep: int, among: Iterable[str]) -> None:
    """All but so many of them go, the least often right."""
    for source in _oftenest_right_first(tallies, among)[keep:]:
        del tallies[source]


def _oftenest_right_first(tallies: Mapping[str, Tally], among: Iterable[str]) -> list[str]:
    return sorted(among, key=lambda s: (-_right(tallies[s]), tallies[s][3], s))


def _is_constant(source: str) -> bool:
    return source[0] == "="


def _is_reliable(tally: Tally) -> bool:
    return tally[2] >= MIN_RELIABILITY * tally[3]


def _right(tally: Tally) -> float:
    """How often it was right, when the tool came next or soon."""
    return tally[0] + tally[2]
