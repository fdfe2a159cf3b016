"""Tools, patterns, API documentation and admin in a real browser: no complaint, no stranger asked, nothing too wide."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, expect

from speculation import policy
from speculation.access import READ, create_key
from speculation.models import PatternRecord, Session, ToolJob, ToolRecord, WorkerPool
from tests.browser import Visitors
from tests.paste_web.stored_sessions import an_agent

PAGES = ["/tools/", "/tools/builtin/fetch_page/", "/patterns/", "/api/docs", "/api/problems/", "/admin/"]


@pytest.fixture
def chief(transactional_db: None) -> User:
    return User.objects.create_superuser("op1")


@pytest.fixture
def a_busy_house(transactional_db: None) -> None:
    """Tools in every state, with runs, and patterns of one agent."""
    agent, pool = an_agent("support"), WorkerPool.objects.get_or_create(name="tools")[0]
    session = Session.objects.create(agent=agent, task="Refund the duplicate.")
    effects = {"fetch_page": "none", "get_order": "none", "get_user": "none", "run_command": "unknown", "update_record": "write"}
    for name, effect in effects.items():
        tool = ToolRecord.objects.create(
            name=name, effect=effect, open_world=name == "fetch_page", definition_hash="a1b2" * 16,
            definition={"name": name, "description": f"What {name} does, in a sentence.", "parameters": {"type": "object"}},
        )  # fmt: skip
        for number in range(3):
            started = timezone.now() - timedelta(minutes=number)
            ToolJob.objects.create(
                session=session, tool=tool, pool=pool, effect=effect, epoch=number, fingerprint=name, status="succeeded",
                call_id=f"{tool.pk}.{number}", started_at=started, ended_at=started + timedelta(seconds=0.4 + number),
            )  # fmt: skip
    decide("fetch_page", "shadow")
    decide("get_order", "full", agent=agent)
    decide("get_user", "canary")
    policy.switch(ToolRecord.objects.get(name="get_user"), False, who="op1")
    for number in range(8):
        PatternRecord.objects.create(
            agent=agent, key=str(number), tool="get_order", context=["user", "get_user:ok", "get_order:ok"][: 1 + number % 3],
            mapping={"order_id": [["next 0 of result(get_user).orders[*]", 12.4, 14], ["result(get_user).orders[0]", 9, 14]]},
            support=14.2 - number, probability=0.91 - number / 10, hits=number * 3.0, misses=1.0, enabled=number != 5,
            overridden_by="op1" if number == 5 else "",
        )  # fmt: skip


def decide(name: str, level: str, **options: object) -> None:
    tool = ToolRecord.objects.get(name=name)
    policy.decide(
        tool, level, who="demo", why="It only reads, and its results do not change while a session runs.",
        expected_definition_hash=tool.definition_hash, expected_policy_version=tool.policy_version, **options,
    )  # fmt: skip


def widest_overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES)
def test_every_page_loads_clean_in_both_themes_and_fits_a_phone(visitors: Visitors, chief: User, a_busy_house: None, path: str) -> None:
    page = visitors.page(chief)
    answer = page.goto(path)
    page.wait_for_load_state("networkidle")
    assert answer is not None and answer.status == 200
    for name in ("light", "dark", "phone"):
        page.emulate_media(color_scheme="dark" if name == "dark" else "light")
        page.set_viewport_size({"width": 390 if name == "phone" else 1280, "height": 900})
        assert widest_overflow(page) <= 0


@pytest.mark.slow
def test_an_operator_switches_a_tool_off_with_one_press(visitors: Visitors, chief: User, a_busy_house: None) -> None:
    decide("get_order", "full")
    page = visitors.page(chief)
    page.goto("/tools/")
    page.get_by_role("button", name="Switch get_order off").click()
    expect(page.get_by_role("status")).to_contain_text("get_order switched off. 0 held runs given up.")
    expect(page.get_by_role("row", name="get_order")).to_contain_text("Off: switched off by op1")


@pytest.mark.slow
def test_the_documentation_tries_a_call_against_this_server(visitors: Visitors, chief: User, a_busy_house: None) -> None:
    _key, text = create_key("docs", [READ], who="tester")
    page = visitors.page(chief)
    page.goto("/api/docs")
    page.get_by_role("button", name="Authorize").click()
    page.locator(".auth-container input").fill(text)
    page.locator(".auth-btn-wrapper button[type=submit]").click()
    page.locator(".auth-btn-wrapper .btn-done").click()
    page.locator("#operations-tasks-paste_web_api_tasks_list_tasks").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table tbody .response-col_status")).to_contain_text("200")
