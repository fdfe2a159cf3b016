"""By keys alone, in a real browser: find, approve, revoke, pause, select a call and read it; and the keys can be switched off."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Locator, Page, expect

from paste_web.picturing.agents import hire
from speculation.models import WorkerPool
from tests.browser import Visitors
from tests.paste_web.stored_sessions import store
from tests.speculation.written_log import example

pytestmark = pytest.mark.slow
MOST_TABS = 150


@pytest.fixture
def page(visitors: Visitors, transactional_db: None) -> Page:
    WorkerPool.objects.update_or_create(name="tools", defaults={"slots": 6, "reserved": 2, "is_paused": False})
    return visitors.page(User.objects.create_superuser("op1"))


def reach(page: Page, wanted: Locator) -> None:
    """Press Tab until it has the focus, which must be seen."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            assert wanted.evaluate("element => getComputedStyle(element).outlineStyle") != "none"
            return
    raise AssertionError(f"{wanted} is not reached by Tab")


def press(page: Page, name: str) -> None:
    reach(page, page.get_by_role("button", name=name, exact=True).first)
    page.keyboard.press("Enter")


def open_tool(page: Page, name: str) -> None:
    """From the list, by the search key and the rows' key."""
    page.goto("/tools/")
    page.keyboard.press("/")
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    page.wait_for_url("**q=*")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.textContent").strip() == name
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text(name)


def test_a_tool_is_found_approved_and_revoked(page: Page) -> None:
    hire()
    open_tool(page, "get_record")
    reach(page, page.get_by_label("Reason").first)
    page.keyboard.type("It only reads the demo's own records.")
    press(page, "Store the decision")
    expect(page.get_by_role("status")).to_contain_text("canary")
    press(page, "Revoke")
    expect(page.get_by_role("status")).to_contain_text("Revoked.")


def test_speculation_is_paused_and_resumed(page: Page) -> None:
    page.goto("/scheduler/")
    reach(page, page.get_by_label("Reason").first)
    page.keyboard.type("The index is being rebuilt.")
    press(page, "Pause")
    expect(page.get_by_role("status")).to_contain_text("Paused: all speculation.")
    assert WorkerPool.objects.get().is_paused
    press(page, "Resume all speculation")
    expect(page.get_by_role("status")).to_contain_text("Resumed.")


def test_a_call_is_selected_and_its_panel_read(page: Page) -> None:
    page.goto(f"/sessions/{store(example()).pk}/")
    page.wait_for_selector("#chart .bars .point")
    reach(page, page.locator("#timeline"))
    panel = page.locator("#call-panel")
    for key, call in ((".", "u_4412"), (".", "W2378156"), (".", "pay_881"), (",", "W2378156")):
        page.keyboard.press(key)
        expect(panel.locator("h2")).to_contain_text(call)
    page.keyboard.press("Enter")
    expect(panel).to_be_focused()
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(page.locator("#timeline")).to_be_focused()


def test_the_list_of_shortcuts_opens_and_single_letters_can_be_switched_off(page: Page) -> None:
    hire()
    page.goto("/tools/")
    page.keyboard.press("?")
    shortcuts = page.get_by_role("dialog", name="Shortcuts")
    expect(shortcuts).to_be_visible()
    reach(page, page.get_by_label("Single letters"))
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    expect(shortcuts).to_be_hidden()
    page.keyboard.press("?")
    expect(shortcuts).to_be_hidden()
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.tagName") == "BODY"
    page.reload()
    reach(page, page.locator("details.menu > summary"))
    page.keyboard.press("Enter")
    press(page, "Shortcuts ?")
    expect(page.get_by_label("Single letters")).not_to_be_checked()


def test_the_first_stop_skips_to_the_content(page: Page) -> None:
    page.goto("/tools/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
