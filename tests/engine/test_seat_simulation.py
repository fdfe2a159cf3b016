"""The order of seats against first come, first served, on made-up sessions; with the controls that keep it honest."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import mean

from speculation.engine.co_scheduling import AGEING_SECONDS, MOST_RATIO, first_come, in_order
from speculation.engine.seat_simulation import Kind, Outcome, Task, Turn, compare, simulate

ORDERS = {"arrival": first_come, "gain": in_order}
LONG_TOOLS_AFTER_SHORT_TURNS = [Kind(1, 4, 8, 0.4), Kind(4, 1, 8, 0.4)]
LONG_TOOLS_AFTER_LONG_TURNS = [Kind(4, 12, 8, 0.3), Kind(1, 0.2, 8, 0.3)]


def rise_of_mean(kinds: Sequence[Kind], load: float) -> float:
    """Of the mean task time by the order, as a part of that of first come, first served; over five seeds."""
    means = dict.fromkeys(ORDERS, 0.0)
    for seed in range(5):
        for name, outcome in compare(kinds, ORDERS, load=load, slots=20, count=120, seed=seed).items():
            means[name] += mean(outcome.task_seconds)
    return means["gain"] / means["arrival"] - 1


def test_sessions_of_one_kind_without_speculation_end_as_under_first_come_first_served() -> None:
    for load in (0.5, 0.9, 1.2):
        both = compare([Kind(2, 2, 6, spread=0.5)], ORDERS, load=load, count=80)
        assert both["gain"] == both["arrival"]


def test_a_run_is_the_same_every_time() -> None:
    assert compare(LONG_TOOLS_AFTER_SHORT_TURNS, ORDERS, load=0.9, count=60) == compare(
        LONG_TOOLS_AFTER_SHORT_TURNS, ORDERS, load=0.9, count=60
    )


def test_it_helps_where_long_tools_follow_short_turns_of_the_model_and_only_where_seats_are_scarce() -> None:
    assert rise_of_mean(LONG_TOOLS_AFTER_SHORT_TURNS, 0.95) < -0.05
    assert abs(rise_of_mean(LONG_TOOLS_AFTER_SHORT_TURNS, 0.3)) < 0.01


def test_it_harms_where_long_tools_follow_long_turns_as_docs_say() -> None:
    assert rise_of_mean(LONG_TOOLS_AFTER_LONG_TURNS, 0.95) > 0.05


def test_nobody_waits_longer_than_the_ageing_allows() -> None:
    """One session that is never worth it, among a stream of sessions that always are."""
    patient = Task("patient", Kind(4.0, 0.0, 1), 0.5, [Turn(4.0, 0.0, False)])
    eager = [Task(f"{n:03}", Kind(1.0, 60.0, 2), float(n), [Turn(1.0, 0.1, False)] * 2) for n in range(300)]
    outcome = run([patient, *eager])
    came_in_time = sum(each.arrives_at <= patient.arrives_at + MOST_RATIO * AGEING_SECONDS for each in eager)
    assert AGEING_SECONDS < patient.longest_wait_seconds <= 2 * came_in_time * 1.0
    assert outcome.longest_wait_seconds < 10 * MOST_RATIO * AGEING_SECONDS


def run(tasks: list[Task]) -> Outcome:
    return simulate(tasks, in_order, seats=1, slots=50)


def test_a_lone_session_takes_its_own_time_and_a_hit_hides_what_the_model_decodes() -> None:
    def lone(*turns: Turn) -> float:
        return run([Task("lone", Kind(2.0, 5.0, len(turns), 0.5), 3.0, turns)]).task_seconds[0]

    miss, last = Turn(2.0, 5.0, False), Turn(1.0, 9.0, True)
    assert lone(miss, last) == 2.0 + 5.0 + 1.0
    assert lone(replace(miss, is_foreseen=True), last) == 5.0 + 1.0
    assert lone(replace(miss, is_foreseen=True, tool_seconds=0.5), last) == 2.0 + 1.0


def test_work_is_neither_lost_nor_made_up() -> None:
    for outcome in compare(LONG_TOOLS_AFTER_SHORT_TURNS, ORDERS, load=1.1, count=60, slots=2).values():
        assert len(outcome.task_seconds) == 60 and min(outcome.task_seconds) > 0
        assert 0 < outcome.slot_use <= 1
