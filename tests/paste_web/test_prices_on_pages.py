"""What calls cost, on every page: shown where a tool has a price, told by whoever operates, and absent where all is free."""

import csv
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from speculation import ledger, prices
from speculation.models import Approval, AuditEntry, Session, ToolRecord
from tests.paste_web.deciding import PAGE, a_tool, chip_of, decide, decision
from tests.paste_web.stored_sessions import a_user, an_agent, store
from tests.speculation.written_log import Entry, WrittenLog, in_order

pytestmark = pytest.mark.django_db
PAID = "paid for nothing"


@pytest.fixture
def tool(db: None) -> ToolRecord:
    return a_tool()


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(a_user("op1", "change_toolrecord"))
    return client


def said(**fields: Any) -> dict[str, Any]:
    return {"price-price": "0.0025", "price-why": "Its provider <says> so.", **fields}


def change(tool: ToolRecord) -> str:
    return f"/tools/{tool.pk}/price/"


def a_week(tool: ToolRecord, price: str = "0.0025") -> Session:
    """A session of today in which a guess at it was missed and one was preempted, and a free tool's was missed too."""
    other = ToolRecord.objects.create(name="get_user", effect="none")
    an_agent().tools.set([tool, other])
    priced = {"price": price} if price else {}
    log = WrittenLog().started().turn(1, 0, 3)
    log.guess("a", 0.1, tool.name, {"id": 1}, start=0.2, **priced).ends("a", 1.8)
    log.guess("b", 0.1, tool.name, {"id": 2}, start=0.2, **priced).add(
        0.5, "job_preempted", job="b", reason="slot needed"
    )
    log.guess("c", 0.1, "get_user", {"id": 3}, start=0.2).ends("c", 1.0).add(0.6, "job_released", job="b")
    by = timezone.now() - timedelta(minutes=10) - log[0].at
    log = in_order(log.ended(4.0))
    session = store(WrittenLog(Entry(one.seq, one.kind, one.at + by, one.payload) for one in log))
    ledger.book_ended()
    return session


def text_of(client: Client, path: str) -> str:
    return " ".join(client.get(path).content.decode().split())


def test_an_operator_says_what_a_call_costs_and_the_decision_stands(operator: Client, tool: ToolRecord) -> None:
    decide(tool)
    tool.refresh_from_db()
    version = tool.policy_version
    page = operator.post(change(tool), said(), follow=True).content.decode()
    tool.refresh_from_db()
    assert tool.price_per_call == Decimal("0.0025") and tool.policy_version == version
    assert chip_of(tool) == "On" and Approval.objects.count() == 1
    assert "A call of get_order costs 0.0025 USD from the next forecast on." in page
    assert "price changed to 0.0025 USD" in page and "Its provider &lt;says&gt; so." in page
    assert 'value="0.0025"' in page, "what it is stands in the form"
    entry = AuditEntry.objects.first()
    assert (entry.who, entry.before["price_per_call"], entry.after["price_per_call"]) == ("op1", "0", "0.0025")


@pytest.mark.parametrize(
    ("field", "typed", "told"),
    [
        ("price", "-1", "A price is 0 or more"),
        ("price", "1000000", "A price is 0 or more"),
        ("price", "0.0000001", "A price has at most 6 decimals."),
        ("price", "NaN", "Enter a number."),
        ("price", "cheap", "Enter a number."),
        ("price", "", "This field is required."),
        ("why", " ", "This field is required."),
        ("why", "a\0b", "Null characters are not allowed."),
    ],
)
def test_what_cannot_be_is_told_beside_its_field_and_what_was_typed_is_kept(
    operator: Client, tool: ToolRecord, field: str, typed: str, told: str
) -> None:
    answer = operator.post(change(tool), said(**{f"price-{field}": typed}))
    page = " ".join(answer.content.decode().split())
    assert answer.status_code == 422 and "<details open" in page
    assert f'id="id_price-{field}_error">{told}' in page
    kept = "Its provider &lt;says&gt; so." if field == "price" else 'value="0.0025"'
    assert kept in page and 'aria-invalid="true"' in page
    tool.refresh_from_db()
    assert tool.price_per_call == 0 and not AuditEntry.objects.exists()


def test_only_whoever_may_switch_a_tool_may_price_it(client: Client, tool: ToolRecord) -> None:
    client.force_login(a_user("approver", "add_approval"))
    assert client.post(change(tool), said()).status_code == 403
    assert "Change the price" not in text_of(client, PAGE) and "<dt>Price</dt>" not in text_of(client, PAGE)
    prices.change_price(tool, Decimal("0.004"), who="op1", why="Its provider says so.")
    assert "<dt>Price</dt><dd>0.004 USD a call" in text_of(client, PAGE) and "Change the price" not in text_of(
        client, PAGE
    )
    assert "· 0.004 USD a call" in text_of(client, "/tools/")


