"""When to switch speculation off: figures and limits in, what to open out."""

import pytest

from speculation.engine.breaking import Figure, Kind, Limits, Subject, judge, needs_review

TOOL, AGENT, ALL = Subject(tool=7), Subject(agent=3), Subject()
A_MINUTE = Limits(30.0, 60.0, 300.0)


def reasons(kind: Kind, *figures: Figure, limits: Limits = A_MINUTE) -> list[str]:
    return [trip.reason for trip in judge(kind, figures, {figure.subject: limits for figure in figures})]


def test_a_breaker_opens_where_its_limit_is_reached_and_says_why() -> None:
    figures = [Figure(TOOL, 31.0), Figure(AGENT, 29.9), Figure(ALL, 30.0)]
    trips = judge(Kind.WASTE, figures, dict.fromkeys((TOOL, AGENT, ALL), A_MINUTE))
    assert [(trip.subject, trip.measured) for trip in trips] == [(TOOL, 31.0), (ALL, 30.0)]
    assert trips[0].reason == "wasted 31 worker seconds in a minute, the limit is 30"


@pytest.mark.parametrize(
    ("kind", "figure", "limits", "reason"),
    [
        (Kind.INTERFERENCE, Figure(ALL, 6.24), Limits(5, 60, 1), "real calls queued 6.2 seconds behind it in a minute, the limit is 5"),
        (Kind.ERRORS, Figure(ALL, 12, 20), Limits(0.5, 300, 1), "12 of 20 runs failed in 5 minutes (60 %), the limit is 50 %"),
        (Kind.DIVERGENCE, Figure(TOOL, 1), Limits(1, 3600, 1), "once a second run contradicted a served result in an hour, the limit is 1"),
        (Kind.QUOTA, Figure(TOOL, 9), Limits(10, 60, 1), "9 of its quota left, the floor is 10"),
        (Kind.AUTH, Figure(TOOL, 2), Limits(1, 90, 1), "its credentials were refused 2 times in 90 seconds, the limit is 1"),
    ],
)  # fmt: skip
def test_every_kind_says_its_figure_its_window_and_its_limit(
    kind: Kind, figure: Figure, limits: Limits, reason: str
) -> None:
    assert reasons(kind, figure, limits=limits) == [reason]


def test_a_share_of_few_runs_says_nothing() -> None:
    half = Limits(0.5, 300.0, 600.0)
    assert reasons(Kind.ERRORS, Figure(TOOL, 9, 9), limits=half) == []
    assert reasons(Kind.ERRORS, Figure(TOOL, 4, 10), limits=half) == []
    assert len(reasons(Kind.ERRORS, Figure(TOOL, 5, 10), limits=half)) == 1


def test_a_quota_opens_below_its_floor_and_not_at_it() -> None:
    floor = Limits(10, 60, 600)
    assert reasons(Kind.QUOTA, Figure(TOOL, 10), limits=floor) == []
    assert len(reasons(Kind.QUOTA, Figure(TOOL, 9.5), limits=floor)) == 1


def test_what_is_open_switched_off_or_without_limits_opens_no_more() -> None:
    too_much = [Figure(TOOL, 99.0)]
    assert judge(Kind.WASTE, too_much, {TOOL: A_MINUTE}, frozenset({TOOL})) == []
    assert judge(Kind.WASTE, too_much, {TOOL: Limits(30.0, 60.0, 300.0, enabled=False)}) == []
    assert judge(Kind.WASTE, too_much, {AGENT: A_MINUTE}) == []


def test_a_tool_needs_review_when_one_kind_opened_three_times() -> None:
    assert needs_review([Kind.WASTE, Kind.AUTH, Kind.WASTE]) is None
    assert needs_review([Kind.WASTE, Kind.AUTH, Kind.WASTE, Kind.WASTE]) == Kind.WASTE
    assert needs_review([Kind.PAUSE] * 5) is None


def test_a_pause_has_no_limit_to_judge() -> None:
    with pytest.raises(ValueError, match="no limit"):
        reasons(Kind.PAUSE, Figure(AGENT, 99.0))
