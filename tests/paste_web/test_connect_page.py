"""Connect: lines that work, keys that are shown once and refused once revoked, and the first call."""

import ast
import json
import re
import shlex
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session as BrowserSession
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from paste_web.mcp_snippets import mcp_snippets
from paste_web.snippets import curl_snippet, python_snippet
from speculation.access import CALL, READ, READ_ALL, WRITE, create_key, find_key, revoke_key
from speculation.agent.demo import AGENTS
from speculation.models import AgentProfile, ApiKey, AuditEntry, Session
from tests.paste_web.stored_sessions import a_user

pytestmark = pytest.mark.django_db

PAGE = "/connect/"
KEY = re.compile(r"paste_[\w-]{43}")
FORM = {"name": "ci", "scopes": [WRITE, READ], "days": ""}


@pytest.fixture
def admin(client: Client) -> Client:
    return as_role("admin")


def as_role(role: str, *permissions: str) -> Client:
    user = a_user(f"a {role}", *permissions)
    user.groups.set(Group.objects.filter(name=role))
    client = Client()
    client.force_login(user)
    return client


def text(client: Client, path: str = PAGE) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def made(answer: HttpResponse) -> str:
    """The key's text, out of the page that answered the form."""
    assert answer.status_code == 200
    return KEY.findall(answer.content.decode())[0]


def api(key: str, **options: Any) -> HttpResponse:
    return Client(headers={"Authorization": f"Bearer {key}"}).get("/api/v1/tasks", **options)


def test_a_key_is_shown_in_one_answer_and_nowhere_else(admin: Client, caplog: pytest.LogCaptureFixture) -> None:
    answer = admin.post(PAGE, FORM)
    key = made(answer)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "it is shown this one time" in answer.content.decode()
    assert find_key(key) is not None
    assert key not in text(admin) and ApiKey.objects.get().prefix in text(admin)
    stored = [ApiKey.objects.get().key_hash, *(repr(row) for row in AuditEntry.objects.values())]
    sessions = [repr(session.get_decoded()) for session in BrowserSession.objects.all()]
    cookies = [morsel.value for morsel in admin.cookies.values()]
    assert not any(key[12:] in place for place in [*stored, *sessions, *cookies, caplog.text, repr(answer.headers)])


def test_who_made_a_key_and_what_it_may_stand_in_the_audit(admin: Client) -> None:
    admin.post(PAGE, {**FORM, "days": "30"})
    entry, key = AuditEntry.objects.get(), ApiKey.objects.get()
    assert (entry.what, entry.who, entry.why) == (
        f"key created: ci ({key.prefix}…)",
        "a admin",
        "Made on the page Connect.",
    )
    assert entry.after == {"name": "ci", "prefix": key.prefix, "scopes": [READ, WRITE]}
    assert key.created_by.get_username() == "a admin"
    assert timedelta(days=29.9) < key.expires_at - timezone.now() < timedelta(days=30.1)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": " "}, "This field is required."),
        ({"name": "x" * 101}, "at most 100 characters"),
        ({"name": "two\u2028lines"}, "printable characters"),
        ({"name": "taken"}, "There is a valid key of this name."),
        ({"scopes": []}, "This field is required."),
        ({"scopes": ["tasks:everything"]}, "Select a valid choice."),
        ({"days": "0"}, "greater than or equal to 1"),
        ({"days": "99999999999"}, "less than or equal to 3650"),
        ({"days": "soon"}, "Enter a whole number."),
    ],
)
def test_a_form_that_cannot_be_is_told_and_loses_nothing(admin: Client, fields: dict[str, Any], told: str) -> None:
    create_key("taken", [READ], who="tester")
    answer = admin.post(PAGE, {**FORM, "scopes": [READ], **fields})
    page = answer.content.decode()
    assert answer.status_code == 422 and told in page and "No key was made." in page
    assert ApiKey.objects.count() == 1 and KEY.findall(page) == []
    assert f'value="{fields.get("days", "")}"' in page if fields.get("days") else 'value="tasks:read"' in page


def test_sending_the_form_again_makes_no_second_key(admin: Client) -> None:
    assert [admin.post(PAGE, FORM).status_code for _ in range(2)] == [200, 422]
    revoke_key(ApiKey.objects.get(), who="tester")
    assert admin.post(PAGE, FORM).status_code == 200


