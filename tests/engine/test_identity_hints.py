"""Arguments that seem not to change the work are told from those that do, by pairs of calls that differ in nothing else."""

import json
import time
from dataclasses import replace

import pytest

from speculation.engine.identity_hints import (
    COMPARED_CALLS,
    MAX_ARGUMENTS,
    MAX_COUNT,
    Counts,
    Hint,
    count_hints,
    hints_of,
)
from speculation.engine.mining import Miner
from speculation.engine.types import Event, Pattern
from tests.engine.sessions import EVERY_TOOL, call, user


def look(turn: int, path: str, why: str, result: object = None) -> list[Event]:
    """A call whose result depends on its path alone, if none is given."""
    return call(turn, "read_file", f"text of {path}" if result is None else result, path=path, why=why)


def counted(*sessions: list[Event]) -> dict[str, Hint]:
    """The hints about read_file after these sessions, by argument."""
    counts: dict[str, Counts] = {}
    for events in sessions:
        count_hints(events, EVERY_TOOL, lambda tool: counts.setdefault(tool, {}))
    return {hint.argument: hint for hint in hints_of(counts.get("read_file", {}))}


def looked_twice(path: str) -> list[Event]:
    return [user("go"), *look(1, path, "to see what is there"), *look(2, path, "to be sure of it")]


def looked_about(name: str) -> list[Event]:
    return [user("go"), *look(1, f"{name}.py", "to see"), *look(2, f"{name}.md", "to see")]


MANY = [looked_twice(f"{number}.py") for number in range(11)]


def test_an_argument_that_changes_no_result_is_suggested() -> None:
    hints = counted(*MANY)
    assert (hints["why"].equal, hints["why"].pairs) == (11, 11) and hints["why"].is_suggested
    assert not hints["path"].is_suggested


def test_an_argument_that_changes_results_is_not_suggested() -> None:
    hints = counted(*[looked_about(f"file{number}") for number in range(30)])
    assert (hints["path"].equal, hints["path"].pairs) == (0, 30) and not hints["path"].is_suggested
    assert hints["why"].pairs == 0


def test_a_session_that_goes_on_is_compared_with_what_it_did_before_and_counted_once() -> None:
    events = [*looked_twice("a.py"), *look(3, "b.py", "to be sure of it"), *look(4, "a.py", "to see it again")]
    for cut in range(len(events) + 1):
        counts: dict[str, Counts] = {}
        count_hints(events[:cut], EVERY_TOOL, lambda tool, counts=counts: counts.setdefault(tool, {}))
        count_hints(events, EVERY_TOOL, lambda tool, counts=counts: counts.setdefault(tool, {}), known=cut)
        hints = {hint.argument: hint for hint in hints_of(counts["read_file"])}
        assert hints == counted(events)


def test_few_pairs_suggest_nothing_however_equal() -> None:
    assert [n for n in range(15) if counted(*MANY[:1] * n).get("why", Hint("why")).is_suggested] == [11, 12, 13, 14]


def test_some_different_results_are_outweighed_by_many_equal_ones_only() -> None:
    different = [user("go"), *look(1, "a.py", "to see"), *look(2, "a.py", "to read", "another text")]
    assert not counted(*MANY, different, different)["why"].is_suggested
    assert counted(*MANY * 4, different, different)["why"].is_suggested


def test_free_text_alone_suggests_nothing() -> None:
    said = [[user("go"), *look(1, f"{n}.py", f"because of reason {n}")] for n in range(40)]
    why = counted(*said)["why"]
    assert (why.fresh, why.calls, why.is_suggested) == (40, 40, False)


def test_text_given_before_in_the_session_is_not_fresh() -> None:
    events = [
        user("go"),
        *look(1, "a.py", "to see it all"),
        *look(2, "b.py", "to see it all"),
        *look(3, "c.py", "short"),
    ]
    assert (counted(events)["why"].fresh, counted(events)["why"].calls) == (1, 3)


def test_a_write_in_between_separates() -> None:
    first, second = look(1, "a.py", "to see"), look(3, "a.py", "again")
    assert counted([user("go"), *first, *second])["why"].pairs == 1
    assert counted([user("go"), *first, *call(2, "update", "ok", id=1), *second])["why"].pairs == 0
    assert counted([user("go"), *first, *call(2, "never_heard_of", "ok"), *second])["why"].pairs == 0


def test_calls_of_different_sessions_make_no_pair() -> None:
    assert counted([user("go"), *look(1, "a.py", "to see")], [user("go"), *look(1, "a.py", "again")])["why"].pairs == 0


