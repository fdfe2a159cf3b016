"""A real web server on the run's own servers, and a real headless Chromium that looks at it.

Without a Chromium these tests are skipped, and say so; `PASTE_REQUIRE_BROWSER=1` forbids the skip.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from paste_web.picturing.browser import NoBrowser, cookie_of
from paste_web.picturing.browser import chromium as start_chromium

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def web_address(django_db_setup: None, broker_url: str) -> Iterator[str]:
    """Daphne as a process of its own, with the run's database and broker."""
    with web_server(broker_url) as address:
        yield address


@contextmanager
def web_server(broker_url: str) -> Iterator[str]:
    """Its address, for as long as it is wanted."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = Path(settings.PASTE_HOME) / f"web-{port}.log"
    addresses = {name: getattr(settings, name) for name in ("DATABASE_URL", "PASTE_LISTEN_URL")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "paste_web.asgi:application"],
            cwd=PROJECT,
            env={**os.environ, **addresses, "PASTE_BROKER_URL": broker_url},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_it_answers(f"http://127.0.0.1:{port}/login/", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(15)


def _wait_until_it_answers(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the web server did not start:\n{log.read_text()}") from None
            time.sleep(0.1)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    try:
        with start_chromium() as browser:
            yield browser
    except NoBrowser as problem:
        if os.environ.get("PASTE_REQUIRE_BROWSER") == "1":
            pytest.fail(str(problem))
        pytest.skip(f"{problem} The browser tests did not run.")


@dataclass
class Witness:
    """What a page complained about, and what it asked anybody else for."""

    host: str
    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self._hear)
        page.on("pageerror", lambda problem: self.complaints.append(str(problem)))
        page.on("request", lambda request: self._see(request.url))
        page.on("websocket", lambda socket: self._see(socket.url))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _see(self, url: str) -> None:
        address = urlparse(url)
        if address.scheme not in ("data", "blob") and address.netloc != self.host:
            self.strangers.append(url)


@pytest.fixture
def witness(web_address: str) -> Iterator[Witness]:
    """After the test: nothing went wrong in the page, and no request left our own server."""
    witness = Witness(urlparse(web_address).netloc)
    yield witness
    assert witness.complaints == []
    assert witness.strangers == []


class Visitors:
    """Opens pages as a signed-in user, in a browser context of their own."""

    def __init__(self, browser: Browser, address: str, witness: Witness) -> None:
        self._browser, self._address, self._witness = browser, address, witness
        self._contexts: list[BrowserContext] = []

    def page(self, user: User, **options: Any) -> Page:
        context = self._browser.new_context(base_url=self._address, viewport=options.pop("viewport", {"width": 1280, "height": 900}), **options)
        self._contexts.append(context)
        context.add_cookies([cookie_of(user, self._address)])
        page = context.new_page()
        self._witness.watch(page)
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()


@pytest.fixture
def visitors(transactional_db: None, chromium: Browser, web_address: str, witness: Witness) -> Iterator[Visitors]:
    visitors = Visitors(chromium, web_address, witness)
    yield visitors
    visitors.close()