def test_a_tool_that_writes_is_offered_no_price_since_it_never_runs_early(operator: Client, tool: ToolRecord) -> None:
    assert "Change the price" in text_of(operator, PAGE)
    ToolRecord.objects.update(effect="write")
    assert "Change the price" not in text_of(operator, PAGE)


def test_an_outdated_decision_is_told_of_what_stepped_the_version_and_not_of_a_price(
    client: Client, tool: ToolRecord
) -> None:
    client.force_login(a_user("op2", "add_approval"))
    typed = decision(tool)
    decide(tool, "shadow")
    prices.change_price(tool, Decimal("0.004"), who="op1", why="Its provider says so.")
    answer = client.post(PAGE, typed)
    assert answer.status_code == 409
    assert [entry.what for entry in answer.context["since"]] == ["decided: builtin/get_order"]


def test_what_was_paid_for_nothing_stands_on_every_page_of_its_session_and_tool(
    operator: Client, tool: ToolRecord
) -> None:
    session = a_week(tool)
    assert '<data class="wasted_price" value="0.005">0.005 USD</data> paid for nothing' in text_of(
        operator, f"/sessions/{session.pk}/"
    )
    assert "0.0025 USD a call when it was admitted" in text_of(operator, f"/sessions/{session.pk}/?call=a")
    assert "0.005 USD paid for nothing" in text_of(operator, "/")
    page = text_of(operator, PAGE)
    assert '<dt>Paid for nothing</dt><dd class="figure">0.005 USD</dd>' in page
    assert "for wasted runs, preempted 0.0025 USD, miss 0.0025 USD" in page
    savings = text_of(operator, "/savings/")
    assert "Paid for nothing 0.005 USD, at the prices of their time: preempted 0.0025 USD, miss 0.0025 USD." in savings
    assert "miss 1.6 s (1, 0.0025 USD)" in savings
    other = store(WrittenLog().started().turn(1, 0, 3).ended(4.0))
    compared = text_of(operator, f"/compare/?a={session.short_id}&b={other.short_id}")
    assert "Paid for nothing" in compared and "0.005 USD" in compared and "0 USD" in compared
    assert "Paid for nothing" not in text_of(operator, f"/compare/?a={other.short_id}&b={other.short_id}")


def test_the_exports_have_money_by_reason_and_in_all(operator: Client, tool: ToolRecord) -> None:
    a_week(tool)
    rows = {row["tool"]: row for row in csv.DictReader(read(operator, "/savings/tools.csv"))}
    priced, free = rows["get_order"], rows["get_user"]
    names = ("wasted_price", "wasted_miss_price", "wasted_preempted_price", "wasted_failed_price", "currency")
    assert [priced[name] for name in names] == ["0.005", "0.0025", "0.0025", "0", "USD"]
    assert [free[name] for name in names] == ["0", "0", "0", "0", "USD"]
    (row,) = csv.DictReader(read(operator, "/sessions/export.csv"))
    assert row["wasted_price"] == "0.005"


def read(client: Client, path: str) -> list[str]:
    answer = client.get(path)
    return b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]


def test_the_currency_is_the_installations(operator: Client, tool: ToolRecord, settings: Any) -> None:
    settings.PASTE_CURRENCY = "credits"
    a_week(tool)
    assert "0.005 credits paid for nothing" in text_of(operator, "/")
    assert "Price of a call, in credits" in text_of(operator, PAGE)


def test_where_every_tool_is_free_no_page_speaks_of_money(client: Client, tool: ToolRecord) -> None:
    session = a_week(tool, price="")
    client.force_login(a_user("eve"))
    for path in ("/", "/savings/", PAGE, f"/sessions/{session.pk}/", f"/sessions/{session.pk}/?call=a", "/tools/"):
        text = text_of(client, path)
        assert "USD" not in text and PAID not in text.lower(), path


def test_a_decision_says_what_its_wrong_guesses_would_have_cost(client: Client, tool: ToolRecord) -> None:
    client.force_login(a_user("op2", "add_approval"))
    prices.change_price(tool, Decimal("0.004"), who="op1", why="Its provider says so.")
    session = a_week(tool)
    session.booked_tools.filter(tool=tool).update(would_launches=12, would_hits=2, would_hide_seconds=3.0)
    page = text_of(client, PAGE)
    assert "about 0.04 USD more would have been (shadow)" in page, "at the price of now"
    assert ", about 0.045 USD paid for nothing." in page, "beside the button"
