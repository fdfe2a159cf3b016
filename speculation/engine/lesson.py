"""What one step of a session teaches about the arguments of one tool that was called at once or soon."""

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from speculation.engine.counts import Row
from speculation.engine.discovery import UNPLACED, choices_in, discover
from speculation.engine.habits import Habits
from speculation.engine.identity import Identity, identity, key_of
from speculation.engine.mapping import Source
from speculation.engine.memory import Memory
from speculation.engine.roster import AGAIN_RANKS, WHOLE, Roster, Tally, again_text
from speculation.engine.source_sets import SourceSets, Values
from speculation.engine.source_worth import MAX_SOURCES, drop_least_of_argument
from speculation.engine.steps import Step
from speculation.engine.value_choice import Option, ValueChoice

MAX_FOUND_ONCE = 400
TEACH_ALL_BELOW, TEACH_EVERY = 3000, 4
"""Steps of a tool that are all lessons; of later ones one in a few is."""
SURE_AFTER = 24
"""Calls of a tool in a row that came as was thought, after which one in a few is a lesson, until one does not."""
MAX_SHAPES = 8
MAX_CHOSEN_FROM = 2
"""Lists of one argument among whose elements a choice is learned."""
LEARN_ALWAYS_BELOW = 16.0
LEARN_EVERY = 8
LEARN_UNEXPLAINED_EVERY = 3
WEIGH_ALWAYS_BELOW = 16
WEIGH_EVERY = 24
"""Lessons after which the reliability of sources is looked at anew."""


class Learner:
    """What is shared by all lessons of one tool: the rosters of its arguments, kept in step with their counts."""

    def __init__(self, tool: str, base: Row, repeats: bool, habitual: str = "") -> None:
        """`repeats`: as ToolTraits.repeats: what was asked before is a candidate like any other. `habitual`: the argument that
        holds command lines, if one does."""
        self.tool, self.base, self.repeats, self.habitual = tool, base, repeats, habitual
        self.sets = SourceSets(base)
        self._steps = [0, 0]
        self._as_thought = 0
        self._rosters: dict[str, Roster] = {}
        self._found_once: set[str] = set()
        self._looks = 0
        self._lessons: dict[str, int] = {}

    def how_often(self, is_next: bool) -> int:
        """For how many such steps this one is to stand as a lesson, 0 for none: all of the first teach, then one in a few; and
        one in a few of those that teach nothing, since they come as was thought."""
        self._steps[is_next] += 1
        steps = self._steps[is_next]
        if steps <= TEACH_ALL_BELOW and self._as_thought < SURE_AFTER:
            return 1
        return TEACH_EVERY if steps % TEACH_EVERY == 0 else 0

    def came(self, as_thought: bool) -> None:
        """How the tool's next call compares with what was thought before."""
        self._as_thought = self._as_thought + 1 if as_thought else 0

    def roster(self, argument: str) -> Roster:
        """The sources known for an argument, their reliability as it was counted not long ago."""
        known = self._rosters.get(argument)
        if known is None:
            known = self._rosters[argument] = Roster(self.tool, argument, self.base.sources.get(argument, {}))
        lessons = self._lessons[argument] = self._lessons.get(argument, 0) + 1
        if lessons < WEIGH_ALWAYS_BELOW or lessons % WEIGH_EVERY == 0:
            known.weigh()
        return known

    def choice(self, argument: str) -> ValueChoice:
        found = self.base.choices.get(argument)
        if found is None:
            found = self.base.choices[argument] = ValueChoice()
        return found

    def habits(self, argument: str) -> Habits:
        found = self.base.habits.get(argument)
        if found is None:
            found = self.base.habits[argument] = Habits()
        return found

    def should_discover(self, explained: bool, weight: float) -> bool:
        """Looking for new sources costs most of mining's time: always for few or unexplained calls, else now and then."""
        self._looks += 1
        if self.base.support < LEARN_ALWAYS_BELOW * weight:
            return True
        return self._looks % (LEARN_EVERY if explained else LEARN_UNEXPLAINED_EVERY) == 0

    def believes(self, source: Source, text: str) -> bool:
        """A template is believed when it is found a second time: any long value holds something by accident."""
        if len(source.prefix) + len(source.suffix) <= 1 or source.family == UNPLACED or text in self._found_once:
            return True
        if len(self._found_once) < MAX_FOUND_ONCE:
            self._found_once.add(text)
        return False

    def drop_least(self, argument: str) -> None:
        """Too many sources of an argument are known: the least useful go."""
        drop_least_of_argument(self.base.sources[argument])
        self._rosters.pop(argument, None)


