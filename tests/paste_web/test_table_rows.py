"""Rows of a session's tables: what still goes on is told apart from what is known."""

import re

from paste_web.table_rows import row_html, turn_rows
from speculation.call_table import call_rows
from speculation.figures import compute
from speculation.story import Story
from tests.speculation.written_log import WrittenLog


def cells(html: str) -> list[str]:
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", html, re.DOTALL)]


def tables(log: WrittenLog) -> tuple[list[list[str]], list[list[str]]]:
    """The cells of the turns' rows and of the calls'."""
    story = Story(log)
    figures = compute(story)
    turns = [cells(row_html("turns", row)) for row in turn_rows(figures.turns, has_ended=story.has_ended)]
    return turns, [cells(row_html("calls", row)) for row in call_rows(story, figures)]


def test_a_turn_that_waits_for_its_call_says_so_instead_of_a_figure_that_grows_old() -> None:
    waiting = WrittenLog().started().turn(1, 0, 2, "read").asks("1.0", 2, "read", "a", "requested")
    ((number, starts, model, *rest),), ((*_, took, waited, _, _),) = tables(waiting)
    assert (number, starts, model) == ("1", "0.00 s", "2.00 s")
    assert rest == ["…", "…", "…"]
    assert (took, waited) == ("…", "…")


def test_what_has_returned_has_its_figures_while_the_session_goes_on() -> None:
    log = WrittenLog().started().turn(1, 0, 2, "read").requested("1.0", "read", 2, 2, 5)
    log.add(5, "turn_started", turn=2, attempt=1).add(5.5, "first_token", turn=2)
    (first, second), ((*_, took, waited, _, _),) = tables(log)
    assert first == ["1", "0.00 s", "2.00 s", "3.00 s", "3.00 s", "0.0 s"]
    assert second[:2] == ["2", "5.00 s"] and second[2:] == ["…"] * 4
    assert (took, waited) == ("3.00 s", "3.00 s")


def test_of_a_session_that_is_over_nothing_goes_on() -> None:
    given_up = WrittenLog().started().turn(1, 0, 2, "read").asks("1.0", 2, "read", "a", "requested").ended(6)
    (turn,), (call,) = tables(given_up)
    assert turn[3] == "4.00 s" and "…" not in turn
    assert call[6] == "4.00 s" and "…" not in call[5:]
