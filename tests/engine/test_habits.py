"""Values that an agent gives again and again are chosen by the situation, not by where they stood before."""

import pytest

from speculation.engine.habits import LONGEST_HABIT, MAX_HABITS, Habits, settled
from speculation.engine.mining import Miner
from speculation.engine.prediction import Predictor, SessionPredictor
from speculation.engine.types import Event, EventKind, Pattern
from tests.engine.sessions import EVERY_TOOL, call, user

COMMIT, TEST = "git status", "make test"


def taught(times: int = 20) -> Habits:
    habits = Habits()
    for value in (COMMIT, TEST):
        habits.take_up(value, times=3.0)
    for number in range(times):
        habits.learn(["commit"], COMMIT, {COMMIT})
        habits.learn(["check"], TEST, {TEST})
        habits.learn(["look"], f"ls {number}", {f"ls {number}", COMMIT})
    return habits


def chance(habits: Habits, value: str, sign: str) -> tuple[float, float]:
    return habits.chances([sign])[value]


def test_a_value_comes_where_its_sign_is_and_another_one_where_that_one_is_not() -> None:
    habits = taught()
    assert chance(habits, COMMIT, "commit")[0] > 0.7 > 0.2 > chance(habits, TEST, "commit")[0]
    assert chance(habits, COMMIT, "look")[0] < 0.2


def test_a_value_that_comes_later_is_soon_and_not_next() -> None:
    after, soon = chance(taught(), COMMIT, "look")
    assert soon > 0.6 > 0.2 > after


def test_what_comes_soon_is_learned_from_turns_in_which_the_tool_is_not_next() -> None:
    habits = taught()
    before = habits.chances(["idle"])
    for _ in range(30):
        habits.learn(["idle"], None, {TEST})
    after = habits.chances(["idle"])
    assert after[TEST][1] > 0.6 > before[TEST][1]
    assert after[TEST][0] == pytest.approx(before[TEST][0], abs=0.02)


def test_only_short_texts_given_three_times_become_habits_and_so_many_at_most() -> None:
    habits = Habits()
    habits.take_up("twice", times=2.0)
    habits.take_up("x" * (LONGEST_HABIT + 1), times=9.0)
    habits.take_up(("", 5), times=9.0)
    assert habits.values == []
    for number in range(2 * MAX_HABITS):
        habits.take_up(f"make {number}", times=3.0)
    assert len(habits.values) == MAX_HABITS


def test_what_is_put_into_a_pattern_says_the_same_when_read_back() -> None:
    habits = taught()
    read_back = Habits(habits.shown())
    assert read_back.values == habits.values
    for sign in ("commit", "check", "look"):
        assert chance(read_back, COMMIT, sign) == pytest.approx(chance(habits, COMMIT, sign), abs=1e-3)


def test_other_values_share_what_habits_leave() -> None:
    chances = [(0.1, 0.2), (0.4, 0.5), (0.2, 0.3)]
    found = settled(chances, ["habit", "a", "b"], {"habit": (0.55, 0.6)}, share=1.0)
    assert found[0] == pytest.approx((0.55, 0.6))
    assert [after for after, _ in found[1:]] == pytest.approx([0.2, 0.1])
    assert [soon for _, soon in found[1:]] == [0.5, 0.3]


def test_habits_count_by_their_share() -> None:
    found = settled([(0.1, 0.2), (0.4, 0.5)], ["habit", "a"], {"habit": (0.5, 0.6)}, share=0.25)
    assert found[0] == pytest.approx((0.2, 0.3))
    assert found[1][0] == pytest.approx(0.4 * 0.8 / 0.9)


def test_the_more_was_learned_the_more_habits_count() -> None:
    assert 0.0 < taught(times=5).share < taught(times=50).share < 0.5
    assert taught(times=400).share == 1.0


def test_without_habits_chances_stay_as_they_are() -> None:
    chances = [(0.1, 0.2), (0.4, 0.5)]
    assert settled(chances, ["a", "b"], {}, share=1.0) == chances


def work(words: str, *commands: str) -> list[Event]:
    events = [user(words)]
    for turn, command in enumerate(commands, start=1):
        events += call(turn, "shell", "done", command=command)
    return [*events, Event(EventKind.LLM, turn=len(commands) + 1, text="Done.")]


def learned(sessions: int = 120) -> list[Pattern]:
    """An agent that looks where it stands when told to commit, and else at files that are new each time."""
    miner = Miner("agent", tools=EVERY_TOOL)
    for number in range(sessions):
        miner.observe_session(
            work("please commit this", "cat status", f"git add {number}.py && git commit -m {number}")
        )
        miner.observe_session(work(f"explain part {number}", f"cat {number}.txt", f"cat {number}.md"))
    return miner.patterns()


def after(patterns: list[Pattern], words: str, *commands: str) -> SessionPredictor:
    session = Predictor(patterns, EVERY_TOOL).session()
    for event in work(words, *commands)[:-1]:
        session.observe(event)
    return session


def likely(session: SessionPredictor) -> dict[str, float]:
    return {str(one.call.arguments["command"]): one.probability for one in session.predict(5)[0]}


def test_a_command_is_foreseen_from_the_users_words_alone_in_a_session_that_never_gave_it() -> None:
    patterns = learned()
    told, not_told = (
        likely(after(patterns, words))["cat status"] for words in ("now commit this, please", "explain part 77")
    )
    assert told > 0.6 > 0.3 > not_told


def test_a_mapping_that_an_operator_gave_knows_no_habits() -> None:
    patterns = [
        pattern
        if pattern.context or pattern.tool != "shell"
        else Pattern(
            "agent",
            (),
            "shell",
            pattern.occurrences,
            pattern.support,
            {"command": tuple(one for one in pattern.mapping["command"] if one.source == '= "cat status"')},
            pattern.statistics,
            has_own_mapping=True,
        )
        for pattern in learned()
    ]
    said = {words: likely(after(patterns, words)).get("cat status", 0.0) for words in ("commit this", "explain part 7")}
    assert abs(said["commit this"] - said["explain part 7"]) < 0.2