def test_a_key_reads_no_more_than_whoever_makes_it(admin: Client) -> None:
    modest = as_role("viewer", "add_apikey")
    assert READ_ALL not in text(modest).split('id="make-title"')[1]
    assert modest.post(PAGE, {**FORM, "scopes": [READ_ALL]}).status_code == 422
    assert READ_ALL in text(admin).split('id="make-title"')[1]
    assert admin.post(PAGE, {**FORM, "scopes": [READ_ALL]}).status_code == 200


def test_a_revoked_key_is_refused_by_the_next_request(admin: Client) -> None:
    key = made(admin.post(PAGE, FORM))
    assert api(key).status_code == 200
    path = f"/connect/keys/{ApiKey.objects.get().pk}/revoke/"
    assert "The API refuses it from now on" in admin.post(path, follow=True).content.decode()
    assert api(key).status_code == 401
    assert "was revoked before" in admin.post(path, follow=True).content.decode()
    assert AuditEntry.objects.filter(what__startswith="key revoked: ci").count() == 1
    assert "Revoke the key ci" not in text(admin) and "revoked</span>" in text(admin)
    assert admin.post("/connect/keys/999/revoke/").status_code == 404


@pytest.mark.parametrize("role", ["viewer", "operator", "approver"])
def test_others_see_the_keys_and_no_control(role: str) -> None:
    create_key("ci", [READ], who="tester")
    client = as_role(role)
    page = text(client)
    assert "Making and revoking keys is for the role admin" in page
    assert "ci" in page and 'action="/connect/' not in page
    assert client.post(PAGE, FORM).status_code == 403
    assert client.post(f"/connect/keys/{ApiKey.objects.get().pk}/revoke/").status_code == 403
    assert ApiKey.objects.get().revoked_at is None


def test_without_a_role_not_even_names_of_keys_are_seen(client: Client) -> None:
    key, _text = create_key("a name nobody sees", [READ], who="tester")
    client.force_login(a_user("nobody"))
    page = text(client)
    assert key.name not in page and "needs the permission view_apikey" in page and "curl -sS" in page
    assert client.get(f"/connect/keys/{key.pk}/first-call/").status_code == 403


def test_the_first_call_turns_the_panel_green(admin: Client) -> None:
    key = made(admin.post(PAGE, FORM))
    waiting = f"/connect/keys/{ApiKey.objects.get().pk}/first-call/"
    assert "Waiting for the first call" in text(admin) and f'hx-get="{waiting}"' in text(admin)
    assert admin.get(waiting).status_code == 204
    api(key)
    answer = admin.get(waiting)
    assert answer.status_code == 286 and "Connected" in answer.content.decode()
    assert (
        "Every valid key has made a call." in text(admin)
        and "hx-get" not in text(admin).split('id="first-call-title"')[1]
    )


def test_a_key_that_can_make_no_call_any_more_is_waited_for_no_longer(admin: Client) -> None:
    revoked, expired = (create_key(name, [READ], who="tester")[0] for name in ("a", "b"))
    revoke_key(revoked, who="tester")
    ApiKey.objects.filter(pk=expired.pk).update(expires_at=timezone.now())
    for key, state in ((revoked, "revoked"), (expired, "expired")):
        answer = admin.get(f"/connect/keys/{key.pk}/first-call/")
        assert answer.status_code == 286 and f"was {state} before its first call" in answer.content.decode()


def scripted() -> AgentProfile:
    return AgentProfile.objects.create(name="support", model_kind="scripted", script="support", mode="on")


def test_the_lines_for_curl_submit_a_task_that_is_taken(admin: Client) -> None:
    scripted()
    key = made(admin.post(PAGE, FORM))
    shown = text(admin).split('<pre id="curl"')[1].split(">", 1)[1].split("</pre>")[0]
    words = shlex.split(unescaped(shown).replace("\\\n", " "))
    assert words[:3] == ["curl", "-sS", "http://testserver/api/v1/tasks"]
    assert "Authorization: Bearer $PASTE_API_KEY" in words
    sent = words[words.index("-d") + 1]
    answer = Client(headers={"Authorization": f"Bearer {key}"}).post(
        "/api/v1/tasks", sent, content_type="application/json"
    )
    assert answer.status_code == 202
    assert Session.objects.get().task == AGENTS["support"].tasks[0]


