"""Downloads: a session's trace, its calls, and the list of sessions."""

import csv
import io

import pytest

from speculation.figures import compute
from speculation.ledger import book
from speculation.story import Story
from tests.paste_web.stored_sessions import a_user, an_agent, store
from tests.speculation.written_log import WrittenLog, example

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client):
    client.force_login(a_user("op1", "view_payloads"))
    return client


def rows_of(answer):
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_a_trace_is_a_download_with_the_figures_of_the_page(operator):
    session = store(example())
    answer = operator.get(f"/sessions/{session.pk}/trace.json")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="paste-{session.short_id}.trace.json"'
    assert answer.json()["otherData"]["figures"] == compute(Story(example())).to_json()


def test_the_calls_are_those_of_the_table(operator):
    rows = rows_of(operator.get(f"/sessions/{store(example()).pk}/calls.csv"))
    assert [(row["call_id"] or row["job"], row["outcome"]) for row in rows] == [
        ("1.0", "used"), ("2.0", "used"), ("3.0", "joined"), ("3.1", "skipped"), ("4.0", "skipped"), ("g3", "miss"), ("g5", "miss"),
    ]  # fmt: skip
    assert (rows[2]["waited_seconds"], rows[2]["hidden_seconds"], rows[2]["arguments"]) == (
        "0.9",
        "2.5",
        '{"payment": "pay_881"}',
    )


def test_the_list_holds_what_the_filters_let_through_from_the_ledger_or_the_log(operator):
    booked, unbooked = store(example(), task="Refund it"), store(example(), task="Refund again")
    store(example(), agent=an_agent("research"), task="Find lead")
    book(booked.pk)
    rows = rows_of(operator.get("/sessions/export.csv?agent=support&q=refund"))
    assert [row["session"] for row in rows] == [str(unbooked.pk), str(booked.pk)]
    figures = (
        "task_seconds",
        "net_saved_seconds_estimated",
        "wasted_seconds",
        "hits",
        "eligible_calls",
        "turns",
        "calls",
    )
    assert {tuple(row[name] for name in figures) for row in rows} == {("18.4", "5.2", "4.4", "3", "4", "5", "5")}


def test_only_a_session_with_speculation_has_saved_or_wasted_anything(operator):
    store(example(arm="holdout"), arm="holdout")
    (row,) = rows_of(operator.get("/sessions/export.csv"))
    assert (row["net_saved_seconds_estimated"], row["wasted_seconds"], row["would_hide_seconds_shadow"]) == (
        "",
        "",
        "0.0",
    )


def test_a_text_that_would_be_a_formula_stays_a_text(operator):
    store(WrittenLog().started().ended(1), task="=HYPERLINK(1)")
    (row,) = rows_of(operator.get("/sessions/export.csv"))
    assert row["task"] == "'=HYPERLINK(1)"


def test_a_long_list_is_read_in_portions_without_gap_or_repetition(operator, monkeypatch):
    monkeypatch.setattr("speculation.session_export.SESSIONS_A_READ", 2)
    stored = [store(WrittenLog().started().ended(1)) for _ in range(5)]
    rows = rows_of(operator.get("/sessions/export.csv"))
    assert [row["session"] for row in rows] == [str(session.pk) for session in reversed(stored)]


def test_a_session_without_events_has_exports_too(operator):
    session = store(WrittenLog().started())
    assert operator.get(f"/sessions/{session.pk}/trace.json").status_code == 200
    assert rows_of(operator.get(f"/sessions/{session.pk}/calls.csv")) == []


@pytest.mark.parametrize(
    "path",
    ["export.csv", "0198f3c2-0000-7000-8000-000000000000/trace.json", "0198f3c2-0000-7000-8000-000000000000/calls.csv"],
)
def test_every_export_asks_for_a_login(client, path):
    assert client.get(f"/sessions/{path}").headers["Location"].startswith("/login/")