class Lesson:
    """One step's calls of one tool. `calls`: (turns from now, call) until the next change of the world."""

    def __init__(
        self,
        learner: Learner,
        memory: Memory,
        step: Step,
        calls: Sequence[tuple[int, dict[str, Any]]],
        rows: Sequence[Row],
        weight: float,
        times: float,
    ) -> None:
        """`weight`: what it counts; `times`: for how many such steps it stands."""
        self.learner, self.memory, self.tool, self.rows = learner, memory, learner.tool, rows
        self.weight, self.times, self.base = weight, times, learner.base
        self.situation = memory.situation
        self.asked = {} if learner.repeats else memory.asked.get(self.tool, {})
        self.is_next = step.tool == self.tool
        self.soon = calls
        self.identities = [identity(self.tool, arguments) for _, arguments in calls]
        self.next: dict[str, Any] | None = calls[0][1] if self.is_next else None
        self.has_several = self.next is not None and len(self.next) > 1
        self._as_thought = True

    def learn(self) -> None:
        self._learn_again()
        if self.next is not None:
            self._learn_shape(self.next)
        fresh = [
            (turns, arguments)
            for (turns, arguments), call in zip(self.soon, self.identities, strict=True)
            if call not in self.asked
        ]
        if fresh:
            self._learn_fresh(fresh)
        if self.is_next:
            self.learner.came(self._as_thought)

    def _learn_fresh(self, fresh: Sequence[tuple[int, dict[str, Any]]]) -> None:
        is_next = self.is_next and self.identities[0] not in self.asked
        self._see(is_next)
        alone = not self.learner.repeats and all(len(arguments) == 1 for _, arguments in fresh)
        values = {
            argument: self._learn_argument(argument, fresh, is_next, alone)
            for argument in dict.fromkeys(name for _, arguments in fresh for name in arguments)
        }
        if is_next and self.next and self.has_several:
            self._learn_together(self.next, fresh, values)

    def _learn_again(self) -> None:
        if not self.asked:
            return
        first = self.identities[0] if self.is_next else None
        for rank, call in enumerate(list(self.asked)[: -AGAIN_RANKS - 1 : -1]):
            right, soon = call == first, call in self.identities
            for row in self.rows:
                self._count(row.tally(WHOLE, again_text(rank)), self.is_next, right, soon)

    def _count(self, tally: list[float], is_next: bool, right: bool, right_soon: bool) -> None:
        weight = self.weight
        tally[3] += weight
        if right_soon:
            tally[2] += weight
        if is_next:
            tally[1] += weight
            if right:
                tally[0] += weight

    def _learn_shape(self, arguments: Mapping[str, Any]) -> None:
        shapes, shape = self.base.shapes, json.dumps(sorted(arguments))
        shapes[shape] = shapes.get(shape, 0.0) + self.weight
        if len(shapes) > MAX_SHAPES:
            del shapes[min(shapes, key=lambda s: (shapes[s], s))]

    def _see(self, is_next: bool) -> None:
        unplaced = (str(UNPLACED),) if self.memory.workspace.values("unplaced") else ()
        for tool in ("", *self.memory.results, *unplaced):
            pair = self.base.seen.get(tool)
            if pair is None:
                pair = self.base.seen[tool] = [0.0, 0.0]
            pair[1] += self.weight
            if is_next:
                pair[0] += self.weight

    def _learn_argument(
        self, argument: str, fresh: Sequence[tuple[int, dict[str, Any]]], is_next: bool, alone: bool
    ) -> Values:
        """Count every known source's value, look for new sources; returns source to value, where that is asked for."""
        soon = {key_of(arguments[argument]) for _, arguments in fresh if argument in arguments}
        wanted = key_of(self.next[argument]) if is_next and self.next and argument in self.next else None
        roster = self.learner.roster(argument)
        options = roster.options(self.memory, alone)
        if argument == self.learner.habitual:
            self._learn_habits(argument, is_next, wanted, soon)
        choice, offered = self.learner.choice(argument), list(options.values())
        self._as_thought &= choice.learn(offered, self.situation, is_next, wanted, soon, self.times)
        self._count_all(roster, options, is_next, wanted, soon)
        texts = roster.texts
        values: Values = {}
        if self.has_several:
            values = {texts[i]: (option.value, option.key) for option in options.values() for i in option.sources}
        right = options.get(wanted) if wanted is not None else None
        explained = wanted is None or (right is not None and any(texts[i][0] != "=" for i in right.sources))
        now = [arguments[argument] for turns, arguments in fresh if turns == 0 and argument in arguments]
        is_new_place = not explained and bool(self.memory.workspace.values("unplaced"))
        if now and (self.learner.should_discover(explained, self.weight) or is_new_place):
            for place_in_turn, value in enumerate(now):
                self._discover(argument, value, is_next and place_in_turn == 0, values)
        return values

    def _learn_habits(self, argument: str, is_next: bool, wanted: Hashable, soon: set[Hashable]) -> None:
        habits = self.learner.habits(argument)
        known = self.base.sources.get(argument, {})
        for value in soon:
            if type(value) is str and (tally := known.get(f"= {json.dumps(value)}")):
                habits.take_up(value, (tally[0] + tally[2]) / self.weight)
        habits.learn(self.memory.habit_signs(habits.values), wanted if is_next else None, soon)

    def _count_all(
        self, roster: Roster, options: Mapping[Hashable, Option], is_next: bool, wanted: Hashable, soon: set[Hashable]
    ) -> None:
        """Count what each source gave. One that gave a whole list counts once, and soon right as often as it has elements that
        came: the odds are shared out among the elements again (`Roster._each`)."""
        weight, tallies = self.weight, roster.tallies
        for index in {index for option in options.values() for index in option.sources}:
            tally = tallies[index]
            tally[3] += weight
            if is_next:
                tally[1] += weight
        if is_next and (right := options.get(wanted)):
            for index in right.sources:
                tallies[index][0] += weight
        for key in soon:
            if option := options.get(key):
                for index in option.sources:
                    tallies[index][2] += weight

    def _discover(self, argument: str, value: Any, is_next: bool, values: Values) -> None:
        known = self.base.sources.setdefault(argument, {})
        roster = self.learner.roster(argument)
        found = discover(self.memory, self.tool, argument, value)
        for source in found:
            if (text := str(source)) not in known and self.learner.believes(source, text):
                known[text] = self._introduced(source, is_next)
                roster.add(text, known[text])
                values[text] = (value, key_of(value))
        for source in choices_in(found, self.memory):
            if (text := str(source)) not in known and sum(
                text.startswith("each of r") for text in known
            ) < MAX_CHOSEN_FROM:
                known[text] = self._introduced(source, is_next)
                roster.add(text, known[text])
        if len(known) > MAX_SOURCES * 1.5:
            self.learner.drop_least(argument)

    def _introduced(self, source: Source, is_next: bool) -> Tally:
        """A source first seen now: it was there, and wrong, at about all earlier calls at which its tool had a result."""
        seen = self.base.seen.get(source.family.tool or str(source.family), self.base.seen[""])
        right = self.weight if is_next else 0.0
        return [right, max(seen[0], right), self.weight, seen[1]]

    def _learn_together(
        self, call: Mapping[str, Any], fresh: Sequence[tuple[int, dict[str, Any]]], values: Mapping[str, Values]
    ) -> None:
        """Count sets of sources, one an argument, as wholes; and how often a call that sources led to was made by none of them."""
        wanted = {argument: key_of(value) for argument, value in call.items()}
        soon = {_keys(arguments)[1] for _, arguments in fresh}
        is_new = True
        for text, made in self.learner.sets.made_from(values):
            right = len(made) == len(wanted) and all(wanted.get(a) == key for a, key in made)
            is_new = is_new and not right
            for row in self.rows:
                self._count(row.tally(WHOLE, text), True, right, right or made in soon)
        if self.learner.sets.introduce(wanted, values, self.weight):
            counts = self.base.seen.setdefault(WHOLE, [0.0, 0.0])
            counts[0] += self.weight * is_new
            counts[1] += self.weight


def _keys(arguments: Mapping[str, Any]) -> Identity:
    return identity("", arguments)
