"""The miner's state is its patterns: deterministic, incremental, aged, bounded."""

import json
from dataclasses import replace

import pytest

from speculation.engine import mining
from speculation.engine.mining import Miner
from speculation.engine.prediction import Predictor
from speculation.engine.types import Event, EventKind, Pattern, SourceCount, ToolTraits
from tests.engine.sessions import EVERY_TOOL, TOOLS, call, coding, mine, research, support, user

SESSIONS = [
    research("owls", ["a", "b", "c"]),
    support("ann_lee_1", ["#W11", "#W12"]),
    coding("src", ["x.py", "y.py"]),
    research("bats", ["d", "e"]),
    support("bob_ray_22", ["#W21"]),
]


def row(patterns: list[Pattern], context: tuple[str, ...], tool: str) -> Pattern:
    (found,) = [p for p in patterns if p.context == context and p.tool == tool]
    return found


def test_the_same_sessions_give_the_same_patterns() -> None:
    assert mine(*SESSIONS) == mine(*SESSIONS)


def test_a_miner_rebuilt_from_its_patterns_has_the_same_patterns() -> None:
    patterns = mine(*SESSIONS)
    assert Miner("agent", patterns, TOOLS).patterns() == patterns


def test_patterns_survive_being_stored_as_json() -> None:
    for pattern in mine(*SESSIONS):
        assert json.loads(json.dumps(dict(pattern.statistics))) == pattern.statistics


def test_a_context_counts_what_came_next_and_answers_too() -> None:
    patterns = mine(research("owls", ["a", "b"]), research("bats", ["c"]))
    after_search = row(patterns, ("search:ok",), "fetch")
    assert after_search.occurrences == pytest.approx(2, abs=0.01)
    assert after_search.probability == 1.0
    after_fetch = row(patterns, ("fetch:ok",), "")
    assert after_fetch.support == pytest.approx(2, abs=0.01)
    assert after_fetch.occurrences == pytest.approx(3, abs=0.01)


def test_contexts_are_suffixes_of_up_to_four_signatures() -> None:
    contexts = {p.context for p in mine(research("owls", ["a", "b", "c", "d", "e", "f"]))}
    assert () in contexts
    assert max(len(context) for context in contexts) == 4
    assert ("user", "search:ok", "fetch:ok", "fetch:ok") in contexts


def test_the_mapping_names_the_places_arguments_came_from() -> None:
    patterns = mine(support("ann_lee_1", ["#W11", "#W12"]), support("bob_ray_22", ["#W21", "#W22"]))
    sources = {c.source: c for c in row(patterns, (), "get_details").mapping["order_id"]}
    found = sources["next 0 of result(get_orders).orders[*].id"]
    assert found.right == pytest.approx(found.available) == pytest.approx(4, abs=0.02)
    assert sources["item 1 of result(get_orders).orders[*].id"].right < found.right


def test_a_source_first_right_late_was_wrong_before() -> None:
    patterns = mine(*[support(f"ann_lee_{n}", [f"#W{n}1"]) for n in range(1, 9)])
    constants = [c for c in row(patterns, (), "get_details").mapping["order_id"] if c.source.startswith("=")]
    assert all(c.right <= c.available for c in constants)
    assert min(c.right / c.available for c in constants) <= 1 / 8 + 0.01


def test_use_before_the_next_write_ends_at_the_write() -> None:
    events = [
        user("go"),
        *call(1, "get_user", {"user_id": "u"}, user_id="u"),
        *call(2, "update", "ok", user_id="u"),
        *call(3, "get_orders", "none", user_id="u"),
    ]
    patterns = mine(events)
    assert row(patterns, ("user",), "update").statistics["soon"] == 1.0
    assert all(p.context != ("user",) for p in patterns if p.tool == "get_orders")


def test_calls_side_by_side_are_one_step_and_all_of_them_come_soon() -> None:
    parallel = [
        user("read"),
        Event(EventKind.LLM, turn=1),
        *(
            Event(EventKind.TOOL, 1, tool="read_file", status="ok", arguments={"path": p}, result="x")
            for p in ("a.py", "b.py")
        ),
    ]
    read = row(mine(parallel), (), "read_file")
    assert read.support == 1.0
    assert read.occurrences == 1.0


