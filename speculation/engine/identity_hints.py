"""Which arguments may not change a tool's work: counted from finished sessions, shown to whoever declares its policy. Pure.

A pair is two calls of one session, with no change of the world between them, that differ in a single argument. Where the
results of such pairs are equal as a rule, the argument is suggested as cosmetic; nothing acts on a suggestion. Calls that
failed or gave nothing are left out: "no such user" is the same for every user.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from speculation.engine.types import Event, EventKind, ToolTraits

COMPARED_CALLS = 8
"""A call is compared with so many of its tool's latest calls, and makes at most one pair, with the latest that fits."""
MAX_ARGUMENTS = 32
"""Arguments counted for one tool: a model can invent names without end."""
MAX_COUNT = 200
"""Counts are halved beyond it, so that they follow a tool that changes. They do not age otherwise."""
LEAST_SHARE = 0.8
Z_ONE_SIDED_95 = 1.645
_FREE_TEXT_SPACES = 2
_ABSENT = object()

Counts = dict[str, list[int]]
"""Argument to [pairs with equal results, with different ones, free texts that no earlier call gave, calls], as in JSON."""


class Hint(NamedTuple):
    """What is known of one argument."""

    argument: str
    equal: int = 0
    different: int = 0
    fresh: int = 0
    """How often its value was a text of three words or more that no earlier call of the session gave."""
    calls: int = 0

    @property
    def pairs(self) -> int:
        return self.equal + self.different

    @property
    def share_at_least(self) -> float:
        """Lower end of the one-sided 95 % interval (Wilson) of the share of pairs with equal results; 0 without pairs."""
        return _wilson_lower(self.equal, self.pairs)

    @property
    def is_suggested(self) -> bool:
        """True if it seems cosmetic: 11 of 11 pairs is the least evidence that does. Free text alone never does."""
        return self.share_at_least >= LEAST_SHARE


def hints_of(counts: Mapping[str, Iterable[int]]) -> list[Hint]:
    """The counts as hints, by name of the argument."""
    return [Hint(argument, *numbers) for argument, numbers in sorted(counts.items())]


def count_hints(
    events: Iterable[Event], tools: Mapping[str, ToolTraits], counts_of: Callable[[str], Counts], known: int = 0
) -> None:
    """Add one session to the counts of its tools, in place. Linear in the events. `known`: so many of its first events were
    counted before, and are there to be compared with."""
    recent: dict[str, deque[Event]] = {}
    texts: set[str] = set()
    for number, event in enumerate(events):
        if event.kind != EventKind.TOOL:
            continue
        traits = tools.get(event.tool)
        if traits is None or traits.may_change_world(event.arguments):
            recent.clear()
        elif len(event.arguments) > 1:
            counts = counts_of(event.tool) if number >= known else {}
            _count_texts(event.arguments, texts, counts)
            if event.status == "ok" and event.result:
                earlier = recent.setdefault(event.tool, deque(maxlen=COMPARED_CALLS))
                _count_pair(event, earlier, traits, counts)
                earlier.append(event)


def _count_texts(arguments: Mapping[str, Any], texts: set[str], counts: Counts) -> None:
    for name, value in arguments.items():
        numbers = _numbers(counts, name)
        if type(value) is str and value.count(" ") >= _FREE_TEXT_SPACES and value not in texts:
            texts.add(value)
            numbers[2] += 1
        numbers[3] += 1
        if numbers[3] > MAX_COUNT:
            numbers[2:] = [numbers[2] // 2, numbers[3] // 2]


def _count_pair(event: Event, earlier: deque[Event], traits: ToolTraits, counts: Counts) -> None:
    for other in reversed(earlier):
        name = _only_difference(event.arguments, other.arguments, traits.cosmetic_arguments)
        if name is None:
            continue
        numbers = _numbers(counts, name)
        numbers[0 if event.result == other.result else 1] += 1
        if numbers[0] + numbers[1] > MAX_COUNT:
            numbers[:2] = [numbers[0] // 2, numbers[1] // 2]
        return


def _only_difference(one: Mapping[str, Any], other: Mapping[str, Any], cosmetic: frozenset[str]) -> str | None:
    """The argument in which two calls differ; None if they differ in none or in several. Cosmetic ones do not count."""
    found = None
    for name, value in one.items():
        if other.get(name, _ABSENT) != value and name not in cosmetic:
            if found is not None:
                return None
            found = name
    for name in other:
        if name not in one and name not in cosmetic:
            if found is not None:
                return None
            found = name
    return found


def _numbers(counts: Counts, argument: str) -> list[int]:
    found = counts.get(argument)
    if found is None:
        found = [0, 0, 0, 0]
        if len(counts) < MAX_ARGUMENTS:
            counts[argument] = found
    return found


def _wilson_lower(equal: int, pairs: int) -> float:
    if not pairs:
        return 0.0
    share, z2 = equal / pairs, Z_ONE_SIDED_95**2
    spread = Z_ONE_SIDED_95 * math.sqrt(share * (1 - share) / pairs + z2 / (4 * pairs * pairs))
    return max(0.0, (share + z2 / (2 * pairs) - spread) / (1 + z2 / pairs))
