"""Who may come in at the MCP endpoint, and what is said to those who may not. No workers: nothing is run."""

import json
from typing import Any

import httpx
import pytest

from speculation.access import CALL, READ, WRITE, create_key, revoke_key
from speculation.models import AgentProfile, Session
from tests.paste_web.remote_agents import desk, key_text

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "a \u2028 client", "version": "7"},
    },
}
SAID = {"Accept": "application/json, text/event-stream"}


@pytest.fixture
def door(transactional_db: None, web_address: str) -> Any:
    desk()
    with httpx.Client(base_url=web_address, headers=SAID, trust_env=False, timeout=20) as client:
        yield client


@pytest.fixture
def key(transactional_db: None) -> str:
    return key_text()


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    return answer.status_code, answer.json()["code"]


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def test_nobody_comes_in_without_a_key_that_may_call(door: httpx.Client, key: str) -> None:
    def ask(**headers: str) -> httpx.Response:
        return door.post("/mcp/desk", json=HELLO, headers=headers)

    refused = ask()
    assert problem(refused) == (401, "missing_key") and refused.headers["www-authenticate"] == "Bearer"
    assert problem(ask(Authorization="Basic x")) == (401, "missing_key")
    assert problem(ask(**bearer("paste_wrong"))) == (401, "invalid_key")
    assert problem(ask(**bearer(key_text(READ, WRITE)))) == (403, "missing_scope")
    revoked, text = create_key("gone", [CALL], who="tester")
    assert ask(**bearer(text)).status_code == 200
    revoke_key(revoked, who="tester")
    assert problem(ask(**bearer(text))) == (401, "invalid_key")
    assert ask(**bearer(key)).status_code == 200


def test_which_agents_there_are_is_told_to_keys_alone(door: httpx.Client, key: str) -> None:
    AgentProfile.objects.create(name="tasks-only", model_kind="openai")
    for path in ("/mcp", "/mcp/", "/mcp/nobody", "/mcp/tasks-only", "/mcp/desk/more", "/mcp/%00"):
        assert problem(door.post(path, json=HELLO)) == (401, "missing_key")
        told = door.post(path, json=HELLO, headers=bearer(key))
        assert problem(told) == (404, "not_found") and "/mcp/desk" in told.json()["detail"]
    assert door.post("/mcp/desk/", json=HELLO, headers=bearer(key)).status_code == 200


def test_pages_of_other_sites_and_other_hosts_are_refused(door: httpx.Client, key: str) -> None:
    def ask(**headers: str) -> httpx.Response:
        return door.post("/mcp/desk", json=HELLO, headers={**bearer(key), **headers})

    assert problem(ask(Origin="https://evil.example")) == (403, "foreign_origin")
    assert problem(ask(Origin="null")) == (403, "foreign_origin")
    assert problem(ask(Host="evil.example")) == (400, "bad_request")
    assert ask(Origin=str(door.base_url).rstrip("/")).status_code == 200


def test_a_method_a_body_and_a_type_that_do_not_fit_are_refused(door: httpx.Client, key: str) -> None:
    asked = bearer(key)
    refused = door.get("/mcp/desk", headers=asked)
    assert problem(refused) == (405, "method_not_allowed") and refused.headers["allow"] == "POST, DELETE"
    assert (
        door.post(
            "/mcp/desk", content=b"x" * 300_000, headers={**asked, "Content-Type": "application/json"}
        ).status_code
        == 413
    )
    assert (
        door.post("/mcp/desk", content=b"{", headers={**asked, "Content-Type": "application/json"}).status_code == 400
    )
    assert door.post("/mcp/desk", content=b"x", headers={**asked, "Content-Type": "text/plain"}).status_code == 400
    nested = b"[" * 100_000
    assert (
        door.post("/mcp/desk", content=nested, headers={**asked, "Content-Type": "application/json"}).status_code == 400
    )
    assert door.delete("/mcp/desk", headers=asked).status_code == 204, "nothing is open, and nothing is wrong"
    assert not Session.objects.exists()


def test_a_handshake_gives_the_connection_a_name_and_is_stored_nowhere(door: httpx.Client, key: str) -> None:
    first, second = (door.post("/mcp/desk", json=HELLO, headers=bearer(key)) for _ in range(2))
    names = {one.headers["mcp-session-id"] for one in (first, second)}
    assert len(names) == 2 and all(name.isascii() and len(name) > 32 for name in names)
    assert first.headers["cache-control"] == "no-store"
    told = json.loads(first.text.partition("data: ")[2])
    assert told["result"]["serverInfo"]["name"] == "paste" and "tools" in told["result"]["capabilities"]
    ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
    again = door.post("/mcp/desk", json=ping, headers={**bearer(key), "Mcp-Session-Id": names.pop()})
    assert again.status_code == 200 and "mcp-session-id" not in again.headers
    assert not Session.objects.exists()