def before_turn(events: list[Event], number: int) -> list[Event]:
    """What a session had when so many turns had ended, and the next had begun."""
    begun = [index for index, event in enumerate(events) if event.kind == EventKind.LLM]
    return events[: begun[number]] if number < len(begun) else events


@pytest.mark.parametrize("study_all_steps", [mining.STUDY_ALL_STEPS, 0.5])  # all is studied; nearly all is skimmed
@pytest.mark.parametrize("turns", [1, 2, 4, 5])
def test_a_session_that_goes_on_after_it_was_counted_counts_once(
    turns: int, study_all_steps: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mining, "STUDY_ALL_STEPS", study_all_steps)
    monkeypatch.setattr(mining, "LISTEN_BELOW", 0.0)
    session = research("owls", ["a", "b", "c"])
    at_once, in_two = Miner("agent", tools=TOOLS), Miner("agent", tools=TOOLS)
    for miner in (at_once, in_two):
        miner.observe_session(support("ann_lee_1", ["#W11", "#W12"]))
    assert at_once.observe_session(session) == 5
    assert in_two.observe_session(before_turn(session, turns)) == turns
    assert in_two.observe_session(session, known_turns=turns) == 5
    in_two.observe_session(session, known_turns=5)
    counts = [
        {p.key: (p.occurrences, p.support) for p in miner.patterns() if p.support} for miner in (at_once, in_two)
    ]
    assert counts[0] == counts[1]
    for miner in (at_once, in_two):
        miner.observe_session(coding("src", ["x.py"]))
    assert row(at_once.patterns(), (), "list_files").occurrences == row(in_two.patterns(), (), "list_files").occurrences


def test_old_sessions_count_less() -> None:
    miner = Miner("agent", tools=TOOLS, half_life_sessions=2)
    for _ in range(4):
        miner.observe_session(research("owls", ["a"]))
    counts = row(miner.patterns(), (), "search")
    assert counts.support == pytest.approx(1 + 2**-0.5 + 2**-1 + 2**-1.5)


def test_rows_stored_at_different_times_are_aged_to_the_same_session() -> None:
    miner = Miner("agent", tools=TOOLS, half_life_sessions=1)
    miner.observe_session(research("owls", ["a"]))
    stored = {p.key: p for p in miner.changed()}
    miner.observe_session(coding("src", ["x.py"]))
    stored.update({p.key: p for p in miner.changed()})
    rebuilt = Miner("agent", stored.values(), TOOLS, half_life_sessions=1)
    assert row(rebuilt.patterns(), ("user", "search:ok"), "fetch").support == pytest.approx(0.5)


def test_changed_gives_what_moved_since_it_was_last_asked() -> None:
    miner = Miner("agent", tools=TOOLS)
    miner.observe_session(research("owls", ["a"]))
    assert {p.key for p in miner.changed()} == {p.key for p in miner.patterns()}
    assert miner.changed() == []
    miner.observe_session(coding("src", ["x.py"]))
    moved = {p.key for p in miner.changed()}
    assert "list_files:ok => read_file" in moved
    assert "search:ok => fetch" not in moved


def test_memory_is_bounded_and_the_least_seen_contexts_go_first() -> None:
    miner = Miner("agent", tools=TOOLS, max_rows=60)
    for n in range(40):
        miner.observe_session(research("owls", [f"{n}a", f"{n}b"]))
        miner.observe_session([user("x"), *call(1, f"odd_{n}", "y", id=str(n))])
        assert len(miner.patterns()) <= 60
    assert any(p.key == "search:ok => fetch" for p in miner.patterns())


def test_mining_keeps_what_an_operator_decided() -> None:
    patterns = [replace(p, enabled=False, probability_override=0.5) for p in mine(research("owls", ["a"]))]
    miner = Miner("agent", patterns, TOOLS)
    miner.observe_session(research("bats", ["b"]))
    assert not row(miner.patterns(), (), "fetch").enabled
    assert row(miner.patterns(), (), "fetch").probability_override == 0.5


