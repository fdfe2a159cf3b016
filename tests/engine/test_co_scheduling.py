"""Who is next at an endpoint with few seats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speculation.engine.co_scheduling import (
    AGEING_SECONDS,
    MOST_RATIO,
    Foreseen,
    Pace,
    WaitingRequest,
    exposed_tool_seconds,
    first_come,
    in_order,
)

seconds = st.floats(0, 1e6, allow_nan=False)
requests = st.builds(WaitingRequest, st.uuids().map(str), seconds, seconds, seconds)


def keys(*waiting: WaitingRequest) -> str:
    return "".join(request.key for request in in_order(waiting))


def test_who_brings_most_tool_time_forward_for_its_model_time_goes_first() -> None:
    long_tool, short_tool = WaitingRequest("a", 1.0, 2.0, 0.0), WaitingRequest("b", 4.0, 2.0, 0.0)
    assert keys(long_tool, short_tool) == "ba"
    assert keys(WaitingRequest("a", 4.0, 4.0, 0.0), WaitingRequest("b", 4.0, 2.0, 0.0)) == "ba"


def test_waiting_makes_up_for_a_smaller_gain() -> None:
    patient = WaitingRequest("a", 0.0, 2.0, 2.1 * AGEING_SECONDS)
    assert keys(WaitingRequest("b", 4.0, 2.0, 0.0), patient) == "ab"
    assert keys(WaitingRequest("b", 4.0, 2.0, 0.2 * AGEING_SECONDS), patient) == "ba"


@given(st.lists(requests, max_size=8), requests)
def test_nobody_who_came_later_than_the_bound_overtakes(others: list[WaitingRequest], one: WaitingRequest) -> None:
    order = in_order([*others, one])
    ahead = order[: order.index(one)]
    bound = MOST_RATIO * AGEING_SECONDS
    assert all(other.waited_seconds > one.waited_seconds - bound - 1e-3 for other in ahead)


@given(st.lists(seconds, max_size=8, unique=True), seconds, seconds)
def test_equal_requests_are_served_first_come_first_served(waits: list[float], exposed: float, model: float) -> None:
    waiting = [WaitingRequest(str(number), exposed, model, waited) for number, waited in enumerate(waits)]
    assert in_order(waiting) == first_come(waiting)


@given(st.lists(requests, max_size=8, unique_by=lambda request: request.key), st.randoms())
def test_the_order_of_the_rows_does_not_matter(waiting: list[WaitingRequest], rng) -> None:
    shuffled = rng.sample(waiting, len(waiting))
    assert in_order(shuffled) == in_order(waiting)
    assert first_come(shuffled) == first_come(waiting)


def test_what_a_run_ahead_and_the_request_itself_hide_is_no_gain() -> None:
    def exposed(*foreseen: Foreseen) -> float:
        return exposed_tool_seconds(foreseen, usual_seconds=3.0, model_seconds=2.0)

    assert exposed() == 3.0, "nothing is known: what is usual"
    assert exposed(Foreseen(0.5, 10.0)) == 0.5 * 10.0 + 0.5 * 3.0, "no run of it was begun"
    assert exposed(Foreseen(0.5, 10.0, 0.0)) == 0.5 * 8.0 + 0.5 * 3.0
    assert exposed(Foreseen(0.5, 10.0, 9.0)) == 0.5 * 3.0, "it will have ended"
    assert exposed(Foreseen(0.8, 4.0), Foreseen(0.8, 10.0)) == pytest.approx(0.8 * 4.0 + 0.2 * 10.0), (
        "at most one comes"
    )


@given(st.lists(st.builds(Foreseen, st.floats(0, 1), seconds, st.none() | seconds), max_size=5), seconds, seconds)
def test_the_gain_is_never_negative_and_never_more_than_the_longest_tool(
    foreseen: list[Foreseen], usual: float, model: float
) -> None:
    exposed = exposed_tool_seconds(foreseen, usual_seconds=usual, model_seconds=model)
    longest = max([usual, *(call.expected_seconds for call in foreseen)])
    assert 0.0 <= exposed <= longest * 1.000001 + 1e-6


def test_the_pace_of_an_endpoint_is_learned_from_its_requests() -> None:
    pace = Pace()
    for _ in range(40):
        pace = pace.after(10_000, prefill_seconds=5.0, decode_seconds=8.0)
    assert pace.expected_seconds(10_000) == pytest.approx(13.0, rel=0.01)
    assert pace.expected_seconds(20_000) == pytest.approx(18.0, rel=0.01), "a longer prompt takes longer to read"
