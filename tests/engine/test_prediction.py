"""The predictor learns from few sessions, and does what an operator's override says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pytest

from speculation.engine.evidence import Evidence
from speculation.engine.mining import Miner
from speculation.engine.prediction import Predictor
from speculation.engine.priors import Priors
from speculation.engine.types import Event, EventKind, Pattern, Prediction, SourceCount, ToolTraits
from tests.engine.sessions import TOOLS, browsing, call, coding, mine, research, support, user
from tools.base import ToolCall


def predict_each_turn(
    patterns: Sequence[Pattern], events: Sequence[Event]
) -> list[tuple[list[Prediction], ToolCall | None]]:
    """Per model turn the predictions made before it, and the call that came."""
    session = Predictor(patterns, TOOLS).session()
    found = []
    for index, event in enumerate(events):
        if event.kind == EventKind.LLM:
            after = events[index + 1] if index + 1 < len(events) else None
            asked = ToolCall(after.tool, after.arguments) if after and after.kind == EventKind.TOOL else None
            found.append((session.predict(5)[0], asked))
        session.observe(event)
    return found


@pytest.mark.parametrize(
    ("earlier", "third"),
    [
        ([research("owls", ["a1", "b", "c"]), research("bats", ["d", "e", "f"])], research("newts", ["g", "h", "i"])),
        (
            [support("ann_lee_1", ["#W11", "#W12"]), support("bob_ray_22", ["#W21", "#W22"])],
            support("cy_fox_333", ["#W31", "#W32"]),
        ),
        ([coding("src", ["x.py", "y.py"]), coding("lib", ["p.py", "q.py"])], coding("app", ["m.py", "n.py"])),
        ([browsing("/srv/may", ["x.md"]), browsing("/srv/june", ["p.md"])], browsing("/srv/july", ["m.md"])),
    ],
)
def test_two_sessions_are_enough_to_predict_the_third(earlier: list[list[Event]], third: list[Event]) -> None:
    turns = [(predictions, asked) for predictions, asked in predict_each_turn(mine(*earlier), third)[1:] if asked]
    for predictions, asked in turns:
        matching = [p for p in predictions if p.call == asked]
        assert matching, f"{asked} is not among {predictions}"
        assert matching[0].probability_before_write >= 0.4
    assert sum(predictions[0].call == asked for predictions, asked in turns) == len(turns)


READ = {"get_record": ToolTraits("get_record", reads_only=True, changes_world=False)}


def at_the_desk(name: str) -> list[Event]:
    """A customer's record, the order that it names, and the payment that this one names."""
    return [
        user(f"I am {name}@example.org, what about my order?"),
        *call(1, "get_record", {"orders": [f"#W{name}"]}, table="customers", key=f"{name}@example.org"),
        *call(2, "get_record", {"payment": f"pay_{name}"}, table="orders", key=f"#W{name}"),
        *call(3, "get_record", {"state": "paid"}, table="payments", key=f"pay_{name}"),
    ]


def mined_of(tools: Mapping[str, ToolTraits], sessions: Iterable[list[Event]]) -> list[Pattern]:
    miner = Miner("agent", tools=tools)
    for events in sessions:
        miner.observe_session(events)
    return miner.patterns()


def test_values_that_both_come_soon_are_not_expected_in_one_call_where_they_never_came_in_one() -> None:
    """The customer's key and the table of payments are both asked for before the next change, and never together."""
    session = Predictor(mined_of(READ, map(at_the_desk, ["ann", "bob", "cy"])), READ).session()
    events = at_the_desk("di")
    for index, event in enumerate(events):
        if event.kind == EventKind.LLM:
            comes = [later.arguments for later in events[index:] if later.kind == EventKind.TOOL]
            chances = [(p.call.arguments in comes, p.probability_before_write) for p in session.predict(5, only_reads=True)[0]]
            assert any(is_right and chance > 0.5 for is_right, chance in chances)
            assert all(is_right or chance < 0.3 for is_right, chance in chances)
        session.observe(event)


def test_where_every_call_puts_its_values_together_anew_any_two_may_come() -> None:
    sessions = [
        [user("go"), *call(1, "get_record", "x", table=f"table {k % 5}", key=f"key {k // 5 % 7}")] for k in range(0, 315, 9)
    ]
    patterns = mined_of(READ, sessions)
    assert Priors(patterns, 50.0).novelty("get_record", [()]) > 0.3
    assert Priors(mined_of(READ, map(at_the_desk, map(str, range(35)))), 50.0).novelty("get_record", [()]) < 0.1


def test_an_operators_mapping_is_taken_at_its_word_even_where_its_values_never_came_in_one_call() -> None:
    patterns = mined_of(READ, map(at_the_desk, map(str, range(35))))
    told = [replace(p, has_own_mapping=True) if not p.context and p.tool == "get_record" else p for p in patterns]
    assert Priors(told, 50.0).novelty("get_record", [()]) == 1.0


