"""Which of the values that an agent gives again and again comes next: `git status`, `npm test`. Chosen by signs, like the tool.

A source tells what a value depends on; these depend on the situation alone. Which of them is given, or another value, is
learned by a ToolChoice of its own, from the signs of the next tool and from what the last command lines did: "git status" when
the user says "commit this", and after a commit.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from speculation.engine.tool_choice import ToolChoice, Weight

MAX_HABITS = 24
GIVEN_OFTEN = 3.0
"""A value becomes a habit when it was right so often, next and soon together: after two or three calls."""
LONGEST_HABIT = 80
MAX_SHOWN_SIGNS = 120
"""Signs of one habit that its pattern holds."""
STEPS_TO_COUNT_FULLY = 1000.0
"""So many calls learned from, and habits are taken at their word; with fewer they count less beside what sources say of the same
values. An agent of 20 sessions had .20 of its calls named first by habits alone, .23 without, .24 by both."""
OTHER = ""


class Habits:
    """Those of one argument of one tool."""

    def __init__(self, shown: Mapping[str, Any] | None = None) -> None:
        """`shown`: what a pattern holds of them."""
        self._choice = ToolChoice()
        self._choice.put(OTHER, {})
        if shown:
            self._choice.steps = float(shown["steps"])
            for value, weights in shown["signs"].items():
                self._choice.put(value, weights)

    @property
    def values(self) -> Sequence[str]:
        return [value for value in self._choice.tools if value != OTHER]

    def take_up(self, value: Hashable, times: float) -> None:
        """A value that was given so many times: it may have become a habit."""
        known = self._choice.tools
        if times < GIVEN_OFTEN or not isinstance(value, str) or len(value) > LONGEST_HABIT:
            return
        if value not in known and len(known) <= MAX_HABITS:
            self._choice.put(value, {})

    def learn(self, signs: Sequence[str], wanted: Hashable | None, soon: Iterable[Hashable]) -> None:
        """One call of the tool: `wanted` is its value if it comes next, None if it does not; `soon` are all that came before the
        next change of the world."""
        known = self._choice.tools
        came_soon = [value for value in soon if isinstance(value, str) and value in known]
        came_next = None if wanted is None else wanted if isinstance(wanted, str) and wanted in known else OTHER
        self._choice.learn(signs, came_next, came_soon)

    def chances(self, signs: Sequence[str]) -> dict[Hashable, tuple[float, float]]:
        """P(next) and P(soon) of each, given that the tool is called."""
        if len(self._choice.tools) < 2:
            return {}
        after, soon = self._choice.chances(signs).tolist()
        return {value: (after[at], soon[at]) for value, at in self._choice.tools.items() if value != OTHER}

    @property
    def share(self) -> float:
        """What they count beside what sources say of the same values."""
        return min(1.0, self._choice.steps / STEPS_TO_COUNT_FULLY)

    def shown(self) -> dict[str, Any]:
        """For the pattern."""
        signs: dict[str, dict[str, Weight]] = {
            value: self._choice.of_tool(value, MAX_SHOWN_SIGNS) for value in self._choice.tools
        }
        return {
            "steps": round(self._choice.steps, 3),
            "signs": {value: {sign: list(weight) for sign, weight in of.items()} for value, of in signs.items()},
        }

    def age(self, scale: float) -> None:
        """Make what was learned count less."""
        self._choice.age(scale)


def settled(
    chances: Sequence[tuple[float, float]],
    keys: Sequence[Hashable],
    known: Mapping[Hashable, tuple[float, float]],
    share: float,
) -> list[tuple[float, float]]:
    """The chances of an argument's values, where those of habits are moved by `share` of the way to what `known` says of them,
    and the others share what these leave of P(next)."""
    habits = [key in known for key in keys]
    moved = [
        (after + share * (known[key][0] - after), soon + share * (known[key][1] - soon)) if is_habit else (after, soon)
        for (after, soon), key, is_habit in zip(chances, keys, habits, strict=True)
    ]
    taken = sum([after for (after, _), is_habit in zip(moved, habits, strict=True) if is_habit])
    before = sum([after for (after, _), is_habit in zip(chances, habits, strict=True) if is_habit])
    scale = (1.0 - min(taken, 1.0)) / max(1.0 - before, 1e-6)
    return [
        chance if is_habit else (chance[0] * scale, chance[1]) for chance, is_habit in zip(moved, habits, strict=True)
    ]
