"""Bins hold equally many points; error and skill are what they are by hand."""

from itertools import pairwise

import pytest

from speculation.engine.reliability import brier_skill, equal_mass_bins, expected_calibration_error


def test_bins_hold_equally_many_points_to_one() -> None:
    points = [(n / 100, n % 2 == 0) for n in range(100)]
    bins = equal_mass_bins(points)
    assert len(bins) == 15
    assert sum(each.count for each in bins) == 100
    assert {each.count for each in bins} == {6, 7}
    assert all(before.high <= after.low for before, after in pairwise(bins))


def test_fewer_points_than_bins_make_fewer_bins() -> None:
    assert [each.count for each in equal_mass_bins([(0.1, True), (0.9, False)])] == [1, 1]
    assert equal_mass_bins([]) == []


def test_the_error_is_nothing_where_shares_come_true_as_said() -> None:
    points = [(0.25, n % 4 == 0) for n in range(60)] + [(0.75, n % 4 != 0) for n in range(60)]
    assert expected_calibration_error(equal_mass_bins(points)) == pytest.approx(0.0)


def test_the_error_is_the_distance_between_said_and_true_weighed_by_points() -> None:
    always_half = [(0.5, True)] * 30
    assert expected_calibration_error(equal_mass_bins(always_half)) == pytest.approx(0.5)
    assert expected_calibration_error(equal_mass_bins([*always_half, *[(0.0, False)] * 30])) == pytest.approx(0.25)
    assert expected_calibration_error([]) == 0.0


def test_skill_is_one_for_who_knows_none_for_who_says_the_base_rate_and_below_for_who_is_sure_and_wrong() -> None:
    outcomes = [True, False, False, False]
    assert brier_skill([(float(true), true) for true in outcomes]) == 1.0
    assert brier_skill([(0.25, true) for true in outcomes]) == pytest.approx(0.0)
    worse = brier_skill([(1.0 - true, true) for true in outcomes])
    assert worse is not None and worse < 0


def test_there_is_no_skill_where_all_or_nothing_came_true() -> None:
    assert brier_skill([(0.5, True)] * 3) is None
    assert brier_skill([]) is None
