"""The replay hides what was guessed in time, charges what was not, and its oracles hide everything they may."""

import pytest

from speculation.engine.prediction import Predictor
from speculation.engine.replay import (
    Guesser,
    NoGuesses,
    Oracle,
    PatternGuesser,
    RecordedSession,
    Totals,
    World,
    drawn_seconds,
    replay,
    with_drawn_means,
)
from speculation.engine.steps import Step
from speculation.engine.types import Prediction
from tests.engine.sessions import TOOLS, call, mine, research, user
from tools.base import ToolCall

WORLD = World(with_drawn_means(TOOLS.values()), drawn_seconds(7))


class Always(NoGuesses):
    """Guesses the same calls at every turn."""

    def __init__(self, *calls: ToolCall) -> None:
        self._calls = calls

    def guess(self, step: Step, k: int) -> list[Prediction]:
        return [Prediction(call, 0.9, 0.9, expected_use_seconds=60.0) for call in self._calls]


def run(events: list[object], guesser: Guesser, seconds: float = 1.0, turn_seconds: float = 3.0) -> Totals:
    world = World(WORLD.tools, lambda call: seconds)
    return replay([RecordedSession(events, [turn_seconds] * 9)], lambda: guesser, world)  # type: ignore[arg-type]


def test_without_guesses_every_read_is_waited_for() -> None:
    totals = run(research("owls", ["a", "b"]), NoGuesses())
    assert totals.exposed_tool_seconds == totals.serial_tool_seconds == 3.0
    assert totals.task_seconds == 4 * 3.0 + 3.0


def test_an_oracle_of_the_turn_hides_what_fits_behind_the_models_thinking() -> None:
    assert run(research("owls", ["a", "b"]), Oracle(sees_all=False), seconds=2.0).exposed_tool_seconds == 0.0
    assert run(research("owls", ["a", "b"]), Oracle(sees_all=False), seconds=5.0).exposed_tool_seconds == 3 * 2.0


def test_an_oracle_of_everything_starts_early_and_hides_more() -> None:
    turn = run(research("owls", ["a", "b"]), Oracle(sees_all=False), seconds=5.0)
    every = run(research("owls", ["a", "b"]), Oracle(sees_all=True), seconds=5.0)
    assert every.exposed_tool_seconds < turn.exposed_tool_seconds


def test_wrong_guesses_are_wasted_and_change_nothing_else() -> None:
    totals = run(research("owls", ["a"]), Always(ToolCall("fetch", {"url": "nowhere"})))
    assert totals.exposed_tool_seconds == totals.serial_tool_seconds
    assert (totals.launches, totals.hits, totals.wasted_seconds) == (1, 0, 1.0)


def test_a_result_serves_one_call() -> None:
    twice = [user("go"), *call(1, "fetch", "x", url="u"), *call(2, "fetch", "x", url="u")]
    totals = run(twice, Always(ToolCall("fetch", {"url": "u"})))
    assert (totals.launches, totals.hits) == (2, 2)


def test_a_write_ends_what_is_held() -> None:
    events = [user("go"), *call(1, "update", "ok", id="1"), *call(2, "get_user", "u", user_id="7")]
    totals = run(events, Always(ToolCall("get_user", {"user_id": "7"})))
    assert (totals.launches, totals.hits) == (2, 1)
    assert totals.wasted_seconds == 1.0


def test_no_more_runs_at_once_than_there_are_slots() -> None:
    many = [ToolCall("fetch", {"url": str(n)}) for n in range(9)]
    assert run([user("go"), *call(1, "search", "x", query="q")], Always(*many), seconds=100.0).launches == 4


def test_the_predictor_hides_part_of_what_it_learned() -> None:
    predictor = Predictor(mine(research("owls", ["a", "b"]), research("bats", ["c", "d"])), WORLD.tools)
    totals = run(research("newts", ["e", "f"]), PatternGuesser(predictor))
    assert totals.hits == totals.reads == 3
    assert totals.exposed_tool_seconds == 0.0


def test_drawn_seconds_belong_to_the_call_and_the_seed() -> None:
    one = ToolCall("read_section", {"section_id": "a"})
    assert drawn_seconds(1)(one) == drawn_seconds(1)(ToolCall("read_section", {"section_id": "a"}))
    assert drawn_seconds(1)(one) != drawn_seconds(2)(one)
    assert 2.0 <= drawn_seconds(1)(one) <= 8.0


def test_the_predictor_is_asked_before_the_turn_it_predicts() -> None:
    """Evaluation must not see the answer: what was observed at each guess ends before that turn's first event."""
    events = research("owls", ["a", "b"])

    class Watching(NoGuesses):
        def __init__(self) -> None:
            self.seen = 0

        def observe(self, event: object) -> None:
            self.seen += 1

        def guess(self, step: Step, k: int) -> list[Prediction]:
            assert self.seen == step.start
            assert all(events.index(asked) >= self.seen for asked in step.calls)
            return []

    watching = Watching()
    run(events, watching)
    assert watching.seen == pytest.approx(len(events) - 1)
