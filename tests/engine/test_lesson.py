"""What is taught of a tool: every call of it, until what it does is known."""

from speculation.engine.counts import Row
from speculation.engine.lesson import SURE_AFTER, TEACH_ALL_BELOW, TEACH_EVERY, Learner


def stands_for(learner: Learner, calls: int) -> list[int]:
    return [learner.how_often(is_next=True) for _ in range(calls)]


def test_calls_that_come_as_was_thought_are_taught_now_and_then_and_count_as_many_until_one_does_not() -> None:
    learner = Learner("find", Row(), repeats=False)
    for _ in range(SURE_AFTER - 1):
        learner.came(as_thought=True)
    assert stands_for(learner, 8) == [1] * 8
    learner.came(as_thought=True)
    assert sorted(stands_for(learner, 40)) == [0] * 30 + [TEACH_EVERY] * 10
    learner.came(as_thought=False)
    assert stands_for(learner, 8) == [1] * 8


def test_of_many_calls_of_a_tool_the_later_ones_are_taught_now_and_then() -> None:
    learner = Learner("find", Row(), repeats=False)
    assert stands_for(learner, TEACH_ALL_BELOW) == [1] * TEACH_ALL_BELOW
    assert sum(stands_for(learner, 400)) == 400