@pytest.mark.parametrize("nothing", ["", [], {}])
def test_empty_results_tell_nothing(nothing: object) -> None:
    assert (
        counted([user("go"), *look(1, "a.py", "to see", nothing), *look(2, "b.py", "to see", nothing)])["path"].pairs
        == 0
    )


def test_failed_calls_tell_nothing() -> None:
    events = [replace(event, status="error") if event.tool else event for event in looked_about("file")]
    assert counted(events)["path"].pairs == 0


def test_calls_that_differ_in_two_arguments_make_no_pair() -> None:
    hints = counted([user("go"), *look(1, "a.py", "to see"), *look(2, "b.py", "again")])
    assert (hints["path"].pairs, hints["why"].pairs) == (0, 0)


def test_an_argument_given_only_once_is_a_difference_whichever_call_gave_it() -> None:
    short = call(1, "read_file", "text", path="a.py", why="to see")
    long = call(2, "read_file", "text", path="a.py", why="to see", loud=True)
    for events in ([*short, *long], [*long, *short]):
        assert (counted(events)["loud"].equal, counted(events)["path"].pairs, counted(events)["why"].pairs) == (1, 0, 0)


def test_arguments_that_policy_calls_cosmetic_hide_no_pair() -> None:
    counts: Counts = {}
    for number in range(3):
        events = [
            *call(1, "read", "one", path="a.py", why=f"one {number}", lines=1),
            *call(2, "read", "two", path="a.py", why=f"two {number}", lines=2),
        ]
        count_hints(events, EVERY_TOOL, lambda tool: counts)
    assert {h.argument: (h.equal, h.pairs) for h in hints_of(counts)} == {
        "path": (0, 0),
        "why": (0, 0),
        "lines": (0, 3),
    }


def test_only_the_latest_calls_of_a_tool_are_compared() -> None:
    others = [event for n in range(COMPARED_CALLS) for event in look(2 + n, f"{n}.py", f"for {n}")]
    events = [user("go"), *look(1, "a.py", "to see"), *others, *look(20, "a.py", "again")]
    assert counted(events)["why"].pairs == 0
    assert counted([*events[:3], *others[2:], *events[-2:]])["why"].pairs == 1


def test_counts_are_bounded_and_follow_a_tool_that_changed() -> None:
    why = counted(*[looked_twice("a.py")] * 1000)["why"]
    assert why.equal == why.pairs <= MAX_COUNT and why.calls <= MAX_COUNT and why.is_suggested
    changed = [user("go"), *look(1, "a.py", "to see"), *look(2, "a.py", "again", "another text")]
    assert not counted(*[looked_twice("a.py")] * 1000, *[changed] * 100)["why"].is_suggested


def test_invented_names_of_arguments_are_not_counted_without_end() -> None:
    events = [event for n in range(99) for event in call(n, "read_file", "x", path="a", **{f"invented_{n}": n})]
    assert len(counted(events)) == MAX_ARGUMENTS


def hints_in(patterns: list[Pattern]) -> Counts:
    (found,) = [p.statistics["hints"] for p in patterns if p.tool == "read_file" and not p.context]
    assert isinstance(found, dict)
    return found


def mined(sessions: list[list[Event]], patterns: list[Pattern]) -> list[Pattern]:
    miner = Miner("agent", patterns, EVERY_TOOL)
    for events in sessions:
        miner.observe_session(events)
    return miner.patterns()


def test_hints_survive_being_written_into_patterns_and_read_back() -> None:
    halfway = mined(MANY[:5], [])
    stored = [replace(p, statistics=json.loads(json.dumps(dict(p.statistics)))) for p in halfway]
    assert hints_in(mined([], stored)) == hints_in(halfway) == {"path": [0, 0, 0, 10], "why": [5, 0, 10, 10]}
    assert hints_in(mined(MANY[5:], stored)) == hints_in(mined(MANY, []))


def test_only_rows_without_context_hold_hints() -> None:
    assert [p.tool for p in mined(MANY, []) if "hints" in p.statistics] == ["read_file"]
    assert all(not p.context for p in mined(MANY, []) if "hints" in p.statistics)


def test_counting_is_linear_in_the_events() -> None:
    def seconds(calls: int) -> float:
        events = [event for n in range(calls) for event in look(n, f"{n % 50}.py", f"for the reason {n}")]
        started = time.process_time()
        counted(events)
        return time.process_time() - started

    assert min(seconds(8000) for _ in range(3)) < 12 * min(seconds(2000) for _ in range(3))
