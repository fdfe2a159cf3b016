"""The tools' pages under a reader's hands: by keys alone, without a complaint, and narrow as a phone."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from speculation.models import Approval, ToolRecord
from tests.browser import Visitors
from tests.paste_web.deciding import PAGE, a_tool, chip_of, decide
from tests.paste_web.stored_sessions import a_user, an_agent

pytestmark = pytest.mark.slow


@pytest.fixture
def approver(transactional_db: None) -> User:
    an_agent("support").tools.add(a_tool())
    return a_user("op1", "add_approval", "view_payloads")


def test_a_call_is_tried_and_the_tool_approved_and_revoked_by_keys_alone(visitors: Visitors, approver: User) -> None:
    page = visitors.page(approver)
    page.goto(PAGE)
    page.get_by_label("Argument rule").focus()
    page.keyboard.type('{"properties": {"id": {"pattern": "^W"}}}')
    page.get_by_label("Would this call be allowed?").focus()
    page.keyboard.type('{"id": "X7"}')
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#trial")).to_contain_text("Not allowed: refused by the argument rule.")
    assert page.url.endswith(PAGE) and not Approval.objects.exists()
    page.get_by_label("Reason").focus()
    page.keyboard.type("It only reads.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("Decided: canary: a share of sessions.")
    page.get_by_role("button", name="Revoke").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("Revoked. 0 held runs given up.")
    assert chip_of(ToolRecord.objects.get()) == "Off: refused by op1"


def test_the_list_and_a_tool_fit_a_phone(visitors: Visitors, approver: User) -> None:
    tool = ToolRecord.objects.get()
    decide(tool)
    ToolRecord.objects.update(definition_hash="b" * 64)
    page = visitors.page(approver, viewport={"width": 390, "height": 844})
    for path in ("/tools/", PAGE):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        too_wide = "one => one.scrollWidth - one.clientWidth"
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        assert all(wrap.evaluate(too_wide) <= 0 for wrap in page.locator(".table-wrap").all())
