"""When to come back to a full queue."""

from hypothesis import given
from hypothesis import strategies as st

from speculation.engine.draining import LONGEST_SECONDS, SHORTEST_SECONDS, seconds_until_room


def test_the_wait_is_that_of_a_tenth_of_the_places_at_the_latest_rate() -> None:
    two_a_second = [0.5 * n for n in range(1, 51)]
    assert seconds_until_room(1000, 1000, two_a_second) == 50
    assert seconds_until_room(100, 100, two_a_second) == 5


def test_a_queue_that_drains_slowly_sends_people_away_for_longer() -> None:
    assert seconds_until_room(100, 100, [60.0]) == LONGEST_SECONDS
    assert seconds_until_room(20, 20, [10.0, 20.0, 30.0]) == 20


def test_where_nothing_has_left_there_is_no_rate_and_the_answer_is_the_longest() -> None:
    assert seconds_until_room(10, 10, []) == LONGEST_SECONDS


def test_two_that_left_at_once_are_no_rate_of_thousands() -> None:
    assert seconds_until_room(100, 100, [0.001, 0.001]) == 25


def test_a_bound_that_was_lowered_makes_the_wait_longer() -> None:
    a_second = [float(n) for n in range(1, 51)]
    assert seconds_until_room(150, 100, a_second) == 60


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.lists(st.floats(0, 300), max_size=50))
def test_the_answer_is_always_whole_seconds_within_its_bounds(waiting: int, most: int, ago: list[float]) -> None:
    answer = seconds_until_room(max(waiting, most), most, ago)
    assert isinstance(answer, int) and SHORTEST_SECONDS <= answer <= LONGEST_SECONDS
