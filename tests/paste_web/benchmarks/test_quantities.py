from math import inf

import pytest

from paste_web.benchmarks.quantities import interval_of, milliseconds, quantile, student_t


@pytest.mark.parametrize(
    ("freedom", "expected"), [(1, 12.706), (2, 4.303), (5, 2.571), (10, 2.228), (29, 2.045), (1000, 1.962)]
)
def test_students_t_is_that_of_the_tables(freedom: int, expected: float) -> None:
    assert student_t(freedom) == pytest.approx(expected, abs=0.01)


def test_an_interval_is_the_mean_and_its_standard_errors_around_it() -> None:
    found = interval_of([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.776 * 2.5**0.5 / 5**0.5
    assert (found.mean, found.number) == (3.0, 5)
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half))
    assert found.half_width == pytest.approx(half)


def test_one_sample_tells_nothing_of_its_spread() -> None:
    found = interval_of([0.1])
    assert (found.low, found.high) == (-inf, inf)
    assert found.to_json() == {"mean": 0.1, "low": None, "high": None, "half_width": None, "count": 1}


def test_a_quantile_is_the_smallest_sample_that_enough_do_not_exceed() -> None:
    samples = [float(number) for number in range(1, 101)]
    assert [quantile(samples, share) for share in (0.0, 0.5, 0.9, 0.99, 1.0)] == [1, 50, 90, 99, 100]
    assert quantile([7.0], 0.99) == 7.0


def test_seconds_are_shown_as_milliseconds() -> None:
    assert milliseconds([0.001, 0.003]) == {"p50": 1.0, "p90": 3.0, "p99": 3.0, "mean": 2.0, "max": 3.0, "count": 2}