def unescaped(html: str) -> str:
    for entity, character in (("&quot;", '"'), ("&#x27;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        html = html.replace(entity, character)
    return html


@pytest.mark.parametrize("task", ['It\'s $HOME `x` \\ "quoted"', "två {rader}\nhier"])
def test_any_task_survives_the_shell_and_python(task: str) -> None:
    words = shlex.split(curl_snippet("http://h/api/v1/", "a", task).replace("\\\n  -", " -"))
    assert json.loads(words[-1]) == {"agent": "a", "task": task}
    code = ast.parse(python_snippet("http://h/api/v1/", "a", task))
    literals = [
        ast.literal_eval(node)
        for node in ast.walk(code)
        if isinstance(node, ast.Dict) and ast.unparse(node).startswith("{'agent'")
    ]
    assert literals == [{"agent": "a", "task": task}]


@pytest.mark.parametrize("query", ["agent=support", "agent=", "agent=nobody", "agent=%00", "page=x"])
def test_the_agent_of_the_lines_is_chosen_and_odd_ones_break_nothing(admin: Client, query: str) -> None:
    scripted()
    AgentProfile.objects.create(name="coding", model_kind="openai")
    page = unescaped(text(admin, f"{PAGE}?{query}"))
    assert f'{{"agent": "{"support" if query == "agent=support" else "coding"}", "task": ' in page
    assert "No agent is set up as one that runs elsewhere" in page


def test_the_lines_for_mcp_name_the_chosen_agent_and_no_key(admin: Client) -> None:
    for name in ("desk", "kiosk"):
        AgentProfile.objects.create(name=name, model_kind="remote")
    for query, name in (("", "desk"), ("?remote=kiosk", "kiosk"), ("?remote=nobody", "desk"), ("?remote=%00", "desk")):
        page = unescaped(text(admin, f"{PAGE}{query}"))
        assert f"<pre id=\"mcp-url\" tabindex=\"0\" role=\"group\" aria-label=\"The endpoint of {name}\">http://testserver/mcp/{name}</pre>" in page
        assert f"claude mcp add --transport http paste http://testserver/mcp/{name}" in page
        assert "tools:call" in page and KEY.findall(page) == []
    assert "has no tools yet" in page and "There is no agent yet, so a task is refused." in page


def test_a_key_that_only_calls_is_tried_at_the_mcp_endpoint(admin: Client) -> None:
    AgentProfile.objects.create(name="desk", model_kind="remote")
    admin.post(PAGE, {**FORM, "scopes": [CALL]})
    page = unescaped(text(admin))
    lines = page.split('id="test-call"')[1].split("</pre>")[0].partition(">")[2]
    words = shlex.split(lines.replace("\\\n", " "))
    assert "http://testserver/mcp/desk" in words and json.loads(words[-1])["method"] == "tools/list"
    assert "It lists the tools that desk may call" in page


def test_the_lines_for_mcp_are_code_that_can_be_read() -> None:
    lines = {one.slug: one.text for one in mcp_snippets("https://h/mcp/desk")}
    words = shlex.split(lines["claude-code"].replace("\\\n", " "))
    assert words[-1] == "Authorization: Bearer $PASTE_API_KEY" and "https://h/mcp/desk" in words
    for slug, variable in (("mcp-json", "${PASTE_API_KEY}"), ("cursor", "${env:PASTE_API_KEY}")):
        entry = json.loads(lines[slug])["mcpServers"]["paste"]
        assert entry == {"type": "http", "url": "https://h/mcp/desk", "headers": {"Authorization": f"Bearer {variable}"}}
    for slug in ("sdk", "openai-agents", "langchain"):
        code = compile(lines[slug], slug, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
        assert any(isinstance(node, ast.Constant) and node.value == "https://h/mcp/desk" for node in ast.walk(code))


def test_without_an_agent_the_page_says_so(admin: Client) -> None:
    page = text(admin)
    assert "There is no agent yet, so a task is refused." in page and "No key yet, so the API answers nobody." in page
