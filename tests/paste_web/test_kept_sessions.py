"""What a process keeps of sessions it has read: nobody sees by it what is not his to see, and it never goes stale."""

import re

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from paste_web import session_view
from paste_web.session_view import SessionView
from speculation.models import Session
from tests.paste_web.stored_sessions import a_user, append, store
from tests.paste_web.test_redaction import PATHS, SECRET, body, secretive, store_secretive
from tests.speculation.written_log import WrittenLog, example

pytestmark = pytest.mark.django_db

HALF = 14
READ = re.compile(r'FROM "speculation_eventrecord" WHERE .*"seq" > (\d+)')


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(a_user("op1", "view_payloads"))
    return client


@pytest.fixture
def viewer() -> Client:
    client = Client()
    client.force_login(a_user("eve"))
    return client


def at(session: Session, path: str = "") -> str:
    return f"/sessions/{session.pk}/{path}"


def text_of(client: Client, session: Session, path: str = "") -> str:
    return client.get(at(session, path)).content.decode()


@pytest.mark.parametrize("is_over", [True, False])
def test_what_was_drawn_for_who_may_read_payloads_is_not_shown_to_who_may_not(operator, viewer, is_over):
    session = store_secretive() if is_over else store(WrittenLog(secretive()[:-1]))
    other = store(secretive(), arm="off")
    for path in PATHS:
        address = "/" + path.format(id=session.pk, other=other.pk)
        assert operator.get(address).status_code == 200
        assert SECRET not in body(viewer.get(address)), path
    for path in ("", "live/?look=range&after=1", "calls/1.0/", "calls/g2/"):
        assert SECRET not in text_of(viewer, session, path), path
        assert SECRET in text_of(operator, session, path), path


def test_a_permission_that_is_taken_away_counts_at_once(operator):
    session = store_secretive()
    assert SECRET in text_of(operator, session, "calls/1.0/")
    User.objects.get(username="op1").user_permissions.clear()
    assert SECRET not in text_of(operator, session, "calls/1.0/") + text_of(operator, session)


def test_a_session_that_runs_is_read_on_from_where_it_was_and_shows_what_is_new(operator):
    log = example()
    session = store(WrittenLog(log[:HALF]))
    assert "5.2 s" not in text_of(operator, session)
    append(session, WrittenLog(log[HALF : HALF + 4]))
    with CaptureQueriesContext(connection) as asked:
        panel = text_of(operator, session, "calls/1.0/")
    assert [int(found[1]) for one in asked if (found := READ.search(one["sql"]))] == [HALF]
    assert 'id="call-panel"' in panel
    append(session, WrittenLog(log[HALF + 4 :]))
    assert "5.2 s" in text_of(operator, session)
    assert "Joined" in text_of(operator, session, "calls/3.0/")


@pytest.mark.parametrize("is_over", [True, False])
def test_a_long_log_that_nobody_has_read_comes_after_its_page(operator, monkeypatch, is_over):
    monkeypatch.setattr(session_view, "READ_AT_ONCE", 10)
    log = example()
    session = store(log if is_over else WrittenLog(log[:HALF]))
    with CaptureQueriesContext(connection) as asked:
        page = text_of(operator, session)
    assert not any("speculation_eventrecord" in one["sql"] for one in asked)
    assert f"Reading {session.last_seq} entries" in page and "get_order(W2378156)" not in page
    told = operator.get(at(session, "live/?look=1")).json()
    assert "get_order(W2378156)" in told["parts"]["calls"] and told["figure"]["data"] and told["over"] is is_over
    assert "get_order(W2378156)" in text_of(operator, session)


def test_who_has_no_scripts_may_ask_for_a_long_log_first(operator, monkeypatch):
    monkeypatch.setattr(session_view, "READ_AT_ONCE", 10)
    session = store(example())
    assert '<a href="?whole=1">' in text_of(operator, session)
    assert "get_order(W2378156)" in text_of(operator, session, "?whole=1")


def test_an_entry_that_comes_after_the_end_is_shown(operator):
    session = store(example())
    assert "a late word" not in text_of(operator, session, "?tab=predictions")
    late = WrittenLog(example())
    late.add(30, "predicted", turn=5, candidates=[], abstained=[{"tool": "late_tool", "reason": "a late word"}])
    append(session, WrittenLog(late[len(example()) :]))
    assert "a late word" in text_of(operator, session, "?tab=predictions")


def test_two_who_read_a_running_session_at_once_do_not_share_a_story():
    log = example()
    session = store(WrittenLog(log[:HALF]))
    earlier = SessionView(session, show_payloads=True)
    earlier.read()
    earlier.leave()
    one, other = SessionView(session, show_payloads=True), SessionView(session, show_payloads=True)
    one.read()
    other.read()
    assert one.story is not other.story
    append(session, WrittenLog(log[HALF:]))
    other.read()
    assert (one.story.last_seq, other.story.last_seq) == (HALF, len(log))


def test_another_range_alone_brings_the_chart_and_what_has_grown_brings_everything(operator):
    session = store(example())
    message = operator.get(at(session, f"live/?look=range&from=2&to=6&after={session.last_seq}")).json()
    assert (message["type"], message["parts"], message["figure"]["view"]) == ("look", {}, [0, 8])
    message = operator.get(at(session, "live/?look=range&from=2&to=6&after=3")).json()
    assert "get_order(W2378156)" in message["parts"]["calls"] and "events" in message["parts"]


def test_a_watcher_that_looks_at_another_range_is_sent_the_chart_alone_until_the_log_grows():
    log = example()
    session = store(WrittenLog(log[:HALF]))
    view = SessionView(session, show_payloads=True)
    view.snapshot()
    sight = view.sight
    looked = view.look(sight.read({"from": "1", "to": "2"}))
    assert looked["parts"] == {} and looked["figure"]["view"]
    append(session, WrittenLog(log[HALF:]))
    looked = view.look(sight.read({"from": "1", "to": "3"}))
    assert looked["seq"] == len(log) and "5.2 s" in looked["parts"]["facts"] and "events" in looked["parts"]
    assert "events" in view.look(sight.read({"from": "1", "to": "3", "calls": "1"}))["parts"]
