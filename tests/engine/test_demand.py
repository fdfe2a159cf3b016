"""What real calls lately wanted is what guesses leave to them."""

import random

from speculation.engine.demand import SHARE, WINDOW_SECONDS, slots_wanted


def test_where_nothing_was_asked_for_nothing_is_kept() -> None:
    assert slots_wanted([]) == 0


def test_calls_side_by_side_all_the_time_keep_a_slot_each() -> None:
    assert slots_wanted([(100.0, 0.0), (40.0, 0.0), (30.0, 0.0)]) == 3


def test_a_rare_burst_is_left_to_preemption() -> None:
    burst = [(10.0, 8.0)] * 6
    assert slots_wanted(burst) == 0, "two of thirty seconds"
    assert slots_wanted([*burst, (30.0, 0.0)]) == 1
    assert slots_wanted([(26.0, 6.0)] * 6) == 6, "twenty of thirty seconds are most of them"


def test_what_was_wanted_before_the_window_is_forgotten() -> None:
    assert slots_wanted([(90.0, 30.0), (200.0, 31.0)]) == 0
    assert slots_wanted([(90.0, 10.0)]) == 1, "twenty seconds of it lie within"


def test_a_call_that_ends_as_another_begins_wants_no_second_slot() -> None:
    assert slots_wanted([(30.0, 20.0), (20.0, 10.0), (10.0, 0.0)]) == 1


def test_clocks_that_differ_a_little_do_no_harm() -> None:
    assert slots_wanted([(30.0, -0.01), (0.0, -0.01)]) == 1


def test_the_answer_is_what_looking_at_many_moments_says() -> None:
    rng = random.Random(5)
    for _ in range(50):
        intervals = [(ago := rng.uniform(0, 40), rng.uniform(0, ago)) for _ in range(rng.randrange(1, 30))]
        moments = [WINDOW_SECONDS * (n + 0.5) / 3000 for n in range(3000)]
        wanted = sorted(sum(ended < moment < asked for asked, ended in intervals) for moment in moments)
        near = {wanted[int(share * 3000)] for share in (SHARE - 0.01, SHARE, SHARE + 0.01)}
        assert slots_wanted(intervals) in near
