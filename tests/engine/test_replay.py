"""The replay hides what was guessed in time, charges what was not, and its oracles hide everything they may."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from speculation.engine.baselines import Chance, Ngram, NgramCounts, Oracle, Recalled, Wrong, reads_of
from speculation.engine.guessing import Guesser, NoGuesses, Offered, PatternGuesser
from speculation.engine.prediction import Predictor
from speculation.engine.replay import Totals, replay
from speculation.engine.script import RecordedSession, Script, World, drawn_seconds, write_script
from speculation.engine.steps import Step
from speculation.engine.types import Event, EventKind, Prediction, ToolTraits
from tests.engine.sessions import EVERY_TOOL, call, mine, research, user
from tools.base import ToolCall

WORLD = World(EVERY_TOOL, drawn_seconds(7))


def certain(*calls: ToolCall) -> list[Prediction]:
    return [Prediction(call, 0.9, 0.9, expected_use_seconds=60.0) for call in calls]


class Always(NoGuesses):
    """Guesses the same calls at every turn."""

    def __init__(self, *calls: ToolCall) -> None:
        self._calls = calls

    def guess(self, step: Step, k: int) -> list[Prediction]:
        return certain(*self._calls)


class While(NoGuesses):
    """Guesses at the start, and at given seconds of every turn."""

    def __init__(self, at_start: Sequence[ToolCall], *later: tuple[float, Sequence[ToolCall]]) -> None:
        self._at_start, self._later = at_start, later

    def guess(self, step: Step, k: int) -> list[Prediction]:
        return certain(*self._at_start)

    def during(self, step: Step, seconds: float) -> Iterable[Offered]:
        return [(at, certain(*calls)) for at, calls in self._later]


def script(events: Sequence[Event], seconds: float = 1.0, turn_seconds: float = 3.0) -> tuple[Script, World]:
    world = replace(WORLD, seconds_of=lambda key: seconds)
    return write_script(RecordedSession(events, dict.fromkeys(range(len(events)), turn_seconds)), world), world


def run(events: Sequence[Event], guesser: Guesser, seconds: float = 1.0, turn_seconds: float = 3.0) -> Totals:
    written, world = script(events, seconds, turn_seconds)
    return replay([written], lambda number: guesser, world)


def oracle(events: Sequence[Event], sees_all: bool, seconds: float) -> Totals:
    written, world = script(events, seconds)
    return replay([written], lambda number: Oracle(written, sees_all), replace(world, is_priced=False))


def several(turn: int, *asked: tuple[str, dict[str, object]]) -> list[Event]:
    """A model turn with several calls."""
    made = [
        Event(EventKind.TOOL, turn=turn, tool=tool, status="ok", arguments=given, result="x") for tool, given in asked
    ]
    return [Event(EventKind.LLM, turn=turn), *made]


def test_without_guesses_every_read_is_waited_for() -> None:
    totals = run(research("owls", ["a", "b"]), NoGuesses())
    assert totals.exposed_tool_seconds == totals.serial_tool_seconds == 3.0
    assert totals.task_seconds == 4 * 3.0 + 3.0


def test_a_turn_of_unknown_length_takes_three_seconds_and_none_more_than_twenty() -> None:
    events = research("owls", [])
    assert [turn.seconds for turn in write_script(RecordedSession(events), WORLD).turns] == [3.0, 3.0]
    assert [turn.seconds for turn in write_script(RecordedSession(events, {1: 90.0}), WORLD).turns] == [20.0, 3.0]


def test_an_oracle_of_the_turn_hides_what_fits_behind_the_models_thinking() -> None:
    assert oracle(research("owls", ["a", "b"]), False, 2.0).exposed_tool_seconds == 0.0
    assert oracle(research("owls", ["a", "b"]), False, 5.0).exposed_tool_seconds == 3 * 2.0


def test_an_oracle_of_everything_starts_early_and_hides_more() -> None:
    turn = oracle(research("owls", ["a", "b"]), False, 5.0)
    every = oracle(research("owls", ["a", "b"]), True, 5.0)
    assert (turn.exposed_tool_seconds, every.exposed_tool_seconds) == (6.0, 2.0)
    assert every.launches == every.hits == 3


def test_no_oracle_looks_past_a_change() -> None:
    events = [
        user("go"),
        *several(1, ("get_user", {"user_id": "1"}), ("update", {"id": "1"}), ("get_user", {"user_id": "2"})),
    ]
    assert oracle(events, False, 1.0).launches == oracle(events, True, 1.0).launches == 1


def test_wrong_guesses_are_wasted_and_change_nothing_else() -> None:
    totals = run(research("owls", ["a"]), Always(ToolCall("fetch", {"url": "nowhere"})))
    assert totals.exposed_tool_seconds == totals.serial_tool_seconds
    assert (totals.launches, totals.hits, totals.wasted_seconds, totals.wasted_calls) == (1, 0, 1.0, 1)


def test_a_result_serves_one_call() -> None:
    twice = [user("go"), *several(1, ("fetch", {"url": "u"}), ("fetch", {"url": "u"}))]
    totals = run(twice, Always(ToolCall("fetch", {"url": "u"})))
    assert (totals.launches, totals.hits, totals.exposed_tool_seconds) == (1, 1, 1.0)


def test_a_write_ends_what_is_held() -> None:
    events = [user("go"), *call(1, "update", "ok", id="1"), *call(2, "get_user", "u", user_id="7")]
    totals = run(events, Always(ToolCall("get_user", {"user_id": "7"})))
    assert (totals.launches, totals.hits) == (2, 1)
    assert totals.wasted_seconds == 1.0


def test_a_write_waits_for_the_reads_before_it_and_stops_what_runs() -> None:
    events = [
        user("go"),
        *several(1, ("get_user", {"user_id": "1"}), ("update", {"id": "1"}), ("get_user", {"user_id": "2"})),
    ]
    totals = run(events, Always(ToolCall("get_user", {"user_id": "2"})), seconds=5.0)
    assert totals.task_seconds == 3.0 + 3 * 5.0
    assert totals.exposed_tool_seconds == 10.0
    assert (totals.hits, totals.wasted_seconds) == (0, 5.0)


def test_reads_of_a_turn_start_together_and_the_longest_is_exposed() -> None:
    events = [user("go"), *several(1, ("get_user", {"user_id": "1"}), ("think", {}), ("get_user", {"user_id": "2"}))]
    totals = run(events, Always(ToolCall("get_user", {"user_id": "1"})))
    assert (totals.serial_tool_seconds, totals.exposed_tool_seconds) == (1.0, 1.0)
    assert totals.task_seconds == 4.0


def test_a_local_call_neither_ends_what_is_held_nor_is_guessed() -> None:
    events = [user("go"), *call(1, "think", "ok"), *call(2, "get_user", "u", user_id="7")]
    totals = run(events, Always(ToolCall("get_user", {"user_id": "7"}), ToolCall("think")))
    assert (totals.launches, totals.hits, totals.reads, totals.exposed_tool_seconds) == (1, 1, 1, 0.0)
    assert totals.refused["writes: not eligible"] == 2


def test_single_commands_are_judged_one_by_one() -> None:
    events = [user("go"), *call(1, "shell", "x", command="cat a"), *call(2, "shell", "x", command="rm a")]
    reads, changes = ToolCall("shell", {"command": "cat  'a'"}), ToolCall("shell", {"command": "rm a"})
    totals = run(events, Always(reads, changes))
    assert (totals.reads, totals.hits, totals.launches) == (1, 1, 2)
    assert totals.wasted_seconds == 1.0


def test_a_whole_serves_a_part_and_a_part_no_whole() -> None:
    whole, part = ToolCall("read", {"path": "f", "why": "x"}), ToolCall("read", {"path": "f", "offset": 3})
    of_part = [user("go"), *call(1, "read", "x", path="f", offset=3, why="y")]
    assert run(of_part, Always(whole)).hits == 1
    assert run([user("go"), *call(1, "read", "x", path="f")], Always(part)).hits == 0


def test_no_part_is_run_beside_its_held_whole() -> None:
    parts = Always(ToolCall("read", {"path": "f"}), ToolCall("read", {"path": "f", "offset": 3}))
    written, world = script([user("go"), *call(1, "think", "x"), *call(2, "think", "x")])
    totals = replay([written], lambda number: parts, world)
    assert totals.launched == [[2, 0]]


def test_no_more_runs_at_once_than_there_are_slots() -> None:
    many = [ToolCall("fetch", {"url": str(n)}) for n in range(9)]
    totals = run([user("go"), *call(1, "search", "x", query="q")], Always(*many), seconds=100.0)
    assert (totals.launches, totals.refused["no free slot"]) == (4, 5)


def test_a_guess_on_the_way_starts_at_its_moment() -> None:
    events = [user("go"), *call(1, "fetch", "x", url="u")]
    right = [ToolCall("fetch", {"url": "u"})]
    assert run(events, While([], (1.0, right)), seconds=5.0).exposed_tool_seconds == 3.0
    assert run(events, While([], (2.5, right)), seconds=5.0).exposed_tool_seconds == 4.5
    assert run(events, While([], (3.5, right)), seconds=5.0).launches == 0


def test_a_guess_on_the_way_takes_the_place_of_what_waits_and_not_of_what_runs() -> None:
    events = [user("go"), *call(1, "fetch", "x", url="u")]
    wrong = [ToolCall("fetch", {"url": str(n)}) for n in range(6)]
    totals = run(events, While(wrong, (1.0, [ToolCall("fetch", {"url": "u"})])), seconds=2.5)
    assert totals.launches == 5
    assert totals.exposed_tool_seconds == 2.0


def test_the_predictor_hides_part_of_what_it_learned() -> None:
    sessions = [
        research(topic, [f"{topic}1", f"{topic}2"]) for topic in ("owls", "bats", "cats", "rats", "ants", "bees")
    ]
    predictor = Predictor(mine(*sessions), WORLD.tools)
    totals = run(research("newts", ["e", "f"]), PatternGuesser(predictor))
    assert totals.hits == totals.reads == 3
    assert totals.exposed_tool_seconds == 0.0


def test_drawn_seconds_belong_to_the_call_and_the_seed() -> None:
    key = ToolTraits("read_section", True, False).identity({"section_id": "a"})
    assert drawn_seconds(1)(key) == drawn_seconds(1)(key)
    assert drawn_seconds(1)(key) != drawn_seconds(2)(key)
    assert 2.0 <= drawn_seconds(1)(key) <= 8.0


def test_guesses_can_be_recalled_and_replayed_alike() -> None:
    events = research("owls", ["a", "b"])
    right = Always(ToolCall("fetch", {"url": "https://example.org/a"}))
    turns = len(script(events)[0].turns)
    recalled = Recalled([right.guess(Step(0), 5) for _ in range(turns)])
    assert run(events, recalled) == run(events, right)


def test_an_n_gram_repeats_the_last_values() -> None:
    counts = NgramCounts([script(research("owls", ["a", "b"]))[0]])
    ngram = Ngram(counts, WORLD)
    (guess,) = ngram.guess(Step(0), 5)
    assert guess.call == ToolCall("search", {"query": "owls"})
    for event in research("newts", ["e", "f"])[:3]:
        ngram.observe(event)
    (guess,) = ngram.guess(Step(0), 5)
    assert guess.call == ToolCall("fetch", {"url": "https://example.org/b"})


def test_chance_launches_as_many_as_it_is_told_and_none_twice() -> None:
    written, world = script(research("owls", [str(n) for n in range(6)]))
    chance = Chance(reads_of([written]), [3, 2, 0], world, random.Random(1))
    guesses = [[p.call for p in chance.guess(Step(0), 5)] for _ in range(3)]
    assert [len(each) for each in guesses] == [3, 2, 0]
    keys = [repr(guess) for each in guesses for guess in each]
    assert len(set(keys)) == 5


@pytest.mark.parametrize("seed", range(3))
def test_all_wrong_launches_as_many_hides_nothing_and_costs_no_time(seed: int) -> None:
    events = research("owls", ["a", "b"])
    written, world = script(events)
    launched = replay([written], lambda number: Oracle(written, True), replace(world, is_priced=False)).launched
    free = replace(world, is_priced=False)
    wrong = replay([written], lambda n: Wrong(reads_of([written]), launched[n], world, random.Random(seed)), free)
    serial = replay([written], lambda n: NoGuesses(), world)
    assert (wrong.launches, wrong.hits) == (3, 0)
    assert wrong.task_seconds == serial.task_seconds
