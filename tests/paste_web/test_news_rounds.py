"""Rounds in which all watchers are told: what one asks of the database, in which order it answers, and who it fails."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import DatabaseError, connection

from paste_web.news_rounds import Made, Rounds
from paste_web.session_view import SessionView
from speculation import queries
from speculation.models import Session
from tests.paste_web.stored_sessions import append, store
from tests.speculation.written_log import WrittenLog, example

pytestmark = pytest.mark.django_db(transaction=True)

HALF = 14


def grown(by: int = 1, session: Session | None = None) -> SessionView:
    """A view of a session whose log has grown since."""
    log = example()
    session = session or store(WrittenLog(log[:HALF]))
    view = SessionView(session, show_payloads=True)
    view.snapshot()
    if by:
        append(session, WrittenLog(log[session.last_seq : session.last_seq + by]))
    return view


def asked_at_once(*questions: Callable[[Rounds], Awaitable[Any]]) -> list[Any]:
    """What each was told, or its error."""

    async def ask() -> list[Any]:
        rounds = Rounds()
        return await asyncio.gather(*(question(rounds) for question in questions), return_exceptions=True)

    return async_to_sync(ask)()


def rows(view: SessionView, drawn_at: float | None = None) -> Callable[[Rounds], Awaitable[Made]]:
    return lambda rounds: rounds.rows(view, drawn_at)


@contextmanager
def asked_of_the_log() -> Iterator[list[str]]:
    """The statements that read any log."""
    seen: list[str] = []

    def note(execute: Callable[..., Any], sql: str, *given: Any) -> Any:
        if "speculation_eventrecord" in sql:
            seen.append(sql)
        return execute(sql, *given)

    with connection.execute_wrapper(note):
        yield seen


def test_all_who_ask_at_once_are_read_for_by_one_statement() -> None:
    views = [grown(by=number + 1) for number in range(3)]
    with asked_of_the_log() as statements:
        told = asked_at_once(*map(rows, views))
    assert [made.message["events"].count("<tr") for made in told] == [1, 2, 3]
    assert len(statements) == 1


def test_two_readers_of_one_session_each_get_what_they_have_not() -> None:
    early = grown()
    late = grown(session=early.session)
    told = asked_at_once(rows(early), rows(late), rows(late))
    assert [(made.message["after"], made.message["seq"]) for made in told[:2]] == [
        (HALF, HALF + 2),
        (HALF + 1, HALF + 2),
    ]
    assert told[2].message is None, "nothing is told twice"


def test_nothing_is_asked_for_who_has_everything_and_for_what_is_over() -> None:
    over = SessionView(store(example()), show_payloads=True)
    over.snapshot()
    assert not over.reads_on
    with asked_of_the_log() as statements:
        assert asked_at_once(rows(over))[0].message is None
    assert not statements


def test_all_rows_come_before_the_one_chart_of_a_round_which_is_the_longest_overdue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order: list[tuple[str, int]] = []
    for name in ("news", "drawing"):
        monkeypatch.setattr(SessionView, name, noting(name, getattr(SessionView, name), order))
    views = [grown(by=number) for number in (1, 2, 3)]
    told = asked_at_once(rows(views[0], 20.0), rows(views[1], 10.0), rows(views[2]))
    assert order == [("news", HALF + 1), ("news", HALF + 2), ("news", HALF + 3), ("drawing", HALF + 2)]
    assert ["figure" in made.message for made in told] == [False] * 3
    assert [made.drawing is not None for made in told] == [False, True, False]


def noting(name: str, make: Callable[..., Any], order: list[tuple[str, int]]) -> Callable[..., Any]:
    def made(view: SessionView, *given: Any) -> Any:
        message = make(view, *given)
        order.append((name, view.story.last_seq))
        return message

    return made


def test_the_chart_of_a_round_comes_after_its_rows() -> None:
    view = grown()

    async def ask(rounds: Rounds) -> tuple[Made, Made]:
        made = await rounds.rows(view, 0.0)
        assert made.drawing is not None
        return made, await made.drawing

    rows_made, chart_made = asked_at_once(ask)[0]
    assert (rows_made.message["after"], rows_made.message["seq"]) == (HALF, HALF + 1)
    assert (chart_made.message["after"], chart_made.message["seq"]) == (HALF + 1, HALF + 1)
    assert "figure" in chart_made.message and chart_made.cost_seconds > 0


def test_a_reader_with_nothing_new_gets_no_chart_and_one_who_is_owed_one_does() -> None:
    quiet, owed = grown(by=0), grown()
    owed.news(queries.events_after(owed.session.pk, HALF))
    first, second = asked_at_once(rows(quiet, 0.0), rows(owed, 5.0))
    assert first.message is None and first.drawing is None
    assert second.message is None and second.drawing is not None


def test_what_somebody_waits_for_comes_before_charts_and_one_in_a_round() -> None:
    view, order = grown(), []

    def note(name: str) -> dict[str, Any]:
        order.append(name)
        return {}

    told = asked_at_once(
        lambda rounds: rounds.costly(lambda: note("first look")),
        lambda rounds: rounds.costly(lambda: note("second look")),
        rows(view, 0.0),
    )
    assert order == ["first look", "second look"]
    assert told[2].drawing is None, "its chart waits for another round"


def test_a_view_that_fails_fails_its_own_watcher_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    broken, fine = grown(), grown()
    monkeypatch.setattr(broken, "news", lambda found: 1 // 0)
    failed, told = asked_at_once(rows(broken), rows(fine))
    assert isinstance(failed, ZeroDivisionError) and told.message["seq"] == HALF + 1


def test_a_round_whose_reading_fails_fails_all_of_it_and_the_next_one_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    view = grown()

    async def twice(rounds: Rounds) -> list[Any]:
        with monkeypatch.context() as patched:
            patched.setattr(queries, "events_after_each", failing)
            failed = await asyncio.gather(rounds.rows(view, None), rounds.costly(dict), return_exceptions=True)
        return [*failed, await rounds.rows(view, None)]

    def failing(readers: object) -> None:
        raise DatabaseError("gone")

    rows_error, look_error, later = asked_at_once(twice)[0]
    assert isinstance(rows_error, DatabaseError) and isinstance(look_error, DatabaseError)
    assert later.message["seq"] == HALF + 1


def test_who_goes_away_while_a_round_is_held_disturbs_nobody() -> None:
    gone, stays = grown(), grown()

    async def ask(rounds: Rounds) -> Made:
        going = asyncio.ensure_future(rounds.rows(gone, 0.0))
        staying = asyncio.ensure_future(rounds.rows(stays, None))
        await asyncio.sleep(0)
        going.cancel()
        return await staying

    assert asked_at_once(ask)[0].message["seq"] == HALF + 1
