"""What holds for every address there is: a viewer changes nothing, nobody sees anything, no form of another site counts."""

import re
from collections.abc import Iterator

import pytest
from asgiref.sync import async_to_sync
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import Group, User
from django.http import HttpResponse
from django.test import Client

from paste_web.asgi import application
from paste_web.live import websocket_urlpatterns
from speculation.models import AuditEntry, Session
from tests.paste_web.every_address import SECRET, Address, a_house, body, every_address, filled
from tests.paste_web.stored_sessions import a_user

pytestmark = pytest.mark.django_db

ONES_OWN = {"login", "logout", "theme", "admin:login", "admin:logout"}
"""Signing in and out and one's own theme: for everybody."""
PUBLIC = {"login", "healthz", "readyz", "api-docs", "api-problems", "api-problem"}
"""Read without a login; nothing of the installation is in them."""
ADMINS_PAGES = {"admin:index", "admin:speculation_auditentry_changelist", "admin:speculation_workerpool_change"}
A_CHANGE = {"what": "all", "why": "x", "on": "0", "agent": "support", "task": "Refund it.", "speculation": "off"}
FORM = re.compile(r"<form\b[^>]*>", re.IGNORECASE)


@pytest.fixture
def addresses(db: None) -> list[Address]:
    return every_address(a_house())


@pytest.fixture
def viewer(addresses: list[Address]) -> Client:
    client = Client(raise_request_exception=False)
    user = a_user("eve")
    user.groups.add(Group.objects.get(name="viewer"))
    client.force_login(user)
    return client


def chief(**options: bool) -> Client:
    client = Client(raise_request_exception=False, **options)
    client.force_login(User.objects.create_superuser("chief"))
    return client


def pages(addresses: list[Address]) -> list[Address]:
    return [one for one in addresses if not (one.is_of_the_admin or one.is_of_the_api or one.name in ONES_OWN | PUBLIC)]


def changing_forms(text: str) -> Iterator[str]:
    """Forms and attributes that send a change to anywhere but the theme and the way out."""
    for form in FORM.findall(text):
        if 'method="post"' in form.lower() and not re.search(r'action="/(theme|logout)/"', form):
            yield form
    yield from re.findall(r"\bhx-(?:post|put|patch|delete)=\S+", text)


def test_the_walk_finds_the_addresses_that_are_there(addresses: list[Address]) -> None:
    names = {one.name for one in addresses}
    assert {
        "sessions",
        "session-stop",
        "tool",
        "pause",
        "audit-export",
        "connect",
        "key-revoke",
        "admin:index",
    } <= names
    assert {one.path for one in addresses if one.name == "tool"} == {"/tools/builtin/get_order/"}
    assert len(pages(addresses)) > 20 and any(one.is_of_the_api for one in addresses)


def test_a_viewer_is_refused_whatever_changes_something(addresses: list[Address], viewer: Client) -> None:
    audited, sessions = AuditEntry.objects.count(), Session.objects.count()
    answers = {one.path: viewer.post(one.path, A_CHANGE).status_code for one in pages(addresses)}
    assert {path: status for path, status in answers.items() if status not in (403, 405)} == {}
    assert list(answers.values()).count(403) >= 10
    of_the_admin = [one for one in addresses if one.is_of_the_admin and one.name not in ONES_OWN]
    led = {viewer.post(one.path, A_CHANGE).headers.get("Location", "")[:13] for one in of_the_admin}
    assert led == {"/admin/login/"} and len(of_the_admin) > 50
    of_the_api = [one for one in addresses if one.is_of_the_api and one.name == "api-1:submit"]
    assert of_the_api and {viewer.post(one.path, A_CHANGE).status_code for one in of_the_api} == {401}
    assert (AuditEntry.objects.count(), Session.objects.count()) == (audited, sessions)


def test_a_viewer_sees_no_control_and_no_payload(addresses: list[Address], viewer: Client) -> None:
    shown = {one.path: viewer.get(one.path) for one in pages(addresses)}
    assert {path: answer.status_code for path, answer in shown.items() if answer.status_code >= 500} == {}
    texts = {path: body(answer) for path, answer in shown.items() if answer.status_code == 200}
    assert {path: list(changing_forms(text)) for path, text in texts.items() if any(changing_forms(text))} == {}
    assert [path for path, text in texts.items() if SECRET in text] == []
    assert len(texts) > 10


