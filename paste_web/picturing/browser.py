"""A headless Chromium that asks nobody but our own server for anything. Playwright, which drives it, is there for development."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User

try:
    from playwright.sync_api import Browser, Page, sync_playwright
except ImportError:  # installations without what development needs
    Browser, Page, sync_playwright = Any, Any, None

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
)


class NoBrowser(Exception):
    """What is missing, and how to get it."""


def find_chromium() -> str | None:
    """The path of a Chromium: the one that PASTE_CHROMIUM names, else one that is installed."""
    return os.environ.get("PASTE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Raises NoBrowser."""
    path = find_chromium()
    if sync_playwright is None:
        raise NoBrowser("Playwright is missing. Install what development needs: make lint, or pip install playwright.")
    if path is None:
        raise NoBrowser(f"No Chromium found ({', '.join(NAMES)}). Install one, or name it in PASTE_CHROMIUM.")
    # Playwright's synchronous interface runs an event loop in this thread, which also asks the database.
    os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def signed_in(user: User) -> str:
    """The key of a session in which `user` has signed in."""
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.save()
    return str(store.session_key)


def cookie_of(user: User, address: str) -> dict[str, Any]:
    """What a browser context needs to be signed in there."""
    return {"name": settings.SESSION_COOKIE_NAME, "value": signed_in(user), "url": address}
