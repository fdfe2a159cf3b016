"""One press in a real browser: a tool switched off, a call tried out of the documentation."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from paste_web.picturing.agents import hire
from speculation.access import READ, create_key
from speculation.models import ApprovalLevel, ToolRecord
from speculation.policy import decide
from tests.browser import Visitors

pytestmark = pytest.mark.slow


@pytest.fixture
def chief(transactional_db: None) -> User:
    return User.objects.create_superuser("op1")


def test_an_operator_switches_a_tool_off_with_one_press(visitors: Visitors, chief: User) -> None:
    hire()
    tool = ToolRecord.objects.get(name="get_record")
    decide(
        tool, ApprovalLevel.FULL, who="op1", why="It only reads.",
        expected_definition_hash=tool.definition_hash, expected_policy_version=tool.policy_version,
    )  # fmt: skip
    page = visitors.page(chief)
    page.goto("/tools/")
    page.get_by_role("button", name="Switch get_record off").click()
    expect(page.get_by_role("status")).to_contain_text("get_record switched off. 0 held runs given up.")
    expect(page.get_by_role("row", name="get_record")).to_contain_text("Off: switched off by op1")


def test_the_documentation_tries_a_call_against_this_server(visitors: Visitors, chief: User) -> None:
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