def test_where_an_agent_works_is_learned_and_tells_where_the_first_file_of_a_new_session_is() -> None:
    def fixing(name: str) -> list[Event]:
        return [user(f"Please mend src/{name}.py"), *call(1, "read", "code", file_path=f"/home/app/src/{name}.py")]

    miner = Miner("agent", tools=EVERY_TOOL)
    for name in ("one", "two", "three", "four"):
        miner.observe_session(fixing(name))
    session = Predictor(miner.patterns(), EVERY_TOOL).session()
    session.observe(fixing("other")[0])
    (best, *_), _ = session.predict(3)
    assert best.call.arguments == {"file_path": "/home/app/src/other.py"}
    assert best.sources == {"file_path": '"/home/app/" + each of work()~unplaced + ""'}


def test_every_place_where_an_agent_works_is_kept_however_many_files_it_reads_otherwise() -> None:
    def fixing(home: str, name: str) -> list[Event]:
        return [user(f"Please mend src/{name}.py"), *call(1, "read", "code", file_path=f"{home}/src/{name}.py")]

    reading = [user("Go on")]
    reading += [event for n in range(80) for event in call(n + 1, "read", "", file_path=f"/log/{n}.txt")]
    miner = Miner("agent", tools=EVERY_TOOL)
    for session in (fixing("/home/app", "one"), fixing("/tree/app", "two"), reading, reading, reading):
        miner.observe_session(session)
    known = row(miner.patterns(), (), "read").mapping["file_path"]
    assert len(known) < 80, "most of what was read there is forgotten"
    homes = {count.source for count in known if "unplaced" in count.source}
    assert homes == {f'"{home}/" + each of work()~unplaced + ""' for home in ("/home/app", "/tree/app")}
    session = Predictor(miner.patterns(), EVERY_TOOL).session()
    session.observe(fixing("", "other")[0])
    guesses = {str(one.call.arguments["file_path"]) for one in session.predict(5)[0]}
    assert {"/home/app/src/other.py", "/tree/app/src/other.py"} <= guesses


def weights(patterns: list[Pattern], tool: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = row(patterns, (), tool).statistics.get("signs", {})
    return found


def test_sessions_that_are_not_studied_still_teach_which_tool_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mining, "STUDY_ALL_STEPS", 1.0)
    studied, listened = research("owls", ["a", "b", "c"]), support("ann_lee_1", ["#W11", "#W12"])
    patterns = mine(studied, listened)
    assert weights(patterns, "get_orders")
    assert not row(patterns, (), "get_orders").mapping, "where arguments come from is studied only"
    monkeypatch.setattr(mining, "LISTEN_BELOW", 0.0)
    skimmed = row(mine(studied, listened), (), "get_orders")
    assert skimmed.support == 1.0
    assert not skimmed.statistics.get("signs")


def test_the_steps_of_a_long_session_move_the_choice_of_tools_less_each(monkeypatch: pytest.MonkeyPatch) -> None:
    short, long = research("owls", ["a", "b", "c"]), research("owls", [f"p{number}" for number in range(200)])
    patterns = mine(short), mine(long)
    monkeypatch.setattr(mining, "LONG_SESSION", 1e9)
    assert mine(short) == patterns[0]
    assert weights(patterns[1], "search")["user"][0] < 0.7 * weights(mine(long), "search")["user"][0]


def test_cosmetic_arguments_take_no_part_in_patterns() -> None:
    tools = {"run": ToolTraits("run", True, False, cosmetic_arguments=frozenset({"description"}))}
    miner = Miner("agent", tools=tools)
    miner.observe_session([user("go"), *call(1, "run", "ok", command="make", description="why")])
    assert "description" not in row(miner.patterns(), (), "run").mapping
    assert row(miner.patterns(), (), "run").mapping["command"] == (SourceCount('= "make"', 1.0, 1.0),)


def test_arguments_that_go_together_are_counted_together() -> None:
    legs = [{"from": "A", "to": "B"}, {"from": "C", "to": "D"}]
    tools = {"list_legs": ToolTraits("list_legs", True, False), "look_up": ToolTraits("look_up", True, False)}
    events = [user("go"), *call(1, "list_legs", legs)]
    for turn, leg in enumerate(legs, start=2):
        events += call(turn, "look_up", "fine", start=leg["from"], end=leg["to"])
    miner = Miner("agent", tools=tools)
    miner.observe_session(events)
    sets = [json.loads(c.source) for c in row(miner.patterns(), (), "look_up").mapping["*"] if c.source.startswith("{")]
    assert {"start": "item 0 of result(list_legs)[*].from", "end": "item 0 of result(list_legs)[*].to"} in sets
