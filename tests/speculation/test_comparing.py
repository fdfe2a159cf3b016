"""Two sessions beside each other, turn by turn."""

import pytest

from speculation.comparing import Side, compare
from speculation.figures import compute
from speculation.story import Story
from tests.speculation.written_log import WrittenLog, example


def side(log, name="9f3c21ab", agent="support", task="Refund it."):
    story = Story(log)
    return Side(name, agent, task, story.has_ended, compute(story))


def without():
    """The example's calls, each waited for."""
    log = (
        WrittenLog()
        .started(arm="off")
        .turn(1, 0, 3, "get_user")
        .requested("1.0", "get_user", 3, 3, 4.4, arguments={"user": "u_4412"})
    )
    log.turn(2, 4.4, 7.7, "get_order").requested("2.0", "get_order", 7.7, 7.7, 10.3, arguments={"order": "W2378156"})
    return log.ended(10.3)


def test_differences_are_second_less_first_and_add_up():
    comparison = compare(side(without()), side(example()))
    assert comparison.difference_seconds == pytest.approx(18.4 - 10.3)
    assert comparison.waited_difference_seconds == pytest.approx(3.4 - 4.0)
    assert [pair.turn for pair in comparison.turns] == [1, 2, 3, 4, 5]
    assert comparison.turns[0].waited_difference_seconds == pytest.approx(-1.4)
    assert comparison.turns[4].waited_difference_seconds is None


def test_the_turn_in_which_they_parted_is_named():
    assert compare(side(example()), side(example())).parted_at is None
    assert compare(side(without()), side(example())).parted_at == 3


def test_other_arguments_are_other_calls():
    one = WrittenLog().started().turn(1, 0, 1, "read").requested("1.0", "read", 1, 1, 2, arguments={"id": 1}).ended(2)
    other = WrittenLog().started().turn(1, 0, 1, "read").requested("1.0", "read", 1, 1, 2, arguments={"id": 2}).ended(2)
    assert compare(side(one), side(other)).parted_at == 1


def test_what_makes_a_comparison_say_little_is_said():
    warnings = compare(side(example()), side(example(), agent="research", task="Find lead.")).warnings
    assert warnings == [
        "Different agents: support and research.",
        "Different tasks: the times say little about speculation.",
    ]
    assert compare(side(example()), side(example())).warnings == []
    running = compare(side(WrittenLog().started(), name="7d01e4c2"), side(example())).warnings
    assert running == ["Still running: 7d01e4c2. Figures are those of this moment."]


def test_of_a_turn_in_which_a_side_still_is_nobody_says_that_they_parted_there():
    log = example()
    running = compare(side(log), side(log[:14], name="4f34f535"))
    assert [pair.is_open for pair in running.turns] == [False, True, True, True, True]
    assert not running.turns[1].has_same_calls and running.parted_at is None
    assert compare(side(without()), side(log[:14], name="4f34f535")).turns[0].is_open is False
    assert compare(side(log), side(log)).turns[-1].is_open is False
