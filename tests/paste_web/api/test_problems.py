"""Everything that is wrong: the right status, one shape, a text that says what to do, and nothing stored."""

import json
import logging
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.db import OperationalError
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.test import Client

from paste_web.api import tasks
from paste_web.api.envelope import LARGEST_BODY_BYTES, ApiEnvelope
from paste_web.api.problems import KINDS
from speculation.access import READ, WRITE, create_key, revoke_key
from speculation.agent import demo
from speculation.agent.demo import DemoAgent
from speculation.models import AgentProfile, IdempotencyRecord, Session
from tests.paste_web.api.conftest import Caller

PROBLEM_FIELDS = {"type", "title", "status", "code", "request_id", "detail", "errors"}


def refused(response: Any) -> tuple[int, str, dict[str, Any]]:
    """Status, code and document of a refusal, its shape checked, and nothing stored."""
    assert response["Content-Type"] == "application/problem+json"
    document = response.json()
    assert set(document) >= PROBLEM_FIELDS
    assert document["status"] == response.status_code == KINDS[document["code"]].status
    assert document["type"] == "/api/problems/" + document["code"].replace("_", "-")
    assert document["request_id"] == response["X-Request-Id"] and document["detail"]
    assert "Traceback" not in response.content.decode()
    assert not Session.objects.exists() and not IdempotencyRecord.objects.exists()
    return response.status_code, document["code"], document


def test_without_a_key_nothing_is_answered_and_the_scheme_is_named(stranger: Caller) -> None:
    for response in (
        stranger.get("/tasks"),
        stranger.submit(),
        stranger.post("/tasks", "{", content_type="text/plain"),
    ):
        assert refused(response)[:2] == (401, "missing_key")
        assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "paste_abc"])
def test_a_header_without_a_bearer_key_is_a_missing_key(db: None, header: str) -> None:
    assert refused(Client(headers={"Authorization": header}).get("/api/v1/tasks"))[:2] == (401, "missing_key")


@pytest.mark.parametrize("text", ["paste_nothing", "x" * 5000, "\xe9\xff", "a\0b"])
def test_a_wrong_key_is_refused_and_never_repeated(db: None, text: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        response = Caller(None, text).get("/tasks")
    assert refused(response)[:2] == (401, "invalid_key")
    assert text not in response.content.decode() and text not in caplog.text


def test_a_revoked_or_expired_key_is_refused_from_the_next_request_on(agent: AgentProfile) -> None:
    key, text = create_key("short", [READ], who="tester")
    assert Caller(key, text).get("/tasks").status_code == 200
    revoke_key(key, who="tester")
    assert refused(Caller(key, text).get("/tasks"))[:2] == (401, "invalid_key")
    old, old_text = create_key("old", [READ], who="tester")
    type(old).objects.filter(pk=old.pk).update(expires_at=Now())
    assert refused(Caller(old, old_text).get("/tasks"))[:2] == (401, "invalid_key")


def test_a_missing_scope_is_named(call_with: Callable[..., Caller], agent: AgentProfile) -> None:
    status, code, document = refused(call_with(READ).submit())
    assert (status, code) == (403, "missing_scope") and "tasks:write" in document["detail"]
    assert refused(call_with(WRITE).get("/tasks"))[:2] == (403, "missing_scope")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "nope",
        '{"agent": NaN}',
        "[" * 100_000,
        b"\xff\xfe{}",
        b'\xef\xbb\xbf{"agent": "a"}',
        '{"max_turns": ' + "9" * 5000 + "}",
    ],
)
def test_what_is_not_json_is_malformed(caller: Caller, body: str | bytes) -> None:
    assert refused(caller.post("/tasks", body))[:2] == (400, "malformed_json")


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp"],
)
def test_another_content_type_is_refused(caller: Caller, content_type: str) -> None:
    body = json.dumps({"agent": "writer", "task": "t"})
    assert refused(caller.post("/tasks", body, content_type=content_type))[:2] == (415, "not_json")


def test_json_with_a_charset_is_json(caller: Caller) -> None:
    body = json.dumps({"agent": "writer", "task": "Grüße"})
    assert caller.post("/tasks", body, content_type="application/json; charset=utf-8").status_code == 202


@pytest.mark.parametrize("path", ["/tasks", "/tasks/x/cancel", "/nothing"])
def test_an_oversized_body_is_refused_before_it_is_read(caller: Caller, path: str) -> None:
    body = json.dumps({"agent": "writer", "task": "t", "labels": {"x": "y" * 300_000}})
    assert refused(caller.post(path, body))[:2] == (413, "body_too_large")


