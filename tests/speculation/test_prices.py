"""What a call of a tool costs: who says so, what it keeps from running early, and what of it was paid for nothing."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from speculation import ledger, policy, prices, savings
from speculation.engine.scheduling import Refused
from speculation.figures import compute
from speculation.forecast import Forecast
from speculation.models import (
    AgentProfile,
    Approval,
    AuditEntry,
    EventRecord,
    Session,
    SessionFigures,
    ToolFigures,
    ToolJob,
    ToolRecord,
)
from speculation.offers import WARMED_UP
from speculation.policy import DecisionRefused
from speculation.story import Story
from tests.paste_web.stored_sessions import an_agent, store
from tests.speculation.conftest import Desk
from tests.speculation.deciding import decide, verdict_on
from tests.speculation.foreseen import guess, predicted, wait_for
from tests.speculation.written_log import WrittenLog, example, in_order
from tools import catalog

DEAR = Decimal("0.05")


def charge(tool: ToolRecord, price: Decimal | str, **said: str) -> ToolRecord:
    return prices.change_price(tool, Decimal(price), **{"who": "op1", "why": "Its provider says so.", **said})


# who says so


def test_a_changed_price_is_audited_with_what_was_and_what_is(read_tool: ToolRecord) -> None:
    charge(read_tool, "0.0025")
    charge(read_tool, "0")
    newest, oldest = AuditEntry.objects.order_by("-pk")
    assert oldest.what == "price changed: builtin/read_file" and (oldest.who, oldest.why) == (
        "op1",
        "Its provider says so.",
    )
    assert oldest.before == {"price_per_call": "0", "currency": "USD"}
    assert oldest.after == newest.before == {"price_per_call": "0.0025", "currency": "USD"}
    assert newest.after == oldest.before
    read_tool.refresh_from_db()
    assert read_tool.price_per_call == 0


def test_the_same_price_again_changes_nothing(read_tool: ToolRecord) -> None:
    charge(read_tool, "0.0025")
    charge(read_tool, "0.002500")
    assert AuditEntry.objects.count() == 1


def test_a_changed_price_leaves_the_decision_and_what_is_held_under_it(read_tool: ToolRecord, desk: Desk) -> None:
    decide(read_tool)
    desk.policy_version = read_tool.policy_version
    held = desk.speculate("a.txt")
    assert desk.start(held)
    succeed_running = ToolJob.objects.get(pk=held.pk)
    charge(read_tool, DEAR)
    assert verdict_on(read_tool) == "" and Approval.objects.count() == 1
    assert desk.promote(succeed_running, "1.0"), "a call may still join it"


@pytest.mark.parametrize("price", ["-0.01", "1000000", "0.0000001", "NaN", "Infinity", "-Infinity", "1e400"])
def test_what_is_no_price_is_refused_and_nothing_is_stored(read_tool: ToolRecord, price: str) -> None:
    with pytest.raises(DecisionRefused, match="A price"):
        charge(read_tool, price)
    with pytest.raises(DecisionRefused, match="reason"):
        charge(read_tool, "1", why=" ")
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("price", ["-0.000001", "NaN"])
def test_the_database_itself_takes_no_price_below_zero_and_none_that_is_no_number(
    read_tool: ToolRecord, price: str
) -> None:
    with (
        pytest.raises(IntegrityError, match="tool_price_is_an_amount"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE speculation_toolrecord SET price_per_call = %s::numeric", [price])


@pytest.mark.parametrize(
    ("price", "text"),
    [("0", "0"), ("0.002500", "0.0025"), ("100", "100"), ("1E+2", "100"), ("3.10", "3.1"), ("0E-6", "0")],
)
def test_a_price_is_kept_exactly_and_without_idle_zeros(price: str, text: str) -> None:
    assert prices.as_text(Decimal(price)) == text


# what it keeps from running early


def listened(listen: Callable[..., Forecast], probability: float = 0.5) -> tuple[Forecast, list[str]]:
    """What became of a guess at reading one file: 30 s until it is asked for, so all of the run would be hidden."""
    forecast = listen(guess("read_file", probability, path="a.txt"))
    wait_for(lambda: bool(predicted(forecast)))
    return forecast, predicted(forecast)[0]


def utility(forecast: Forecast) -> float:
    [event] = forecast.session.events.filter(kind="predicted")
    return float(event.payload["candidates"][0]["utility"])


def queued(forecast: Forecast) -> dict[str, object]:
    return dict(forecast.session.events.get(kind="job_queued").payload)


def test_a_guess_that_costs_more_than_it_can_save_is_refused_as_useless(
    listen: Callable[..., Forecast], approved_agent: AgentProfile
) -> None:
    charge(approved_agent.tools.get(name="read_file"), DEAR)
    forecast, verdicts = listened(listen)
    assert verdicts == [f"a.txt: {Refused.LOW_UTILITY}"] and not ToolJob.objects.exists()
    assert utility(forecast) < 0


def test_a_price_is_weighed_by_the_chance_that_it_is_paid_for_nothing(
    listen: Callable[..., Forecast], approved_agent: AgentProfile, settings: Any
) -> None:
    """At p 0.75 a price of one second of waiting costs a quarter of a second."""
    settings.PASTE_SECONDS_PER_CURRENCY_UNIT = 1000.0
    ToolRecord.objects.filter(name="read_file").update(mean_seconds=2.0, runs=50)
    free, _ = listened(listen, 0.75)
    charge(approved_agent.tools.get(name="read_file"), "0.001")
    priced, verdicts = listened(listen, 0.75)
    assert verdicts == ["a.txt: admitted"]
    assert utility(priced) == pytest.approx(utility(free) - 0.25)
    assert queued(priced)["price"] == "0.001" and "price" not in queued(free)


def test_where_a_currency_unit_is_worth_no_waiting_a_price_speaks_against_nothing(
    listen: Callable[..., Forecast], approved_agent: AgentProfile, settings: Any
) -> None:
    settings.PASTE_SECONDS_PER_CURRENCY_UNIT = 0.0
    charge(approved_agent.tools.get(name="read_file"), "999999")
    forecast, verdicts = listened(listen)
    assert verdicts == ["a.txt: admitted"] and queued(forecast)["price"] == "999999"


def test_a_session_that_runs_goes_by_a_new_price_from_its_next_forecast_on(
    listen: Callable[..., Forecast], approved_agent: AgentProfile
) -> None:
    forecast, verdicts = listened(listen)
    assert verdicts == ["a.txt: admitted"]
    charge(approved_agent.tools.get(name="read_file"), DEAR)
    forecast.predictor.predictions = [guess("read_file", 0.5, path="b.txt")]
    forecast.begin(2)
    wait_for(lambda: len(predicted(forecast)) == 2)
    assert predicted(forecast)[1] == [f"b.txt: {Refused.LOW_UTILITY}"]


def test_a_warm_up_is_not_charged_since_it_makes_no_call(
    listen: Callable[..., Forecast], approved_agent: AgentProfile
) -> None:
    tool = policy.register_tool("builtin", catalog.BUILTIN["update_record"])
    approved_agent.tools.add(tool)
    decide(tool, "transformed")
    charge(tool, "1000")
    forecast = listen(guess("update_record", 0.5, table="refunds", key="r1", values={"status": "settled"}))
    wait_for(lambda: bool(predicted(forecast)))
    assert predicted(forecast)[0][0].endswith(WARMED_UP)
    assert "price" not in queued(forecast)


# what of it was paid for nothing


def a_priced_log() -> WrittenLog:
    """One guess served; one missed, one preempted as it ran; one given up before it began; a warm-up."""
    log = WrittenLog().started().turn(1, 0, 3, "get_user")
    log.guess("hit", 0.1, "get_user", {"id": 1}, start=0.2, price="0.004").ends("hit", 1.0)
    log.guess("miss", 0.1, "get_order", {"id": 2}, start=0.2, price="0.0025").ends("miss", 1.0)
    log.guess("stopped", 0.1, "get_order", {"id": 3}, start=0.2, price="0.01")
    log.guess("unbegun", 0.1, "get_order", {"id": 4}, price="7")
    log.guess("warm", 0.1, "get_order", {"id": 5}, start=0.2, warm_up=True).ends("warm", 0.4)
    log.add(0.3, "job_preempted", job="unbegun", reason="slot needed")
    log.add(0.5, "job_preempted", job="stopped", reason="slot needed").add(0.6, "job_released", job="stopped")
    log.asks("1.0", 3, "get_user", "hit", "used", {"id": 1}).returns("1.0", 3, "get_user", "hit")
    return in_order(log.ended(4.0))


def test_only_calls_that_began_and_that_nobody_asked_for_count_as_wasted_price() -> None:
    figures = compute(Story(a_priced_log()))
    assert figures.wasted_price == Decimal("0.0125")
    assert figures.to_json()["wasted_price"] == 0.0125
    assert {waste.reason: waste.price for waste in figures.wasted} == {
        "miss": Decimal("0.0025"),
        "preempted": Decimal("0.01"),
    }


def test_a_session_that_runs_has_wasted_no_price_before_its_guesses_are_over() -> None:
    running = WrittenLog().started().turn(1, 0, 3).guess("g", 0.1, "get_user", start=0.2, price="0.004")
    assert compute(Story(running)).wasted_price == 0
    assert compute(Story(example())).wasted_price == 0, "free tools"


@pytest.fixture
def tools(db: None) -> dict[str, ToolRecord]:
    made = {name: ToolRecord.objects.create(name=name, effect="none") for name in ("get_user", "get_order")}
    an_agent().tools.set(made.values())
    return made


def test_what_was_wasted_stays_what_it_was_when_the_price_changes(tools: dict[str, ToolRecord]) -> None:
    session = store(a_priced_log())
    ledger.book_ended()
    ToolRecord.objects.update(price_per_call=9)
    Session.objects.filter(pk=session.pk).update(last_seq=session.last_seq + 1)
    EventRecord.objects.create(session=session, seq=session.last_seq + 1, kind="checked", at=timezone.now(), payload={})
    assert ledger.book_ended() == 1, "booked anew"
    assert SessionFigures.objects.get().wasted_price == Decimal("0.0125")
    of_orders = ToolFigures.objects.get(tool=tools["get_order"])
    assert of_orders.wasted_price == Decimal("0.0125")
    assert of_orders.price_by_reason == {"preempted": "0.01", "miss": "0.0025"}
    assert ToolFigures.objects.get(tool=tools["get_user"]).wasted_price == 0


def test_prices_add_up_over_sessions_by_tool_and_reason(tools: dict[str, ToolRecord]) -> None:
    now = timezone.now()
    for _ in range(3):
        store(a_priced_log())
    Session.objects.update(ended_at=now)
    ledger.book_ended()
    since = now - timedelta(hours=1)
    assert savings.totals_of(since).wasted_price == Decimal("0.0375")
    by_name = {tool.name: tool for tool in savings.tools_of(since)}
    assert by_name["get_order"].wasted_price == Decimal("0.0375")
    assert list(by_name["get_order"].price.items()) == [("preempted", Decimal("0.03")), ("miss", Decimal("0.0075"))]
    assert (by_name["get_user"].wasted_price, by_name["get_user"].price) == (0, {})