def test_an_answer_is_an_outcome_that_takes_probability_from_every_call() -> None:
    patterns = mine(research("owls", ["a"]), research("bats", ["b"]))
    predictions, _ = predict_each_turn(patterns, research("newts", ["c"]))[-1]
    assert sum(p.probability for p in predictions) < 0.5
    assert any(pattern.tool == "" and pattern.support > 0 for pattern in patterns)


def test_a_disabled_pattern_without_context_removes_its_tool_altogether() -> None:
    patterns = [
        replace(p, enabled=False) if not p.context and p.tool == "fetch" else p
        for p in mine(research("owls", ["a", "b"]), research("bats", ["c", "d"]))
    ]
    turns = predict_each_turn(patterns, research("newts", ["e", "f"]))
    assert all(p.call.tool != "fetch" for predictions, _ in turns for p in predictions)


def test_a_disabled_pattern_is_dropped_from_predictions_of_its_own_context_only() -> None:
    mined = mine(research("owls", ["a", "b"]), research("bats", ["c", "d"]))
    patterns = [replace(p, enabled=False) if p.context == ("search:ok",) and p.tool == "fetch" else p for p in mined]
    turns = predict_each_turn(patterns, research("newts", ["e", "f"]))
    assert all(p.call.tool != "fetch" for p in turns[1][0])
    assert any(p.call.tool == "fetch" for p in turns[2][0])


def test_an_operators_probability_wins_over_the_mined_one() -> None:
    mined = mine(research("owls", ["a", "b"]), research("bats", ["c", "d"]))
    patterns = [
        replace(p, probability_override=0.01) if p.context == ("search:ok",) and p.tool == "fetch" else p for p in mined
    ]
    before = predict_each_turn(mined, research("newts", ["e", "f"]))[1][0][0]
    after = predict_each_turn(patterns, research("newts", ["e", "f"]))[1][0]
    assert before.call.tool == "fetch" and before.probability > 0.25
    assert all(p.probability <= 0.01 for p in after if p.call.tool == "fetch")


def test_predictions_for_launching_are_of_read_only_tools_alone() -> None:
    writes = [user("change it"), *call(1, "update", "ok", id="7"), *call(2, "get_user", {"user_id": "u"}, user_id="7")]
    session = Predictor(mine(writes, writes), TOOLS).session()
    session.observe(user("change it"))
    assert session.predict(5)[0][0].call.tool == "update"
    assert all(p.call.tool == "get_user" for p in session.predict(5, only_reads=True)[0])


def turns_to(counts: dict[str, int]) -> list[list[Event]]:
    """Sessions that begin with one tool or another, so many with each."""
    return [[user("go on"), *call(1, tool, "ok", id="7")] for tool, count in counts.items() for _ in range(count)]


@pytest.mark.parametrize(("reads", "writes", "first"), [(8, 10, "get_user"), (2, 18, "update")])
def test_of_two_calls_about_as_likely_the_one_that_may_run_early_goes_first(
    reads: int, writes: int, first: str
) -> None:
    sessions = turns_to({"get_user": reads, "update": writes})
    session = Predictor(mine(*sessions[::2], *sessions[1::2]), TOOLS).session()
    session.observe(user("go on"))
    predictions = session.predict(2)[0]
    assert [p.call.tool for p in predictions] == [first, *({"get_user", "update"} - {first})]
    likelier = max(predictions, key=lambda p: p.probability)
    assert likelier.call.tool == "update", "what is said of each is its own chance"
    assert [p.call.tool for p in session.predict(1)[0]] == [first]


def sources_looked_at(counts: Mapping[str, float], *, repeats: bool) -> list[str]:
    """`counts`: how often each source of the tool's argument was right, of 200 times."""
    mapping = {"command": tuple(SourceCount(source, right, 200.0) for source, right in counts.items())}
    soon = {"command": {source: [right, 200.0] for source, right in counts.items()}}
    pattern = Pattern("agent", (), "shell", 200.0, 200.0, mapping, {"sources_soon": soon})
    return Priors([pattern], 400.0, {"shell"} if repeats else ()).rosters("shell")["command"].texts


def test_commands_given_again_and_again_are_looked_at_however_many_others_were() -> None:
    counts = {f"item {rank} of arguments(shell).command": 50.0 for rank in range(5)}
    counts |= {'= "git status"': 7.0, '= "make once"': 2.0}
    assert sources_looked_at(counts, repeats=True) == [*list(counts)[:5], '= "git status"']


