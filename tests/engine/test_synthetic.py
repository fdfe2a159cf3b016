"""Made-up sessions are the same for the same seed, never repeat a value of another session, and look like an agent's."""

import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice

import pytest

from speculation.engine.mining import Miner
from speculation.engine.steps import cut_into_steps
from speculation.engine.synthetic import TOOLS, sessions
from speculation.engine.synthetic_network import Network
from speculation.engine.types import Event, EventKind


def first(stream: Iterator[list[Event]], count: int = 30) -> list[list[Event]]:
    return list(islice(stream, count))


def calls(events: list[Event]) -> list[Event]:
    return [event for event in events if event.kind == EventKind.TOOL]


def test_the_same_seed_gives_the_same_sessions() -> None:
    assert first(sessions(3)) == first(sessions(3))
    assert first(Network(3).sessions("a")) == first(Network(3).sessions("a"))


def test_another_seed_gives_other_sessions() -> None:
    assert first(sessions(3)) != first(sessions(4))
    assert first(Network(3).sessions("a")) != first(Network(3).sessions("b"))
    assert Network(3).tools.keys() != Network(4).tools.keys()


def test_no_result_is_that_of_another_session_but_for_short_words() -> None:
    seen: dict[str, set[int]] = defaultdict(set)
    for number, events in enumerate(first(sessions(1), 90)):
        for call in calls(events):
            seen[call.result].add(number)
    assert {result for result, sessions_of_it in seen.items() if len(sessions_of_it) > 1} == {"1 passed in 0.1s"}


def test_all_three_kinds_of_work_come_in_turn() -> None:
    opening = [calls(events)[0].tool for events in first(sessions(1), 6)]
    assert opening[1::3] == ["search_pages"] * 2
    assert opening[2::3] == ["run_tests"] * 2
    assert set(opening[::3]) <= {"find_customer", "get_customer"}


def test_results_are_json_objects_lists_and_text() -> None:
    kinds = set()
    for events in first(sessions(1)):
        for call in calls(events):
            try:
                kinds.add(type(json.loads(call.result)))
            except ValueError:
                kinds.add(str)
    assert kinds >= {dict, list, str}


def test_every_tool_that_is_called_is_known_and_every_known_tool_is_called() -> None:
    assert {call.tool for events in first(sessions(1), 90) for call in calls(events)} == set(TOOLS)


@pytest.mark.parametrize("stream", [sessions(1), Network(1).sessions(1)])
def test_events_are_in_order_and_each_turn_makes_its_own_calls(stream: Iterator[list[Event]]) -> None:
    for events in first(stream):
        assert [e.ended_at for e in events] == sorted(e.ended_at for e in events)
        steps = cut_into_steps(events, lambda event: False)
        assert len(steps) == sum(event.kind == EventKind.LLM for event in events)
        assert not steps[-1].calls


def test_arguments_of_a_network_come_from_the_users_words_or_the_result_before() -> None:
    for events in first(Network(1).sessions(1)):
        known = events[0].text
        for call in calls(events):
            assert all(value in known for value in call.arguments.values())
            known = call.result


def test_a_network_goes_on_giving_new_patterns() -> None:
    network = Network(1)
    miner, counts = Miner("agent", (), network.tools), {}
    for number, events in enumerate(first(network.sessions(1), 12), start=1):
        miner.observe_session(events)
        if number in (3, 6, 12):
            counts[number] = len(miner.patterns())
    assert counts[12] > 1.5 * counts[6] > 1.5 * 1.5 * counts[3]


def test_most_of_a_network_only_reads_and_some_of_it_changes_the_world() -> None:
    tools = Network(1).tools.values()
    writes = [tool for tool in tools if tool.changes_world]
    assert 0 < len(writes) < len(tools) / 3
    assert all(tool.reads_only != tool.changes_world for tool in tools)
