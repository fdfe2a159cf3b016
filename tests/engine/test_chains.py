"""Chains multiply their probabilities, stop at their depth, suppose no change of the world, and leave the session as it was."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from speculation.engine.chains import MAX_DEPTH, chained
from speculation.engine.prediction import Predictor, SessionPredictor
from speculation.engine.types import Event, Pattern, Prediction
from speculation.engine.views import View
from tests.engine.sessions import EVERY_TOOL, TOOLS, call, coding, mine, research, support, user
from tools.base import ToolCall

LEARNED = mine(
    *(research(topic, [f"{topic}1", f"{topic}2"]) for topic in ("owls", "bats", "cats", "rats")),
    *(support(f"{name}_ray_1{n}", [f"#W{n}", f"#W{n}7"]) for n, name in enumerate(("tim", "ann", "joe", "eve"))),
    *(coding(folder, ["a.py", "b.py"]) for folder in ("src", "app", "lib")),
)
ME = support("mia_lee_77", ["#W7", "#W8"])
NEWTS = research("newts", ["e", "f"])


def follow(events: Sequence[Event], patterns: Sequence[Pattern] = LEARNED) -> SessionPredictor:
    session = Predictor(patterns, TOOLS).session()
    for event in events:
        session.observe(event)
    return session


def known_of(*events: Event) -> Callable[[ToolCall], Event | None]:
    """The results of these calls, and of no others."""

    def known(asked: ToolCall) -> Event | None:
        found = (event for event in events if event.tool == asked.tool and event.arguments == asked.arguments)
        return next(found, None)

    return known


def find(predictions: Sequence[Prediction], event: Event) -> Prediction | None:
    found = (one for one in predictions if one.call == ToolCall(event.tool, event.arguments))
    return next(found, None)


def soon(session: SessionPredictor, event: Event) -> Prediction:
    prediction = find(session.predict(5, only_reads=True)[0], event)
    assert prediction is not None
    return prediction


def test_a_chain_of_one_call_is_the_plain_prediction() -> None:
    session = follow(ME[:1])
    assert chained(session, known_of(*ME), 5, 1) == session.predict(5, only_reads=True)[0]


def test_without_known_results_there_is_nothing_to_stand_on() -> None:
    session = follow(ME[:1])
    assert chained(session, known_of(), 5, 3) == session.predict(5, only_reads=True)[0]


@pytest.mark.parametrize("depth", [0, MAX_DEPTH + 1])
def test_a_chain_of_another_depth_is_refused(depth: int) -> None:
    with pytest.raises(ValueError, match="1 to 3"):
        chained(follow([]), known_of(), 5, depth)


def test_what_stands_on_a_guess_is_worth_the_product_and_is_never_next() -> None:
    orders, details = ME[4], ME[6]
    session = follow(ME[:3])
    assert find(session.predict(5)[0], details) is None
    then = follow([*ME[:3], replace(orders, turn=-1)])
    step, last = soon(session, orders), soon(then, details)
    found = find(chained(session, known_of(orders), 5, 2), details)
    assert found is not None
    assert found.probability == 0.0
    assert found.probability_before_write == step.probability_before_write * last.probability_before_write
    assert found.expected_use_seconds == step.expected_use_seconds + last.expected_use_seconds
    assert found.after == (step.call,)


def test_chains_end_at_their_depth() -> None:
    user_found, orders, details = ME[2], ME[4], ME[6]
    session, known = follow(ME[:1]), known_of(user_found, orders)
    found = find(chained(session, known, 5, 3, least=0.01), details)
    assert found is not None
    assert [one.tool for one in found.after] == ["get_user", "get_orders"]

    def longest(depth: int) -> int:
        return max(len(one.after) for one in chained(session, known_of(*ME), 9, depth, least=0.0))

    assert [longest(depth) for depth in (1, 2, 3)] == [0, 1, 2]


def test_the_same_call_reached_in_several_ways_keeps_its_largest_probability() -> None:
    session, known = follow(ME[:3]), known_of(*ME)
    plain = {repr(one.call): one for one in session.predict(9, only_reads=True)[0]}
    merged = chained(session, known, 9, 3, least=0.0)
    assert len({repr(one.call) for one in merged}) == len(merged)
    for one in merged:
        if mine_ := plain.get(repr(one.call)):
            assert one.probability_before_write >= mine_.probability_before_write
            assert one.probability == mine_.probability
    ranked = [one.probability_before_write for one in merged]
    assert ranked == sorted(ranked, reverse=True)


def test_a_call_that_was_likely_by_itself_stays_as_likely_to_be_next() -> None:
    orders, details = (ToolCall(event.tool, event.arguments) for event in (ME[4], ME[6]))
    first = [Prediction(orders, 0.5, 0.9, expected_use_seconds=1.0), Prediction(details, 0.2, 0.21)]
    found = find(chained(follow(ME[:3]), known_of(ME[4]), 5, 2, first=first), ME[6])
    assert found is not None
    assert found.probability == 0.2
    assert found.probability_before_write > 0.21
    assert found.after == (orders,)


def test_a_chain_that_is_not_worth_a_slot_is_not_followed() -> None:
    session, known = follow(ME[:3]), known_of(*ME)
    step = soon(session, ME[4]).probability_before_write
    assert any(one.after for one in chained(session, known, 5, 2, least=0.01))
    assert not any(one.after for one in chained(session, known, 5, 2, least=step + 0.01))


def writing(order: str) -> list[Event]:
    """A session in which a write stands between two reads, and shell commands that read or change stand alone."""
    return [
        user(f"Cancel {order}"),
        *call(1, "shell", {"state": order}, command=f"rm {order}"),
        *call(2, "get_details", {"id": f"{order}9"}, order_id=order),
        *call(3, "update", {"id": f"{order}8"}, id=order),
        *call(4, "get_orders", {"orders": []}, user_id=f"{order}8"),
    ]


def test_no_change_of_the_world_is_ever_supposed() -> None:
    events = writing("#W7")
    patterns = mine(*(writing(f"#W{n}") for n in (1, 2, 3, 4)))
    session = Predictor(patterns, EVERY_TOOL).session()
    session.observe(events[0])
    asked: list[ToolCall] = []

    def known(supposed: ToolCall) -> Event | None:
        asked.append(supposed)
        return known_of(*events)(supposed)

    changes = [ToolCall(event.tool, event.arguments) for event in (events[2], events[6])]
    first = [*session.predict(9)[0], *(Prediction(one, 0.9, 0.9) for one in changes)]
    found = chained(session, known, 9, 3, first=first, least=0.0)
    assert "get_details" in {one.tool for one in asked}
    assert not {one.tool for one in asked} & {"update", "shell"}
    assert not {one.tool for one in [call for one in found for call in one.after]} & {"update", "shell"}


@pytest.mark.parametrize(
    "events", [ME, NEWTS, coding("pkg", ["x.py", "y.py", "z.py"])], ids=["support", "research", "coding"]
)
def test_a_fork_that_goes_on_leaves_the_session_as_it_was(events: list[Event]) -> None:
    for cut in range(1, len(events)):
        forked, alone = follow(events[:cut]), follow(events[:cut])
        fork = forked.fork()
        for event in [
            *events[cut:],
            user("Now about eels/x.py and #W99"),
            *call(9, "search", {"hits": []}, query="newts e"),
        ]:
            fork.observe(event)
            fork.predict(5)
        for event in events[cut:]:
            assert (forked.predict(5), forked.predict(5, True)) == (alone.predict(5), alone.predict(5, True))
            forked.observe(event)
            alone.observe(event)


def test_as_many_other_words_choose_anew_among_the_elements_of_a_list() -> None:
    view = View(["red shoes", "blue hats"])
    red, blue = (view.marks([0, 1], frozenset({word})) for word in ("red", "blue"))
    assert red != blue


@pytest.mark.parametrize(
    "events", [ME, NEWTS, coding("pkg", ["x.py", "y.py", "z.py"])], ids=["support", "research", "coding"]
)
def test_a_fork_predicts_as_a_session_that_saw_the_same(events: list[Event]) -> None:
    for cut in range(1, len(events)):
        fork, alone = follow(events[:cut]).fork(), follow(events[:cut])
        for event in events[cut:]:
            fork.observe(event)
            alone.observe(event)
            assert fork.predict(5) == alone.predict(5)


def test_chains_leave_the_session_as_it_was_and_come_out_the_same_twice() -> None:
    session, alone, known = follow(NEWTS[:1]), follow(NEWTS[:1]), known_of(*NEWTS)
    first = chained(session, known, 5, 3, least=0.01)
    assert any(one.after for one in first)
    assert chained(session, known, 5, 3, least=0.01) == first
    for event in NEWTS[1:]:
        assert session.predict(5) == alone.predict(5)
        session.observe(event)
        alone.observe(event)