def test_of_values_of_a_tool_whose_calls_do_not_come_again_a_few_are_looked_at() -> None:
    counts = {f'= "query {number}"': 12.0 - number for number in range(9)}
    assert sources_looked_at(counts, repeats=False) == list(counts)[:5]


def test_what_each_session_of_one_task_asked_for_does_not_keep_out_what_the_words_of_another_say() -> None:
    words = {f"item {rank} of user()~name": 9.0 - rank for rank in range(4)}
    of_one_task = {f'= "query {number}"': 12.0 for number in range(6)}
    of_all_tasks = {'= "the list of all"': 60.0}
    assert sources_looked_at(of_one_task | words, repeats=False) == [*words, next(iter(of_one_task))]
    assert sources_looked_at(of_all_tasks | of_one_task | words, repeats=False) == [*words, *of_all_tasks]


def test_every_tool_has_a_chance_that_its_calls_share() -> None:
    session = Predictor(mine(research("owls", ["a", "b"]), research("bats", ["c", "d"])), TOOLS).session()
    for event in research("newts", ["e", "f"])[:3]:
        session.observe(event)
    chances = session.tool_chances()
    assert chances["fetch"] == max(chances.values()) > 0.5
    of_fetch = sum(p.probability for p in session.predict(20)[0] if p.call.tool == "fetch")
    assert 0.0 < of_fetch <= chances["fetch"]


def test_a_turn_is_sharpened_from_what_was_likely_at_its_start() -> None:
    session = Predictor(mine(research("owls", ["a", "b"]), research("bats", ["c", "d"])), TOOLS).session()
    for event in research("newts", ["e", "f"])[:3]:
        session.observe(event)
    likeliest = session.predict(1)[0][0]
    sharpener = session.sharpener(TOOLS)
    assert sharpener.standing(1)[0].call == likeliest.call
    (named,) = sharpener.sharpen(Evidence(tool="fetch", arguments=likeliest.call.arguments), 1)
    assert named.call == likeliest.call
    assert named.probability > likeliest.probability


@pytest.mark.parametrize("only_reads", [False, True])
def test_a_prediction_is_the_same_whether_or_not_others_were_asked_for_on_the_way(only_reads: bool) -> None:
    patterns = mine(support("ann_lee_1", ["#W11", "#W12"]), support("bob_ray_22", ["#W21", "#W22"]))
    events = support("cy_fox_333", ["#W31", "#W32"])
    often = Predictor(patterns, TOOLS).session()
    for seen, event in enumerate(events, start=1):
        often.observe(event)
        often.predict(5, not only_reads)
        once = Predictor(patterns, TOOLS).session()
        for earlier in events[:seen]:
            once.observe(earlier)
        assert often.predict(5, only_reads) == once.predict(5, only_reads)


def contrary(topic: str, pages: Sequence[str]) -> list[Event]:
    """As `research`, but every list is gone through from its end."""
    opening, turns = research(topic, pages)[:3], research(topic, pages[::-1])[3:]
    return [*opening, *turns]


def chance_of_the_last(session_of: Predictor, before: list[Event]) -> float:
    """P(next) of the last page of a new search, for a session that saw these events."""
    session = session_of.session()
    for event in [*before, *research("newts", ["n1", "n2", "n3"])[:3]]:
        session.observe(event)
    return next((p.probability for p in session.predict(20)[0] if str(p.call.arguments.get("url")).endswith("n3")), 0.0)


def test_a_session_that_goes_against_what_was_learned_is_soon_believed() -> None:
    pages = ["a", "b", "c", "d", "e"]
    both = mine(research("owls", pages), research("bats", pages[:3]), contrary("eels", pages), research("elks", pages))
    learns, does_not = Predictor(both, TOOLS), Predictor(both, TOOLS, keeps_record=False)
    with_the_grain, against_it = research("ants", ["p", "q", "r", "s"]), contrary("ants", ["p", "q", "r", "s"])
    assert chance_of_the_last(learns, against_it) > chance_of_the_last(does_not, against_it)
    assert chance_of_the_last(learns, with_the_grain) < chance_of_the_last(learns, against_it)


def test_turns_that_call_nothing_count_against_what_was_likely_in_them() -> None:
    predictor = Predictor(mine(research("owls", ["a", "b"]), research("bats", ["c", "d"])), TOOLS)
    opening = research("newts", ["e", "f"])[:3]
    silent, other = predictor.session(), predictor.session()
    for event in opening:
        silent.observe(event)
        other.observe(event)
    for turn in range(10, 14):
        silent.observe(Event(EventKind.LLM, turn=turn))
        other.observe(Event(EventKind.USER))
    assert silent.predict(1)[0][0].call == ToolCall("fetch", {"url": "https://example.org/e"})
    assert silent._record.shift("fetch", tuple(silent.predict(1)[0][0].sources.values())) < 0.0
