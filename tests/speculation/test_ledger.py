"""What ended sessions came to, written down once."""

import pytest

from speculation import ledger, queries
from speculation.figures import compute
from speculation.models import EventRecord, Session, SessionFigures, ToolFigures, ToolRecord
from speculation.story import Story
from tests.paste_web.stored_sessions import an_agent, append, store
from tests.speculation.written_log import Entry, WrittenLog, example, in_order

pytestmark = pytest.mark.django_db


@pytest.fixture
def tools() -> dict[str, ToolRecord]:
    names = ("get_user", "get_order", "get_payment", "search_policy", "update_record", "get_refund")
    made = {name: ToolRecord.objects.create(name=name, effect="none") for name in names}
    an_agent().tools.set(made.values())
    return made


def test_an_ended_session_is_booked_once_with_the_figures_of_its_log(tools: dict[str, ToolRecord]) -> None:
    session = store(example())
    assert ledger.book_ended() == 1
    assert ledger.book_ended() == 0
    booked, figures = SessionFigures.objects.get(), compute(Story(example()))
    for name in ("net_saved_seconds", "interference_seconds", "hidden_seconds", "wasted_seconds", "waited_seconds"):
        assert getattr(booked, name) == pytest.approx(getattr(figures, name), abs=1e-6)
    assert (booked.session, booked.calls, booked.hits, booked.launches, booked.wasted_runs) == (session, 5, 3, 5, 2)
    assert booked.used_seconds == pytest.approx(1.4 + 2.6 + 3.4, abs=1e-6)


def test_minutes_and_tools_add_up_to_the_session(tools: dict[str, ToolRecord]) -> None:
    store(example())
    ledger.book_ended()
    booked = SessionFigures.objects.get()
    sums = [sum(column) for column in list(zip(*booked.by_minute, strict=True))[1:]]
    expected = [booked.net_saved_seconds, booked.interference_seconds, booked.used_seconds, booked.wasted_seconds]
    assert sums == pytest.approx(expected, abs=1e-5)
    by_tool = list(ToolFigures.objects.all())
    for name in ("calls", "hits", "launches", "eligible_calls", "hidden_seconds", "wasted_seconds"):
        assert sum(getattr(row, name) for row in by_tool) == pytest.approx(getattr(booked, name), abs=1e-6)
    refund = ToolFigures.objects.get(tool=tools["get_refund"])
    assert (refund.calls, refund.launches, refund.waste) == (0, 1, {"miss": [1, pytest.approx(1.6)]})


def test_a_log_that_grew_after_the_end_is_booked_anew(tools: dict[str, ToolRecord]) -> None:
    log = WrittenLog().started().turn(1, 0, 2, "get_user").guess("g", 0.5, "get_user", start=1.0)
    log.add(2.0, "job_preempted", job="g", reason="miss").ended(3.0)
    session = store(log)
    ledger.book_ended()
    assert SessionFigures.objects.get().wasted_seconds == pytest.approx(2.0)
    late = Entry(len(log) + 1, "job_released", log[0].at.replace(microsecond=0), {"job": "g"})
    append(session, WrittenLog([Entry(late.seq, late.kind, log[-1].at, late.payload)]))
    assert ledger.book_ended() == 1
    assert SessionFigures.objects.get().last_seq == late.seq


def test_what_was_usual_stays_with_the_booking_when_the_runs_it_came_from_are_deleted(tools: dict[str, ToolRecord]) -> None:
    session = store(example())
    ledger.book_ended()
    booked = SessionFigures.objects.get()
    booked.usual = {"tools": {"get_user": 0.4}, "queue": 0.1}
    booked.save()
    figures = queries.figures_of(Session.objects.get(pk=session.pk), Story(session.events.order_by("seq")))
    assert figures.turns[0].without_seconds == pytest.approx(0.5)


def test_a_running_session_is_not_booked(tools: dict[str, ToolRecord]) -> None:
    session = store(WrittenLog().started().turn(1, 0, 2))
    assert ledger.book_ended() == 0
    assert not ledger.book(session.pk)


def test_what_only_a_decision_kept_from_running_counts_as_shadow(tools: dict[str, ToolRecord]) -> None:
    log = WrittenLog().started().turn(1, 0, 2, "get_user")
    candidate = {"tool": "get_user", "arguments": {"user": "u1"}, "probability": 0.9, "pattern": 1, "job": None}
    other = {**candidate, "arguments": {"user": "u2"}, "verdict": "not approved"}
    crowded = {**candidate, "arguments": {"user": "u3"}, "verdict": "no free slot"}
    log.add(
        0.5, "predicted", turn=1, candidates=[{**candidate, "verdict": "only shadow"}, other, crowded], abstained=[]
    )
    log.requested("1.0", "get_user", 2.0, 2.0, 3.0, arguments={"user": "u1"}, reason="only shadow")
    store(in_order(log.ended(4.0)))
    ledger.book_ended()
    row = ToolFigures.objects.get(tool=tools["get_user"])
    assert (row.would_launches, row.would_hits, row.would_hide_seconds) == (2, 1, pytest.approx(1.0))


def test_booked_figures_go_with_their_session(tools: dict[str, ToolRecord]) -> None:
    store(example())
    ledger.book_ended()
    EventRecord.objects.all().delete()
    Session.objects.all().delete()
    assert not SessionFigures.objects.exists() and not ToolFigures.objects.exists()