def test_a_body_that_hides_its_size_is_measured() -> None:
    def read(request: HttpRequest) -> HttpResponse:
        return HttpResponse(str(len(request.body)))

    def post(size_bytes: int) -> HttpResponse:
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/api/v1/tasks",
            "headers": [(b"transfer-encoding", b"chunked")],
        }
        return ApiEnvelope(read)(ASGIRequest(scope, BytesIO(b"x" * size_bytes)))

    assert post(LARGEST_BODY_BYTES).content == str(LARGEST_BODY_BYTES).encode()
    assert json.loads(post(LARGEST_BODY_BYTES + 1).content)["code"] == "body_too_large"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"agent": None}, "/agent"),
        ({"agent": 7}, "/agent"),
        ({"agent": ""}, "/agent"),
        ({"agent": "a" * 51}, "/agent"),
        ({"agent": "wri\0ter"}, "/agent"),
        ({"agent": "\ud800"}, "/agent"),
        ({"task": ""}, "/task"),
        ({"task": "   "}, "/task"),
        ({"task": "x" * 20_001}, "/task"),
        ({"task": "nul \0 inside"}, "/task"),
        ({"task": "half a pair \udfff"}, "/task"),
        ({"task": ["t"]}, "/task"),
        ({"speculation": "maybe"}, "/speculation"),
        ({"max_turns": 0}, "/max_turns"),
        ({"max_turns": 101}, "/max_turns"),
        ({"max_turns": 10**30}, "/max_turns"),
        ({"max_turns": "5"}, "/max_turns"),
        ({"max_turns": True}, "/max_turns"),
        ({"max_turns": 1.5}, "/max_turns"),
        ({"timeout_seconds": 0.5}, "/timeout_seconds"),
        ({"timeout_seconds": 1e300}, "/timeout_seconds"),
        ({"labels": {str(n): "" for n in range(17)}}, "/labels"),
        ({"labels": {"ticket": 4711}}, "/labels/ticket"),
        ({"labels": {"a/b~c": 1}}, "/labels/a~1b~0c"),
        ({"labels": {"ticket": "\0"}}, "/labels/ticket"),
        ({"labels": ["ticket"]}, "/labels"),
        ({"lables": {}}, "/lables"),
        ({"<script>": 1}, "/<script>"),
    ],
)
def test_a_wrong_field_is_pointed_at(caller: Caller, change: dict[str, Any], pointer: str) -> None:
    status, code, document = refused(caller.post("/tasks", {"agent": "writer", "task": "t", **change}))
    assert (status, code) == (422, "invalid_fields")
    assert document["errors"][0]["pointer"] == pointer and document["errors"][0]["detail"]


def test_every_missing_field_is_named(caller: Caller) -> None:
    document = refused(caller.post("/tasks", {}))[2]
    assert [error["pointer"] for error in document["errors"]] == ["/agent", "/task"]


@pytest.mark.parametrize("body", [[], "text", 7, None])
def test_a_body_that_is_no_object_is_refused(caller: Caller, body: Any) -> None:
    assert refused(caller.post("/tasks", json.dumps(body)))[:2] == (422, "invalid_fields")


def test_characters_of_every_plane_are_kept(caller: Caller) -> None:
    task = "\N{GRINNING FACE} \N{MATHEMATICAL BOLD CAPITAL A} \u202e \u200d"
    stored = caller.submit(task=task).json()["id"]
    assert Session.objects.get(pk=stored).task == task


def test_an_unknown_agent_is_answered_with_those_there_are(caller: Caller) -> None:
    AgentProfile.objects.create(name="replayed", model_kind="recorded")
    status, code, document = refused(caller.submit(agent="wirter"))
    assert (status, code) == (422, "unknown_agent")
    assert '"wirter"' in document["detail"] and document["detail"].endswith("You may use: writer.")
    assert refused(caller.submit(agent="replayed"))[:2] == (422, "unknown_agent")


