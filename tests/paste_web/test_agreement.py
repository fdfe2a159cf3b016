"""Page, API, ledger and plain SQL on the event log say the same of 20 seeded sessions, to 1 ms; and it all adds up."""

import re
from collections.abc import Iterator

import pytest
from django.test import Client

from speculation import access, ledger
from speculation.figures import Figures, compute, critical_path
from speculation.models import Session, SessionFigures, ToolFigures, ToolRecord
from speculation.story import Story
from tests.paste_web.stored_sessions import a_user, store
from tests.speculation.figures_in_sql import figures_in_sql
from tests.speculation.seeded_logs import READS, seeded_log
from tests.speculation.written_log import WrittenLog, in_order

pytestmark = pytest.mark.django_db
SEEDS = range(1, 21)
NEAR = 0.001


@pytest.fixture
def sessions(db: None) -> list[Session]:
    return [store(seeded_log(seed), arm="holdout" if seed % 5 == 0 else "on") for seed in SEEDS]


def test_plain_sql_on_the_log_says_what_the_figures_say(sessions: list[Session]) -> None:
    seen = set()
    for session in sessions:
        figures = compute(Story(session.events.order_by("seq")))
        for name, value in figures_in_sql(session.pk).items():
            assert float(getattr(figures, name)) == pytest.approx(value, abs=NEAR), (session.pk, name)
        seen |= {call.call.outcome for call in figures.calls} | {waste.reason for waste in figures.wasted}
        seen |= {"interference"} if figures.interference_seconds > 0 else set()
    assert {"used", "joined", "requested", "miss", "interference"} <= seen


def test_the_api_and_the_ledger_say_what_sql_says(client: Client, sessions: list[Session]) -> None:
    _, key = access.create_key("reader", ["tasks:read", "tasks:read_all"], who="op1")
    ledger.book_ended(most=100)
    for session in sessions:
        truth = figures_in_sql(session.pk)
        answer = client.get(f"/api/v1/tasks/{session.pk}", headers={"Authorization": f"Bearer {key}"}).json()["figures"]
        booked = SessionFigures.objects.get(pk=session.pk)
        for name, value in truth.items():
            assert answer[name] == pytest.approx(value, abs=NEAR), name
            assert float(getattr(booked, name)) == pytest.approx(value, abs=NEAR), name


def test_money_agrees_to_the_last_digit_and_adds_up_by_tool(client: Client, sessions: list[Session]) -> None:
    tools = {name: ToolRecord.objects.create(name=name) for name in (*READS, "get_refund", "update_record")}
    sessions[0].agent.tools.set(tools.values())
    _, key = access.create_key("reader", ["tasks:read", "tasks:read_all"], who="op1")
    reader = Client()
    reader.force_login(a_user("eve"))
    ledger.book_ended(most=100)
    for session in sessions:
        truth = figures_in_sql(session.pk)["wasted_price"]
        answer = client.get(f"/api/v1/tasks/{session.pk}", headers={"Authorization": f"Bearer {key}"}).json()["figures"]
        shown = dict(_figures_of(reader.get(f"/sessions/{session.pk}/").content.decode()))
        by_tool = {row.tool.name: float(row.wasted_price) for row in ToolFigures.objects.filter(session=session)}
        assert truth == answer["wasted_price"] == shown.get("wasted_price", 0.0) == float(SessionFigures.objects.get(pk=session.pk).wasted_price)
        assert truth == by_tool.get("get_refund", 0.0) == sum(by_tool.values()), "what served a call was not paid in vain"
    assert any(figures_in_sql(session.pk)["wasted_price"] > 0 for session in sessions)


def test_the_page_says_what_sql_says(client: Client, sessions: list[Session]) -> None:
    client.force_login(a_user("eve"))
    for session in sessions:
        shown = dict(_figures_of(client.get(f"/sessions/{session.pk}/").content.decode()))
        truth = figures_in_sql(session.pk)
        wanted = {"task_seconds", "waited_seconds", "wasted_seconds", "hidden_seconds", "interference_seconds"}
        if session.arm == "on":
            wanted.add("net_saved_seconds")
        if truth["wasted_price"]:
            wanted.add("wasted_price")
        assert wanted <= shown.keys()
        assert {name: shown[name] for name in wanted} == pytest.approx({name: truth[name] for name in wanted}, abs=NEAR)


def _figures_of(page: str) -> Iterator[tuple[str, float]]:
    """Each figure of the header by name: what a program reads off the page."""
    for name, value in re.findall(r'<data class="([a-z_]+)" value="(-?[0-9.]+)"', page):
        yield name, float(value)


def test_actual_and_net_saved_are_the_same_schedule_with_every_call_as_without(sessions: list[Session]) -> None:
    for session in sessions:
        figures = compute(Story(session.events.order_by("seq")))
        assert figures.without_speculation_seconds == pytest.approx(_lived_again(figures), abs=NEAR)
        assert figures.saved_seconds - figures.interference_seconds == pytest.approx(
            figures.net_saved_seconds, abs=NEAR
        )
        for call in figures.calls:
            if call.run is not None and call.run.started_at is not None:
                lead = max(0.0, call.call.asked_at - call.run.started_at)
                assert 0 <= call.hidden_seconds <= min(call.run_seconds, lead) + NEAR


def _lived_again(figures: Figures) -> float:
    """Task seconds if each turn's calls had waited what they would have without speculation."""
    shift = sum(
        critical_path(turn.calls, [call.without_seconds for call in turn.calls])
        - critical_path(turn.calls, [call.waited_seconds for call in turn.calls])
        for turn in figures.turns
    )
    return figures.task_seconds + shift


def test_a_session_can_save_more_than_one_turns_wall_time_and_still_adds_up(db: None) -> None:
    """A run of 8 s, guessed two turns before: the turn that asks for it takes 2 s, and saves 8."""
    log = WrittenLog().started().guess("g", 0.1, "slow", start=0.1)
    log.turn(1, 0, 4).turn(2, 4, 8).ends("g", 8.1).turn(3, 8, 10, "slow")
    log.asks("3.0", 10, "slow", "g", "used").returns("3.0", 10, "slow", "g").turn(4, 10, 11)
    session = store(in_order(log.ended(11)))
    figures = compute(Story(session.events.order_by("seq")))
    turn = figures.turns[2]
    assert figures.net_saved_seconds == pytest.approx(8.0, abs=NEAR) and turn.decode_seconds + turn.waited_seconds < 8.0
    assert figures.without_speculation_seconds == pytest.approx(19.0, abs=NEAR)
    assert figures_in_sql(session.pk)["net_saved_seconds"] == pytest.approx(8.0, abs=NEAR)
