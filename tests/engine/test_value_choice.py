"""Among the values that sources point to, one is chosen by weights of their marks, or none."""

import pytest

from speculation.engine.value_choice import NONE, Option, ValueChoice, log_odds


def option(value: str, *marks: str, odds: float = -1.0) -> Option:
    made = Option(value, value)
    made.marks += marks
    made.odds = made.odds_soon = odds
    return made


def offer() -> list[Option]:
    return [option("a", "first", "old"), option("b", "second", "new"), option("c", "third", "old")]


def taught(wanted: str | None, times: int = 60) -> ValueChoice:
    choice = ValueChoice()
    for _ in range(times):
        choice.learn(offer(), "ask:ok", True, wanted, {wanted} if wanted else set(), 1.0)
    return choice


def test_the_value_whose_marks_were_right_before_is_likelier() -> None:
    (a, _), (b, soon), (c, _) = taught("b").chances(offer(), "ask:ok")
    assert b > 0.6 > a and b > c
    assert soon > 0.6


def test_the_chances_leave_room_for_none_of_the_values() -> None:
    after = [chance for chance, _ in taught(None).chances(offer(), "ask:ok")]
    assert sum(after) < 0.3
    assert sum(chance for chance, _ in taught("b").chances(offer(), "ask:ok")) <= 1.0


def test_without_lessons_the_more_reliable_source_leads() -> None:
    options = [option("a", odds=log_odds(1.0, 10.0)), option("b", odds=log_odds(9.0, 10.0))]
    (a, _), (b, _) = ValueChoice().chances(options, "")
    assert b > 3 * a


def test_none_is_likelier_after_what_it_used_to_follow() -> None:
    choice = ValueChoice()
    for _ in range(60):
        choice.learn(offer(), "ask:ok", True, "b", {"b"}, 1.0)
        choice.learn(offer(), "user", True, None, set(), 1.0)
    known, unknown = (sum(after for after, _ in choice.chances(offer(), at)) for at in ("ask:ok", "user"))
    assert known > unknown + 0.2


def test_how_often_a_value_could_be_had_at_all_is_counted() -> None:
    choice = taught("b", times=30)
    for _ in range(30):
        choice.learn(offer(), "ask:ok", True, "elsewhere", set(), 1.0)
    assert choice.derivable == pytest.approx(0.5, abs=0.02)


def test_a_lesson_says_whether_what_came_was_as_good_as_known() -> None:
    choice = ValueChoice()

    def learn(wanted: str | None, is_next: bool = True) -> bool:
        return choice.learn(offer(), "ask:ok", is_next, wanted, {wanted} if wanted else set(), 1.0)

    assert not learn("b"), "the first time"
    while not learn("b"):
        pass
    assert learn("b") and not learn("a") and not learn(None)
    assert learn("a", is_next=False), "what comes later says nothing of it"
    choice = taught(None, times=400)
    assert learn(None) and learn("elsewhere"), "it is known to be none of these"


def test_what_is_shown_in_a_pattern_reads_back_as_the_same_choice() -> None:
    choice = taught("b")
    assert NONE in choice.shown()
    before, after = (c.chances(offer(), "ask:ok") for c in (choice, ValueChoice(choice.shown())))
    assert [pytest.approx(one, abs=1e-2) for one in before] == after


def test_marks_are_bounded() -> None:
    choice = ValueChoice()
    for number in range(2000):
        choice.learn([option("a", f"mark {number}")], "", True, "a", {"a"}, 1.0)
    assert len(choice.weights) <= 700