def test_a_scripted_agent_answers_other_tasks_with_its_own(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    poet = DemoAgent("poet", "", "", "", tools=(), world="", tasks=["Rhyme on moon.", "Rhyme on sun."], script=None)
    monkeypatch.setattr(demo, "AGENTS", {"poet": poet})
    AgentProfile.objects.create(name="actor", model_kind="scripted", script="poet")
    status, code, document = refused(caller.submit(agent="actor"))
    assert (status, code) == (422, "unknown_scripted_task")
    assert document["tasks"] == ["Rhyme on moon.", "Rhyme on sun."] and "Rhyme on sun." in document["detail"]
    assert caller.submit(agent="actor", task="Rhyme on sun.").json()["model"] == "scripted"


@pytest.mark.parametrize("key", ["x" * 256, "caf\xe9", "tab\there", " \x7f"])
def test_an_idempotency_key_that_is_no_printable_text_is_refused(caller: Caller, key: str) -> None:
    status, code, document = refused(caller.submit(idempotency_key=key))
    assert (status, code) == (422, "invalid_fields")
    assert document["errors"][0]["header"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("path", "parameters", "name"),
    [
        ("/tasks", {"limit": 0}, "limit"),
        ("/tasks", {"limit": 10**30}, "limit"),
        ("/tasks", {"limit": "ten"}, "limit"),
        ("/tasks", {"status": "sleeping"}, "status"),
        ("/tasks", {"agent": "a\0"}, "agent"),
        ("/tasks", {"label": "no-colon"}, "label"),
        ("/tasks", {"label": "a:\0"}, "label"),
        ("/tasks", {"cursor": "!!"}, "cursor"),
        ("/tasks", {"cursor": "YWJj"}, "cursor"),
        ("/tasks", {"cursor": "\xe9"}, "cursor"),
        ("/tasks", {"stauts": "running"}, "stauts"),
        ("/tasks/x", {"wait_seconds": 61}, "wait_seconds"),
        ("/tasks/x", {"wait_seconds": "nan"}, "wait_seconds"),
        ("/tasks/x/events", {"after": -1}, "after"),
        ("/tasks/x/events", {"after": 2**31}, "after"),
        ("/tasks/x/events", {"limit": 1001}, "limit"),
    ],
)
def test_a_wrong_parameter_is_named(caller: Caller, path: str, parameters: dict[str, Any], name: str) -> None:
    status, code, document = refused(caller.get(path, **parameters))
    assert (status, code) == (422, "invalid_fields")
    assert document["errors"][0]["parameter"].startswith(name)


@pytest.mark.parametrize("task_id", ["x", "0198f3c2", "%00", "..", "0198f3c2-0000-7000-8000-000000000000"])
def test_a_task_that_is_not_there_is_not_found(caller: Caller, task_id: str) -> None:
    for path in (f"/tasks/{task_id}", f"/tasks/{task_id}/events"):
        assert refused(caller.get(path))[:2] == (404, "not_found")
    assert refused(caller.post(f"/tasks/{task_id}/cancel"))[:2] == (404, "not_found")


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/tasks/", "/tasks/a/b/c"])
def test_an_address_that_is_not_there_is_a_problem_document_too(caller: Caller, path: str) -> None:
    assert refused(caller.client.get(f"/api/v1{path or '/'}"))[:2] == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"), [("delete", "/tasks"), ("put", "/tasks/x"), ("get", "/tasks/x/cancel"), ("patch", "/tasks")]
)
def test_a_wrong_method_is_a_problem_document_that_names_the_right_ones(caller: Caller, method: str, path: str) -> None:
    response = getattr(caller.client, method)(f"/api/v1{path}")
    assert refused(response)[:2] == (405, "method_not_allowed")
    assert response["Allow"]


def test_an_unknown_host_is_a_problem_document(caller: Caller) -> None:
    assert refused(caller.client.get("/api/v1/tasks", headers={"Host": "evil.example"}))[:2] == (400, "bad_request")


def test_a_fault_of_ours_tells_its_number_and_no_more(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(tasks, "submit_task", fail)
    response = caller.submit(idempotency_key="k")
    status, code, document = refused(response)
    assert (status, code) == (500, "internal_error")
    assert "secret" not in response.content.decode() and document["request_id"] in caplog.text
    assert caller.text not in caplog.text


def test_a_database_that_is_away_is_said_with_when_to_come_back(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise OperationalError("connection to server at 10.0.0.1 failed: password=hunter2")

    monkeypatch.setattr(tasks, "submit_task", fail)
    response = caller.submit()
    assert refused(response)[:2] == (503, "not_stored")
    assert int(response["Retry-After"]) > 0 and "hunter2" not in response.content.decode()


def test_every_problem_has_a_page_where_its_type_leads(db: None) -> None:
    for code, kind in KINDS.items():
        page = Client().get("/api/problems/" + code.replace("_", "-"))
        assert page.status_code == 200 and kind.title in page.content.decode()
    assert Client().get("/api/problems/").status_code == 200
    assert Client().get("/api/problems/none").status_code == 404
