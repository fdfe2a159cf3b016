"""What speaks for one element of a list: its words, its place, and the years that it is about."""

from speculation.engine.tokens import stems
from speculation.engine.views import View

CHAPTERS = ["Early life", "1998-2005: First films", "2006 to present: Fame", "Awards"]


def shared(asked: str, elements: list[str]) -> list[set[str]]:
    """Of each element its marks for what it shares with the question."""
    found = View(elements).marks(range(len(elements)), stems(asked))
    return [{mark for mark in marks if mark[0] in "sc" and mark[1:].isdigit()} for marks in found]


def test_a_year_that_is_asked_for_speaks_for_the_element_whose_period_holds_it() -> None:
    assert shared("Which part did she play in 2001?", CHAPTERS) == [set(), {"s3", "c0"}, set(), set()]
    assert shared("Which part did she play in 2023?", CHAPTERS) == [set(), set(), {"s3", "c0"}, set()]
    assert shared("Which part did she play in 1985?", CHAPTERS) == [set(), set(), set(), set()]


def test_a_year_that_many_periods_hold_says_little_of_each() -> None:
    marks = shared("In 2001", ["1990-2010 and 1 more", "1995-2005", "1999-2003", "2010-2020"])
    assert ["s1" in each for each in marks] == [True, True, True, False]


def test_the_periods_of_a_record_count_for_its_value() -> None:
    records = [{"id": "a", "title": "The 1980s"}, {"id": "b", "title": "The 1990s"}]
    view = View(["a", "b"], records)
    assert "s3" in view.marks([0, 1], stems("won in 1994"))[1]
