"""Watching goes on when the channel layer is gone: the page says so within 5 s, polls, and ends right."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Browser, expect

from paste_web.live import FAILED
from paste_web.valkey_server import ValkeyServer, start_valkey
from tests.browser import cookie_of, web_server
from tests.paste_web.stored_sessions import a_user, append, store
from tests.speculation.written_log import WrittenLog, example

pytestmark = pytest.mark.slow
LISTEN = """path => new Promise(opened => {
  const socket = new WebSocket(location.origin.replace("http", "ws") + path);
  socket.onopen = opened;
  socket.onclose = event => { window.closedWith = event.code; };
})"""
"""A socket of its own, which waits to be closed by the server and, unlike the page's, never closes itself."""


@pytest.fixture
def broker() -> Iterator[ValkeyServer]:
    """One of its own, to be killed."""
    server = start_valkey(Path(settings.PASTE_HOME) / "killed-valkey.log")
    yield server
    server.stop()


def test_losing_the_channel_layer_is_said_within_5_s_and_the_final_state_is_right(
    transactional_db: None, broker_url: str, chromium: Browser, broker: ValkeyServer
) -> None:
    whole = example()
    session = store(WrittenLog(whole[:12]))
    with web_server(broker.url) as address:
        context = chromium.new_context(base_url=address)
        context.add_cookies([cookie_of(a_user("op1"), address)])
        page = context.new_page()
        page.goto(f"/sessions/{session.pk}/")
        expect(page.locator("#badge")).to_have_text("Live", timeout=10_000)
        page.evaluate(LISTEN, f"/ws/sessions/{session.pk}/")
        broker.stop()
        expect(page.locator("#badge")).to_have_text("Reconnecting", timeout=5_000)
        page.wait_for_function("code => window.closedWith === code", arg=FAILED, timeout=10_000)
        append(session, WrittenLog(whole[12:20]))
        expect(page.locator(f"#event-rows tr[data-seq='{whole[19].seq}']")).to_be_attached(timeout=10_000)
        append(session, WrittenLog(whole[20:]))
        expect(page.locator("#badge")).to_have_text("Finished", timeout=15_000)
        expect(page.locator("[data-part=facts] .headline .figure")).to_have_text("5.2 s")
        context.close()
