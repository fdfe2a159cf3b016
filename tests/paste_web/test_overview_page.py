"""Overview and Savings: what they say of many sessions, and that it is the sum of what each session's page says."""

import csv
import random
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from paste_web.csv_answers import harmless
from speculation import ledger, savings
from speculation.figures import compute
from speculation.models import Session, SessionFigures, ToolRecord
from speculation.story import Story
from tests.paste_web.stored_sessions import a_user, an_agent, store
from tests.speculation.written_log import Entry, WrittenLog, example

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(client: Client) -> Client:
    client.force_login(a_user("eve"))
    return client


@pytest.fixture
def tools(db: None) -> None:
    for name in ("get_user", "get_order", "get_payment", "search_policy", "update_record", "get_refund"):
        an_agent().tools.add(ToolRecord.objects.create(name=name, effect="none"))


def recently(log: WrittenLog, minutes: float = 10) -> WrittenLog:
    """The same log, moved to so many minutes ago."""
    by = timezone.now() - timedelta(minutes=minutes) - log[0].at
    return WrittenLog(Entry(entry.seq, entry.kind, entry.at + by, entry.payload) for entry in log)


def test_the_overview_sums_what_the_sessions_pages_say(reader: Client, tools: None) -> None:
    for minutes in (10, 20, 30):
        store(recently(example(), minutes))
    ledger.book_ended()
    figures = compute(Story(example()))
    totals = savings.totals_of(timezone.now() - timedelta(hours=1))
    assert totals.net_saved_seconds == pytest.approx(3 * figures.net_saved_seconds, abs=1e-6)
    assert totals.saved_seconds - totals.interference_seconds == pytest.approx(totals.net_saved_seconds)
    text = reader.get("/?range=hour").content.decode()
    assert "15.6 s" in text and "9 of 15 started" in text and "9 of 12 eligible" in text
    assert "Too early." in text


def test_only_sessions_with_speculation_that_ended_in_the_range_count(reader: Client, tools: None) -> None:
    store(recently(example()))
    store(recently(example(arm="off")), arm="off")
    store(recently(example(), minutes=26 * 60))
    store(recently(WrittenLog().started().turn(1, 0, 2)))
    ledger.book_ended()
    now = timezone.now()
    assert savings.totals_of(now - timedelta(days=1)).sessions == 1
    assert savings.totals_of(now - timedelta(days=7)).sessions == 2


def test_the_minutes_of_the_charts_add_up_to_the_totals(reader: Client, tools: None) -> None:
    for minutes in (5, 25, 45):
        store(recently(example(), minutes))
    ledger.book_ended()
    now = timezone.now()
    since = now - timedelta(hours=1)
    bins, totals = savings.minutes_of(since, now, 12), savings.totals_of(since)
    assert sum(one.saved * one.minutes for one in bins) == pytest.approx(totals.saved_seconds, abs=1e-4)
    assert sum(one.wasted * one.minutes for one in bins) == pytest.approx(totals.wasted_seconds, abs=1e-4)
    assert sum(one.used * one.minutes for one in bins) == pytest.approx(totals.used_seconds, abs=1e-4)


def test_savings_shows_the_waterfall_and_waste_by_tool_and_reason(reader: Client, tools: None) -> None:
    store(recently(example()))
    ledger.book_ended()
    text = reader.get("/savings/").content.decode()
    assert "23.6 s" in text and "18.4 s" in text and "miss 4.4 s (2)" in text
    rows = list(csv.reader(reader.get("/savings/tools.csv").getvalue().decode().splitlines()))
    by_tool = {row[1]: row for row in rows[1:]}
    assert (by_tool["get_refund"][6], by_tool["get_refund"][rows[0].index("wasted_miss_seconds")]) == ("1.6", "1.6")


def test_a_spreadsheet_reads_no_formula_out_of_an_export() -> None:
    assert harmless("=HYPERLINK(1)") == "'=HYPERLINK(1)"
    assert (harmless(-1.5), harmless("get_user")) == (-1.5, "get_user")


def test_measured_against_a_holdout_the_overview_says_yes(reader: Client, tools: None) -> None:
    a_holdout(with_seconds=19.0, without_seconds=25.0)
    text = reader.get("/").content.decode()
    assert "Yes." in text and "40 with, 35 without" in text


def test_an_estimate_that_the_holdout_contradicts_needs_somebody(reader: Client, tools: None) -> None:
    a_holdout(with_seconds=19.0, without_seconds=25.0)
    SessionFigures.objects.filter(session__arm="on").update(net_saved_seconds=60.0)
    assert "measured" in reader.get("/").content.decode()
    assert "They disagree" in reader.get("/savings/").content.decode()


def a_holdout(*, with_seconds: float, without_seconds: float) -> None:
    """40 sessions with speculation, 35 of the holdout, whose figures spread a little."""
    rng = random.Random(3)
    zero = {
        field.name: 0
        for field in SessionFigures._meta.fields
        if field.name not in ("session", "usual", "by_minute", "booked_at")
    }
    for arm, count, seconds in (("on", 40, with_seconds), ("holdout", 35, without_seconds)):
        for _ in range(count):
            session = Session.objects.create(
                agent=an_agent(), task="t", arm=arm, status="succeeded", ended_at=timezone.now()
            )
            figures = {
                **zero,
                "task_seconds": rng.gauss(seconds, 1),
                "net_saved_seconds": without_seconds - with_seconds,
            }
            SessionFigures.objects.create(session=session, **{**figures, "net_saved_seconds": 6.0 * (arm == "on")})


@pytest.mark.parametrize(
    "query", ["?range=nonsense", "?range=%00", "?agent=%00", "?range=hour&agent=nobody", "?part=live"]
)
def test_odd_queries_show_the_page(reader: Client, query: str) -> None:
    assert reader.get(f"/{query}").status_code == 200
    assert reader.get(f"/savings/{query}").status_code == 200


def test_where_nothing_ran_the_pages_say_what_to_do(reader: Client) -> None:
    assert "No session yet." in reader.get("/").content.decode()
    assert "No promotion yet." in reader.get("/savings/").content.decode()


def test_nobody_sees_them_without_signing_in(client: Client) -> None:
    for path in ("/", "/savings/", "/savings/tools.csv"):
        assert client.get(path).status_code == 302
