"""The first word of the overview, by its rules."""

from paste_web.answer import Answer, answer
from speculation.savings import Pairs
from speculation.totals import Effect

NO_PAIRS = Pairs(0)


def said(effect: Effect, *, paused: str = "", learning: str = "", pairs: Pairs = NO_PAIRS) -> Answer:
    return answer(paused=paused, learning=learning, effect=effect, pairs=pairs)


def measured(less: float, low: float, high: float) -> Effect:
    return Effect(118, 31, 19.1, 24.6, less, low, high)


def test_an_interval_above_nothing_is_a_yes_with_its_figures() -> None:
    found = said(measured(0.22, 0.17, 0.26))
    assert (found.word, found.tone) == ("Yes.", "gain")
    assert "took 22 % less time: median 19.1 s against 24.6 s" in found.sentence
    assert "17 % to 26 % less, 118 with, 31 without" in found.sentence


def test_an_interval_below_nothing_is_a_no_that_offers_the_pause() -> None:
    found = said(measured(-0.05, -0.09, -0.01))
    assert (found.word, found.tone, found.offers_pause) == ("No.", "negative", True)
    assert "5 % more time" in found.sentence


def test_an_interval_around_nothing_cannot_tell() -> None:
    assert said(measured(0.03, -0.02, 0.08)).word == "Cannot tell."


def test_too_few_sessions_show_what_ran_both_ways_and_how_many_are_missing() -> None:
    found = said(Effect(3, 0), pairs=Pairs(12, 18.0, 24.0))
    assert found.word == "Too early."
    assert "12 tasks ran both ways: 25 % less time" in found.sentence
    assert "3 of 30 with, 0 of 30 without" in found.sentence
    assert "83 with, 27 of 30 without" in said(Effect(83, 27)).sentence


def test_learning_and_pauses_come_before_any_figure() -> None:
    yes = measured(0.22, 0.17, 0.26)
    assert said(yes, learning="Learning: 2 of 6 sessions, 0 patterns.").word == "Learning."
    paused = said(yes, paused="paused by op1: too hot", learning="Learning: 2 of 6 sessions, 0 patterns.")
    assert (paused.word, paused.sentence.startswith("Paused by op1: too hot.")) == ("Paused.", True)
