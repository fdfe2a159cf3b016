"""The tools over records and documents, on a real PostgreSQL."""

import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tools import waiting
from tools.base import ToolContext, ToolResult, ToolStopped
from tools.catalog import BUILTIN
from tools.records import STATEMENT_TIMEOUT_SECONDS
from tools.running import execute, warm_up
from tools.waiting import pause as waiting_for_real


def ask(context: ToolContext, tool: str, **arguments: Any) -> ToolResult:
    return execute(BUILTIN[tool], arguments, context)


@pytest.fixture
def elsewhere(database_url: str) -> Iterator[None]:
    """A table of somebody else in the same database, which our own user could read."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA elsewhere")
        connection.execute("CREATE TABLE elsewhere.secret AS SELECT 'hidden word' AS word")
        yield
        connection.execute("DROP SCHEMA elsewhere CASCADE")


def test_a_record_comes_with_all_its_columns_in_order(records_context: ToolContext) -> None:
    result = ask(records_context, "get_record", table="orders", key=1)
    assert result.ok
    assert list(result.structured.items()) == [
        ("id", 1),
        ("customer", "c1"),
        ("total", 19.9),
        ("status", "open"),
        ("lines", [{"item": "lamp", "count": 2}]),
    ]
    assert "status: open" in result.content
    json.dumps(result.structured)


def test_an_unknown_table_column_or_key_is_answered_with_what_there_is(records_context: ToolContext) -> None:
    assert "customers, orders" in ask(records_context, "get_record", table="users", key="1").content
    assert "no record with id 'c9'" in ask(records_context, "get_record", table="customers", key="c9").content
    result = ask(records_context, "list_records", table="customers", where={"nick": "x"})
    assert not result.ok and "id, name, joined, vip" in result.content
    assert (
        "invalid input syntax for type integer" in ask(records_context, "get_record", table="orders", key="x").content
    )


def test_records_are_listed_by_value_in_the_order_of_their_key(records_context: ToolContext) -> None:
    result = ask(records_context, "list_records", table="orders", where={"customer": "c1"})
    assert [record["id"] for record in result.structured["records"]] == [1, 2]
    assert [
        r["id"]
        for r in ask(records_context, "list_records", table="customers", where={"vip": True}).structured["records"]
    ] == ["c1"]
    empty = ask(records_context, "list_records", table="customers", where={"joined": None})
    assert [record["id"] for record in empty.structured["records"]] == ["c3"]
    cut = ask(records_context, "list_records", table="orders", limit=2)
    assert cut.structured["cut"] and len(cut.structured["records"]) == 2 and "more than 2" in cut.content


def test_updating_twice_leaves_the_same_record_and_the_same_answer(records_context: ToolContext) -> None:
    change = {"table": "orders", "key": 1, "values": {"status": "sent", "total": 21, "lines": [{"item": "cup"}]}}
    first, second = (ask(records_context, "update_record", **change) for _ in range(2))
    assert first == second and first.ok
    assert first.structured["total"] == 21 and first.structured["lines"] == [{"item": "cup"}]
    assert ask(records_context, "get_record", table="orders", key=2).structured["status"] == "sent"
    assert not ask(records_context, "update_record", table="orders", key=99, values={"status": "sent"}).ok
    assert "cannot be changed" in ask(records_context, "update_record", table="orders", key=1, values={"id": 9}).content


def test_names_and_values_cannot_smuggle_sql(records_context: ToolContext) -> None:
    evil = "x'; DROP TABLE customers; --"
    assert not ask(records_context, "get_record", table='customers"; DROP TABLE customers; --', key="c1").ok
    assert not ask(records_context, "get_record", table="customers", key=evil).ok
    assert ask(records_context, "update_record", table="customers", key="c1", values={"name": evil}).ok
    assert ask(records_context, "get_record", table="customers", key="c1").structured["name"] == evil


def test_a_select_answers_with_columns_and_rows(records_context: ToolContext) -> None:
    query = """WITH open_ones AS (SELECT * FROM orders WHERE status = 'open')
               SELECT c.name, count(*) AS n, sum(o.total) AS total, max(c.joined) AS joined
                 FROM customers c JOIN open_ones o ON o.customer = c.id GROUP BY c.name ORDER BY 1;"""
    result = ask(records_context, "query_table", query=query)
    assert result.structured["columns"] == ["name", "n", "total", "joined"]
    assert result.structured["rows"] == [["Ada", 1, 19.9, "2024-03-01"], ["Bo", 1, 7.5, "2025-01-15"]]
    like = ask(
        records_context, "query_table", query="SELECT id FROM customers WHERE name LIKE '%d%' OR name IN ('Cy;', 'Bo')"
    )
    assert like.structured["rows"] == [["c1"], ["c2"]]
    many = ask(records_context, "query_table", query="SELECT n FROM generate_series(1, 1000) AS n")
    assert len(many.structured["rows"]) == 200 and many.structured["cut"] and "cut after 200" in many.content


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM customers",
        "UPDATE customers SET name = 'x'",
        "WITH gone AS (DELETE FROM customers RETURNING *) SELECT * FROM gone",
        "SELECT * INTO stolen FROM customers",
        "SELECT 1; DROP TABLE customers",
        "SELECT * FROM pg_authid",
        "SELECT * FROM pg_catalog.pg_class",
        "SELECT * FROM information_schema.tables",
        "TABLE pg_roles",
        "SELECT (SELECT count(*) FROM elsewhere.secret)",
        "SELECT * FROM customers WHERE EXISTS (SELECT 1 FROM elsewhere.secret)",
        "SELECT name FROM customers UNION ALL SELECT word FROM elsewhere.secret",
        "SELECT query_to_xml('select * from elsewhere.secret', true, true, '')",
        "SELECT \"query_to_xml\"('select * from elsewhere.secret', true, true, '')",
        "SELECT pg_catalog.pg_read_file('/etc/passwd')",
        "SELECT set_config ('search_path', 'public', false)",
        "SELECT set_config/**/('search_path', 'public', false)",
        "SELECT pg_sleep(100)",
        "SELECT pg_terminate_backend(1)",
        'SELECT U&"\\0070g_sleep"(1)',
        "SELECT E'\\'' , pg_sleep(1)",
        "SELECT $$a$$",
        "SELECT 'open",
        "SELECT nextval('orders_id_seq')",
        "COPY customers TO '/tmp/x'",
        "",
    ],
)
def test_a_query_reads_this_world_and_nothing_else(records_context: ToolContext, elsewhere: None, query: str) -> None:
    result = ask(records_context, "query_table", query=query)
    assert not result.ok
    assert "hidden word" not in result.content
    assert ask(records_context, "query_table", query="SELECT count(*) FROM customers").structured["rows"] == [[3]]


@pytest.mark.slow
def test_a_slow_query_ends_at_its_time_limit(records_context: ToolContext) -> None:
    """What else keeps the processors busy makes it take longer, never shorter: it may be tried again."""
    took = []
    while not took or (min(took) >= STATEMENT_TIMEOUT_SECONDS + 2 and len(took) < 3):
        began_at = time.monotonic()
        result = ask(records_context, "query_table", query=SLOW_QUERY)
        assert not result.ok and "ask for less" in result.content
        took.append(time.monotonic() - began_at)
    assert STATEMENT_TIMEOUT_SECONDS - 0.5 < min(took) < STATEMENT_TIMEOUT_SECONDS + 2


SLOW_QUERY = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b WHERE a + b = 3"


def test_a_stopped_query_stops_in_the_database_too(records_context: ToolContext) -> None:
    stop = threading.Event()
    context = dataclasses.replace(records_context, should_stop=stop.is_set)
    threading.Timer(0.2, stop.set).start()
    began_at = time.monotonic()
    with pytest.raises(ToolStopped):
        ask(context, "query_table", query=SLOW_QUERY)
    assert time.monotonic() - began_at < 1
    with psycopg.connect(records_context.database_url) as connection:
        row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series(1, 100000) a%' "
                                 "AND state = 'active' AND pid <> pg_backend_pid()").fetchone()  # fmt: skip
    assert row == (0,)


def test_search_ranks_documents_and_shows_an_excerpt(records_context: ToolContext) -> None:
    hits = ask(records_context, "search_documents", query="which dark rocks come from lava?").structured["hits"]
    assert [hit["id"] for hit in hits] == ["d2", "d1"]
    assert hits[0] == {
        "id": "d2",
        "title": "Basalt",
        "url": "http://library.test/basalt",
        "snippet": "Basalt is a dark rock from lava.",
    }
    nothing = ask(records_context, "search_documents", query="the & of ' | ! :*")
    assert nothing.ok and nothing.structured == {"hits": []}


def test_a_world_without_records_says_so(context: ToolContext) -> None:
    assert "no records" in ask(context, "get_record", table="orders", key=1).content


def test_an_unreachable_database_is_an_answer_without_its_address(context: ToolContext) -> None:
    lost = dataclasses.replace(context, database_url="postgresql://me:secret@127.0.0.1:1/none", schema="world_x")
    result = ask(lost, "get_record", table="orders", key=1)
    assert not result.ok and "secret" not in result.content and "cannot be reached" in result.content


def test_the_same_call_waits_the_same_stated_latency(
    records_context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated: list[float] = []
    monkeypatch.setattr(
        waiting, "pause", lambda seconds, context: stated.append(seconds) or waiting_for_real(seconds, context)
    )
    context = dataclasses.replace(records_context, network_latency_seconds=0.1)
    waited = [_seconds(context, key) for key in ("c1", "c1", "c2", "c3")]
    assert all(0.06 <= each <= 0.14 for each in stated)
    assert stated[0] == stated[1] and len(set(stated)) == 3
    assert all(took >= asked for took, asked in zip(waited, stated, strict=True))


def _seconds(context: ToolContext, key: str) -> float:
    began_at = time.monotonic()
    assert ask(context, "get_record", table="customers", key=key).ok
    return time.monotonic() - began_at


def test_the_warm_up_of_a_change_reads_its_record_and_changes_nothing(records_context: ToolContext) -> None:
    tool, values = BUILTIN["update_record"], {"status": "sent"}
    before = ask(records_context, "get_record", table="orders", key=1).content
    warming = tool.warm_up_of({"table": "orders", "key": 1, "values": values})
    assert warming == {"table": "orders", "key": 1}, "guesses at other values share it"
    assert warm_up(tool, warming, records_context) == ToolResult(ok=True, content="")
    assert ask(records_context, "get_record", table="orders", key=1).content == before
    none = warm_up(tool, {"table": "orders", "key": 99}, records_context)
    assert not none.ok and "no record" in none.content


def test_a_tool_without_a_warm_up_says_so(context: ToolContext) -> None:
    tool = BUILTIN["get_record"]
    assert (tool.warms_by, tool.warm_up_of({"table": "orders", "key": 1})) == ("", None)
    with pytest.raises(NotImplementedError, match="no warm-up"):
        tool.warm_up({}, context)