def test_whoever_may_sees_controls_and_payloads_at_the_same_addresses(addresses: list[Address]) -> None:
    client = chief()
    texts = {one.path: body(client.get(one.path)) for one in pages(addresses)}
    assert len([path for path, text in texts.items() if any(changing_forms(text))]) >= 6
    assert len([path for path, text in texts.items() if SECRET in text]) >= 2


def test_nobody_is_sent_to_the_login(addresses: list[Address], client: Client) -> None:
    def is_turned_away(answer: HttpResponse) -> bool:
        return answer.status_code in (403, 405) or answer.headers.get("Location", "").startswith("/login/")

    looked = {one.path: client.get(one.path) for one in pages(addresses)}
    assert {path: answer.status_code for path, answer in looked.items() if not is_turned_away(answer)} == {}
    assert [path for path, answer in looked.items() if answer.status_code == 403] == []
    sent = {one.path: client.post(one.path, A_CHANGE) for one in pages(addresses)}
    assert {path: answer.status_code for path, answer in sent.items() if not is_turned_away(answer)} == {}
    without_key = [client.get(one.path).status_code for one in addresses if one.name == "api-1:list_tasks"]
    assert without_key == [401]


def test_a_form_of_another_site_is_refused_everywhere(addresses: list[Address]) -> None:
    client, audited = chief(enforce_csrf_checks=True), AuditEntry.objects.count()
    from_elsewhere = {"Origin": "http://elsewhere.example"}
    ours = [one for one in addresses if not one.is_of_the_api]
    answers = {one.path: client.post(one.path, A_CHANGE, headers=from_elsewhere) for one in ours}
    assert {path: answer.status_code for path, answer in answers.items() if answer.status_code != 403} == {}
    assert {"Not sent from here" in body(answer) for answer in answers.values()} == {True}
    assert AuditEntry.objects.count() == audited
    api = next(one for one in addresses if one.name == "api-1:submit")
    assert client.post(api.path, "{}", content_type="application/json").status_code == 401, "a login is no key"


def test_no_page_is_framed_and_each_says_what_it_may_load(addresses: list[Address]) -> None:
    client = chief()
    ours = [*pages(addresses), *(one for one in addresses if one.name in PUBLIC - {"readyz"})]
    answers = {one.path: client.get(one.path) for one in ours}
    for answer in answers.values():
        policy = answer.headers["Content-Security-Policy"]
        assert "script-src 'self';" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert {answer.headers["X-Frame-Options"] for answer in answers.values()} == {"DENY"}
    assert {answer.headers["X-Content-Type-Options"] for answer in answers.values()} == {"nosniff"}
    for one in (one for one in addresses if one.name in ADMINS_PAGES):
        headers = client.get(one.path).headers
        policy = headers["Content-Security-Policy"]
        assert "'unsafe-eval'" in policy and "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert headers["X-Frame-Options"] == "DENY"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("broker_url")
@pytest.mark.parametrize(
    ("origin", "is_signed_in", "opens"),
    [
        (b"http://localhost", True, True),
        (b"http://localhost", False, False),
        (b"http://elsewhere.example", True, False),
    ],
)
def test_a_socket_opens_for_our_own_pages_of_someone_who_signed_in(
    client: Client, origin: bytes, is_signed_in: bool, opens: bool
) -> None:
    arguments, cookie = a_house(), b""
    if is_signed_in:
        client.force_login(a_user("op1"))
        cookie = f"sessionid={client.cookies['sessionid'].value}".encode()

    async def knock(path: str) -> bool:
        headers = [(b"origin", origin), (b"host", b"localhost"), (b"cookie", cookie)]
        socket = WebsocketCommunicator(application, path, headers=headers)
        connected, _ = await socket.connect(timeout=5)
        if connected:
            await socket.disconnect()
        return bool(connected)

    paths = [f"/{filled(str(one.pattern), arguments)}" for one in websocket_urlpatterns]
    assert len(paths) >= 2 and {path: async_to_sync(knock)(path) for path in paths} == dict.fromkeys(paths, opens)
