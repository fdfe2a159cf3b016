"""Connect, audit, and the pause of every page, in a real browser: by keys alone, clean, and not too wide for a phone."""

import httpx
import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from speculation.access import READ, create_key
from speculation.models import AuditEntry, WorkerPool
from tests.browser import Visitors
from tests.paste_web.stored_sessions import an_agent

pytestmark = pytest.mark.slow


@pytest.fixture
def chief(transactional_db: None) -> User:
    WorkerPool.objects.update_or_create(name="tools", defaults={"slots": 6, "reserved": 2, "is_paused": False})
    an_agent("support")
    return User.objects.create_superuser("op1")


def widest_overflow(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def test_a_key_is_made_by_keys_alone_and_its_first_call_turns_the_panel_green(
    visitors: Visitors, chief: User, web_address: str
) -> None:
    page = visitors.page(chief)
    page.goto("/connect/")
    page.get_by_label("Name").focus()
    page.keyboard.type("ticket robot")
    page.keyboard.press("Enter")
    key = page.locator("#new-key").inner_text()
    expect(page.locator("#first-call")).to_contain_text("Waiting for the first call")
    answer = httpx.get(f"{web_address}/api/v1/tasks?limit=1", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200
    expect(page.locator("#first-call")).to_contain_text("Connected")
    page.goto("/connect/")
    assert key not in page.content()
    page.get_by_role("button", name="Revoke the key ticket robot").press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("The API refuses it from now on")
    assert httpx.get(str(answer.url), headers={"Authorization": f"Bearer {key}"}).status_code == 401


def test_speculation_is_paused_and_resumed_with_one_press_on_any_page(visitors: Visitors, chief: User) -> None:
    page = visitors.page(chief)
    page.goto("/audit/?kind=pause")
    page.get_by_role("button", name="Pause all speculation").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Paused. No run was held.")
    assert page.url.endswith("/audit/?kind=pause")
    expect(page.get_by_role("link", name="Speculation paused")).to_be_visible()
    page.get_by_role("button", name="Resume all speculation").press("Enter")
    expect(page.get_by_role("link", name="Speculation on")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(3)


@pytest.mark.parametrize("name", ["light", "dark", "phone"])
def test_the_pages_load_clean_and_fit(visitors: Visitors, chief: User, name: str) -> None:
    create_key("a key with a rather long name for a robot that answers tickets", [READ], who="op1", user=chief)
    page = visitors.page(chief)
    page.emulate_media(color_scheme="dark" if name == "dark" else "light")
    page.set_viewport_size({"width": 390 if name == "phone" else 1280, "height": 900})
    for path in ("/connect/", "/audit/", f"/audit/?entry={AuditEntry.objects.get().pk}"):
        answer = page.goto(path)
        page.wait_for_load_state("networkidle")
        assert answer is not None and answer.status == 200
        assert widest_overflow(page) <= 0
