"""A session's own record moves what is said of guesses of the same kind."""

import pytest

from speculation.engine.track_record import MAX_KINDS, SPREAD, Shift, TrackRecord

FIRST, LAST = ("item 0 of result(search)[*]",), ("item -1 of result(search)[*]",)


def told(*outcomes: bool, given: float = 0.2) -> TrackRecord:
    record = TrackRecord()
    for came_true in outcomes:
        record.learn([("read", FIRST, given, came_true)])
    return record


def test_a_kind_of_guess_that_comes_true_rises_and_one_that_fails_falls() -> None:
    assert told(True).shift("read", FIRST) > 0.0 > told(False).shift("read", FIRST)


def test_nothing_is_said_of_other_sources_or_tools() -> None:
    record = told(True, True)
    assert record.shift("read", LAST) == 0.0
    assert not record.knows("search") and record.shift("search", FIRST) == 0.0


def test_what_was_nearly_certain_teaches_next_to_nothing_by_coming_true() -> None:
    assert told(True, given=0.99).shift("read", FIRST) < 0.01


def test_outcomes_as_often_as_was_said_move_nothing_far() -> None:
    assert told(*[True, False, False, False, False] * 20).shift("read", FIRST) == pytest.approx(0.0, abs=0.25)


def test_the_longer_the_record_the_less_one_more_outcome_moves_it() -> None:
    once = Shift().after(0.5, came_true=True)
    later = once.after(0.5, came_true=True)
    assert later.mean - once.mean < once.mean
    assert later.variance < once.variance < SPREAD


def test_the_largest_shift_of_a_tool_is_never_below_what_an_unknown_kind_has() -> None:
    assert told(False, False).most("read") == 0.0
    assert told(True).most("read") == told(True).shift("read", FIRST)


def test_a_fork_learns_apart() -> None:
    record = told(True)
    before, fork = record.shift("read", FIRST), record.fork()
    fork.learn([("read", FIRST, 0.2, False)])
    assert fork.shift("read", FIRST) < record.shift("read", FIRST) == before


def test_the_kinds_of_a_tool_are_bounded_and_the_latest_stay() -> None:
    record = TrackRecord()
    for number in range(MAX_KINDS + 10):
        record.learn([("read", (f"= {number}",), 0.2, True)])
    assert record.shift("read", ("= 0",)) == 0.0
    assert record.shift("read", (f"= {MAX_KINDS + 9}",)) > 0.0
