"""The audit's page: who may see it, how it narrows, one entry in full, and the export."""

import asyncio
import csv
import io
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import AsyncClient, Client

from paste_web import streamed
from paste_web.csv_answers import csv_answer
from speculation.models import AuditEntry
from tests.paste_web.every_address import body
from tests.paste_web.stored_sessions import a_user

pytestmark = pytest.mark.django_db

PAGE, EXPORT = "/audit/", "/audit/export.csv"


@pytest.fixture
def reader(client: Client) -> Client:
    user = a_user("eve")
    user.groups.add(Group.objects.get(name="viewer"))
    client.force_login(user)
    return client


def entry(what: str, **fields: Any) -> AuditEntry:
    return AuditEntry.objects.create(what=what, **{"who": "op1", **fields})


def text(client: Client, path: str = PAGE) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def exported(client: Client, query: str = "") -> list[list[str]]:
    answer = client.get(f"{EXPORT}?{query}")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="audit-')
    assert answer.headers["Cache-Control"] == "no-store"
    return list(csv.reader(io.StringIO(body(answer))))


def test_it_is_for_whoever_may_view_the_audit(client: Client) -> None:
    client.force_login(a_user("nobody"))
    assert {client.get(path).status_code for path in (PAGE, EXPORT)} == {403}
    assert 'href="/audit/"' not in client.get("/scheduler/").content.decode()
    client.force_login(a_user("reader", "view_auditentry"))
    assert {client.get(path).status_code for path in (PAGE, EXPORT)} == {200}
    assert 'href="/audit/"' in client.get("/scheduler/").content.decode()


def test_an_empty_audit_says_what_will_stand_in_it(reader: Client) -> None:
    page = text(reader)
    assert "Nothing yet. The first decision, pause, changed limit or key is entered here." in page
    assert "Export CSV" not in page
    assert "No entry matches." in text(reader, f"{PAGE}?text=x")


def test_entries_stand_newest_first_with_what_changed(reader: Client) -> None:
    first = entry("decided: builtin/get_order", before=None, after={"level": "canary", "canary_percent": 10})
    entry(
        "speculation paused: all speculation",
        who="op2",
        why="an incident",
        before={"paused": False},
        after={"paused": True},
    )
    page = text(reader)
    assert page.index("speculation paused") < page.index("decided: ")
    assert "2 entries, newest first." in page and "an incident" in page
    assert 'decided: <a href="/tools/builtin/get_order/">builtin/get_order</a>' in page
    assert f'<a href="?entry={first.pk}#entry">' in page and f'id="entry-{first.pk}"' in page


def test_filters_are_chips_that_can_be_removed(reader: Client) -> None:
    entry("decided: builtin/get_order")
    entry("key created: ci (paste_abc…)", who="op2")
    page = text(reader, f"{PAGE}?kind=key&who=op2&text=ci&page=1")
    assert "key created" in page and "builtin/get_order" not in page
    for rest in ("who=op2&amp;text=ci", "kind=key&amp;text=ci", "kind=key&amp;who=op2"):
        assert f'class="chip" href="?{rest}"' in page
    assert 'href="/audit/export.csv?kind=key&amp;who=op2&amp;text=ci"' in page


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("since=2026-13-40", "Enter a valid date."),
        ("since=2026-11-22&until=2026-11-21", "This day lies before the first one."),
        ("kind=nonsense", "Select a valid choice."),
        ("who=stranger&text=builtin", "Select a valid choice."),
        ("text=%00", "Null characters are not allowed."),
        (f"text={'x' * 201}", "at most 200 characters"),
    ],
)
def test_a_filter_that_cannot_be_is_told_and_narrows_nothing(reader: Client, query: str, told: str) -> None:
    entry("decided: builtin/get_order")
    page = text(reader, f"{PAGE}?{query}")
    assert told in page and "A filter was left out." in page and "builtin/get_order" in page
    back = reader.get(f"{EXPORT}?{query}")
    assert back.status_code == 302 and back.headers["Location"].startswith("/audit/?")


@pytest.mark.parametrize(
    "query", ["page=x", "page=-1", "page=99999999999999", "entry=x", "entry=" + "9" * 30, "entry=-1", "entry=%00"]
)
def test_odd_numbers_in_the_address_break_nothing(reader: Client, query: str) -> None:
    entry("decided: builtin/get_order")
    assert ("There is no entry" in text(reader, f"{PAGE}?{query}")) == query.startswith("entry")


def test_one_entry_is_shown_in_full_whatever_narrows_the_list(reader: Client) -> None:
    hidden = "safe\N{RIGHT-TO-LEFT OVERRIDE}name"
    chosen = entry(
        "definition changed: builtin/get_order", who="system", why="Registered with another definition than before.",
        before={"definition": {"name": "get_order", "description": "Reads."}},
        after={"definition": {"name": "get_order", "description": hidden}},
    )  # fmt: skip
    page = text(reader, f"{PAGE}?kind=key&entry={chosen.pk}")
    for said in ("definition.description", "Reads.", "safe⟨U+202E⟩name", "Unchanged: definition.name get_order."):
        assert said in page
    assert hidden not in page and 'href="?kind=key"' in page and "No entry matches." in page


def test_fifty_entries_stand_on_a_page(reader: Client) -> None:
    for number in range(51):
        entry(f"decided: builtin/t{number}")
    assert text(reader).count('id="entry-') == 50 and "page 1 of 2" in text(reader)
    assert text(reader, f"{PAGE}?page=2").count('id="entry-') == 1


def test_the_export_holds_what_the_filters_leave_and_no_formula(reader: Client) -> None:
    entry("decided: builtin/get_order", why='=HYPERLINK("http://elsewhere.example")', after={"level": "full"})
    entry("@SUM(A1): x", who="+op2", why="-1")
    head, newest, oldest = exported(reader)
    assert head == ["entry", "at", "kind", "who", "what", "why", "before", "after"]
    assert newest[2:6] == ["other", "'+op2", "'@SUM(A1): x", "'-1"]
    assert oldest[5:] == ['\'=HYPERLINK("http://elsewhere.example")', "", '{"level": "full"}']
    assert [row[4] for row in exported(reader, "kind=tool")[1:]] == ["decided: builtin/get_order"]


def test_an_export_leaves_an_asynchronous_server_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "PIECES_A_PART", 2)
    read: list[int] = []

    def rows() -> Any:
        for number in range(5):
            read.append(number)
            yield [number]

    async def parts() -> list[tuple[bytes, int]]:
        return [(part, len(read)) async for part in csv_answer("x.csv", ["n"], rows())]

    assert asyncio.run(parts()) == [(b"n\r\n0\r\n", 1), (b"1\r\n2\r\n", 3), (b"3\r\n4\r\n", 5)]


@pytest.mark.django_db(transaction=True)
def test_the_export_is_whole_on_an_asynchronous_server() -> None:
    for number in range(3):
        entry(f"decided: builtin/t{number}")
    user = a_user("reader", "view_auditentry")

    async def ask() -> bytes:
        client = AsyncClient()
        await client.aforce_login(user)
        answer = await client.get(EXPORT)
        return b"".join([part async for part in answer])

    assert asyncio.run(ask()).count(b"\r\n") == 4
