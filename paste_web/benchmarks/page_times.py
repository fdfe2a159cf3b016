"""How long the server takes over each page of an installation in use, what it sends, and what it asks the database."""

from collections.abc import Iterable
from time import perf_counter
from typing import Any

import httpx
from django.conf import settings
from django.test import Client

from paste_web.benchmarks.page_session import with_p95
from paste_web.benchmarks.statements import Statements
from paste_web.picturing.browser import signed_in
from paste_web.picturing.pages import House, Look

WARM_UP = 2


def time_pages(address: str, house: House, looks: Iterable[Look], loads: int) -> list[dict[str, Any]]:
    """One row a page: milliseconds from the request to the last byte, over one kept connection, one after the other."""
    cookies = {settings.SESSION_COOKIE_NAME: signed_in(house.operator)}
    with httpx.Client(base_url=address, cookies=cookies, timeout=60, trust_env=False) as browser:
        return [_time(browser, house, look, loads) for look in looks if not look.is_anonymous]


def _time(browser: httpx.Client, house: House, look: Look, loads: int) -> dict[str, Any]:
    path, samples = look.address(house), []
    for _ in range(WARM_UP + loads):
        began_at = perf_counter()
        answer = browser.get(path)
        samples.append(perf_counter() - began_at)
    timed = samples[WARM_UP:]
    return {
        "page": look.name,
        "status": answer.status_code,
        "bytes": len(answer.content),
        "statements": count_statements(path, house),
        **with_p95(timed),
    }


def count_statements(path: str, house: House) -> int:
    """What this page asks of the database, once, by this process: with the two of the login."""
    client, statements = Client(SERVER_NAME="127.0.0.1"), Statements()
    client.force_login(house.operator)
    with statements.counting():
        client.get(path)
    return len(statements.forms)
