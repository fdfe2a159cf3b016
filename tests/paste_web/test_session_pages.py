"""The list of sessions and the page of one, as a browser without scripts gets them."""

import json
import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from speculation.models import Session
from tests.paste_web.stored_sessions import a_user, an_agent, append, store
from tests.speculation.written_log import WrittenLog, example

pytestmark = pytest.mark.django_db

EVERYTHING = ("add_session", "change_session", "view_payloads")


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(a_user("op1", *EVERYTHING))
    return client


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(a_user("eve"))
    return client


@pytest.mark.parametrize("path", ["/sessions/", "/sessions/form/", "/sessions/0198f3c2-0000-7000-8000-000000000000/"])
def test_every_page_asks_for_a_login(client, path):
    assert client.get(path).headers["Location"].startswith("/login/")


def test_an_empty_list_says_what_to_do(operator):
    assert "No session yet. Submit one below or connect an agent." in operator.get("/sessions/").content.decode()


def test_the_list_shows_each_session_with_its_figures(operator):
    store(example())
    text = operator.get("/sessions/").content.decode()
    assert "Refund the duplicate of order W2378156." in text
    assert "18.4 s" in text and "5.2 s" in text and "4.4 s" in text


def test_filters_narrow_the_list_and_can_be_removed(operator):
    store(example(), task="Refund it")
    store(example(), task="Find lead", agent=an_agent("research"))
    text = operator.get("/sessions/?agent=research&q=lead").content.decode()
    assert "Find lead" in text and "Refund it" not in text
    assert 'href="?q=lead"' in text and 'href="?agent=research"' in text
    assert "No session matches." in operator.get("/sessions/?q=nothing-like-it").content.decode()


@pytest.mark.parametrize("name", ["agent", "status", "arm", "q"])
@pytest.mark.parametrize("empty", ["%00", "%20"])
def test_a_filter_that_asks_for_nothing_has_no_chip(operator, name, empty):
    store(example())
    assert 'class="chip"' not in operator.get(f"/sessions/?{name}={empty}").content.decode()


@pytest.mark.parametrize("name", ["agent", "status", "arm", "q"])
@pytest.mark.parametrize("path", ["/sessions/", "/sessions/export.csv", "/sessions/form/"])
def test_a_filter_of_characters_that_no_text_may_hold_is_read_without_them(operator, path, name):
    store(example())
    assert operator.get(f"{path}?{name}=%00").status_code == 200


def test_a_session_is_found_by_the_end_of_its_id(operator):
    session = store(example(), task="Refund it")
    store(example(), task="Another")
    text = operator.get(f"/sessions/?q={session.short_id}").content.decode()
    assert "Refund it" in text and "Another" not in text


def test_the_page_shows_the_figures_of_the_log(operator):
    text = operator.get(f"/sessions/{store(example()).pk}/").content.decode()
    for figure in ("5.2 s", "22 %", "23.6 s", "3 of 4", "miss 4.4 s"):
        assert figure in text
    assert "18.4 s with speculation, about 23.6 s without: 5.2 s saved." in text
    assert "get_order(W2378156)" in text
    assert "no source for query" in text


def test_the_chart_and_the_table_hold_the_same_runs(operator):
    text = operator.get(f"/sessions/{store(example()).pk}/").content.decode()
    figure = json.loads(re.search(r'<script id="figure" type="application/json">(.*?)</script>', text)[1])
    drawn = {custom[0] for trace in figure["data"] if trace["type"] == "bar" for custom in trace["customdata"] if custom[0]}
    listed = set(re.findall(r'<tr data-pick="([^"]+)">', text))
    assert drawn == listed == {"1.0", "2.0", "3.0", "3.1", "4.0", "g3", "g5"}


def test_without_permission_no_argument_leaves_the_server(viewer):
    session = store(example())
    for path in ("", "live/", "calls/1.0/", "calls/g3/"):
        text = viewer.get(f"/sessions/{session.pk}/{path}").content.decode()
        assert "u_4412" not in text and "W4435622" not in text and "pay_881" not in text


def test_without_permission_there_is_no_control_and_no_way_round_it(viewer):
    session = store(example())
    text = viewer.get(f"/sessions/{session.pk}/").content.decode()
    assert "Stop session" not in text and "Run again" not in text
    assert viewer.post(f"/sessions/{session.pk}/stop/").status_code == 403
    assert viewer.post(f"/sessions/{session.pk}/again/").status_code == 403
    assert viewer.post("/sessions/", {"agent": "support", "task": "x", "speculation": "auto"}).status_code == 403


def test_the_panel_says_in_a_sentence_what_became_of_a_call(operator):
    session = store(example())
    panel = operator.get(f"/sessions/{session.pk}/calls/1.0/").content.decode()
    assert "Used: asked with the same arguments 1.5 s after it had finished." in panel
    assert "u_4412" in panel
    assert "never asked for" in operator.get(f"/sessions/{session.pk}/calls/g5/").content.decode()
    assert operator.get(f"/sessions/{session.pk}/calls/no-such/").status_code == 404


def test_the_panel_says_that_a_whole_served_a_part_and_shows_what_was_asked_for(operator):
    log = example()
    asked = next(entry for entry in log if entry.kind == "call_asked" and entry.payload["call_id"] == "1.0")
    asked.payload["part_of"], asked.payload["arguments"] = asked.payload["arguments"], {"first_line": 77}
    panel = operator.get(f"/sessions/{store(log).pk}/calls/1.0/").content.decode()
    assert "Used: a guess had asked for the whole, and the part that the agent asked for was cut out." in panel
    assert "first_line&quot;: 77" in panel


def test_a_submitted_task_is_stored_and_shown(operator, monkeypatch):
    an_agent()
    answer = operator.post("/sessions/", {"agent": "support", "task": "Say hello.", "speculation": "on"})
    session = Session.objects.get()
    assert answer.headers["Location"] == f"/sessions/{session.pk}/"
    assert (session.task, session.arm) == ("Say hello.", "on")
    page = operator.get(f"/sessions/{session.pk}/").content.decode()
    assert f"Waiting for the first event of {session.short_id}" in page


def test_a_scripted_agent_offers_its_own_tasks_and_refuses_others(operator):
    an_agent("support", model_kind="scripted", script="support")
    form = operator.get("/sessions/").content.decode()
    assert "it can only do these tasks" in form
    answer = operator.post("/sessions/", {"agent": "support", "task": "Make coffee.", "speculation": "off"})
    text = answer.content.decode()
    assert answer.status_code == 422
    assert not Session.objects.exists()
    assert "Choose one of the agent" in text
    assert '<option value="off" selected>' in text


def test_a_refused_form_loses_nothing_typed(operator):
    an_agent()
    answer = operator.post("/sessions/", {"agent": "support", "task": "x" * 20_001, "speculation": "shadow"})
    assert answer.status_code == 422
    assert "x" * 20_001 in answer.content.decode()
    assert '<option value="shadow" selected>' in answer.content.decode()


def test_a_full_line_is_told_beside_the_field_with_the_time_to_come_back_and_loses_nothing_typed(operator, settings):
    settings.PASTE_MOST_QUEUED_SESSIONS_A_KEY = 1
    an_agent()
    operator.post("/sessions/", {"agent": "support", "task": "First.", "speculation": "auto"})
    answer = operator.post("/sessions/", {"agent": "support", "task": "Second.", "speculation": "shadow"})
    text = answer.content.decode()
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "300")
    error = "All 1 places for waiting sessions of this API key or user are taken. Try again in 300 s."
    assert f'<p class="error" id="id_task_error">{error}</p>' in text
    assert "Second.</textarea>" in text and '<option value="shadow" selected>' in text
    assert [session.task for session in Session.objects.all()] == ["First."]
    operator.post(f"/sessions/{Session.objects.get().pk}/again/", {"speculation": "off"})
    assert Session.objects.count() == 1, "running it again waits in the same line"


def test_each_user_of_the_pages_is_a_party_of_its_own(operator):
    an_agent()
    operator.post("/sessions/", {"agent": "support", "task": "Mine.", "speculation": "auto"})
    operator.force_login(a_user("op2", *EVERYTHING))
    operator.post("/sessions/", {"agent": "support", "task": "Another's.", "speculation": "auto"})
    assert Session.objects.values("party").distinct().count() == 2


def test_a_session_can_be_run_again_in_either_arm(operator):
    session = store(example())
    answer = operator.post(f"/sessions/{session.pk}/again/", {"speculation": "off"})
    again = Session.objects.exclude(pk=session.pk).get()
    assert answer.headers["Location"] == f"/sessions/{again.pk}/"
    assert (again.task, again.arm) == (session.task, "off")


def test_stopping_asks_a_running_session_to_end(operator):
    session = store(WrittenLog().started().add(0.1, "turn_started", turn=1, attempt=1))
    operator.post(f"/sessions/{session.pk}/stop/")
    session.refresh_from_db()
    assert session.cancel_requested_at is not None or session.has_ended


def test_polling_gives_what_the_page_lacks(operator):
    log = example()
    session = store(WrittenLog(log[:10]))
    page = operator.get(f"/sessions/{session.pk}/").content.decode()
    assert 'data-seq="10"' in page
    append(session, WrittenLog(log[10:]))
    message = operator.get(f"/sessions/{session.pk}/live/?after=10").json()
    assert (message["seq"], message["live"], message["over"]) == (len(log), False, True)
    assert re.findall(r'data-seq="(\d+)"', message["events"]) == [str(seq) for seq in range(11, len(log) + 1)]
    assert "5.2 s" in message["parts"]["facts"]


def test_a_session_from_before_a_pair_shows_what_the_pair_measured(operator):
    pair = store(example(arm="off"), arm="off")
    session = store(example(), pair=pair)
    assert "pair measured 18.4 s" in operator.get(f"/sessions/{session.pk}/").content.decode()


def test_a_page_allows_our_own_files_and_nothing_else(operator):
    policy = operator.get("/sessions/").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy


def test_markup_in_a_task_or_an_argument_stays_text(operator):
    log = WrittenLog().started().turn(1, 0, 1, "read").requested("1.0", "read", 1, 1, 2, arguments={"q": "<img src=x>"})
    session = store(log.ended(3), task="<script>alert(1)</script>")
    for path in ("/sessions/", f"/sessions/{session.pk}/", f"/sessions/{session.pk}/live/"):
        text = operator.get(path).content.decode()
        assert "<script>alert" not in text and "<img" not in text


def test_the_theme_is_remembered_and_leads_back(operator):
    answer = operator.post("/theme/", {"theme": "dark", "next": "/sessions/?q=a"})
    assert answer.headers["Location"] == "/sessions/?q=a"
    assert '<html lang="en" data-theme="dark">' in operator.get("/sessions/").content.decode()
    assert operator.post("/theme/", {"theme": "dark", "next": "//elsewhere.example/"}).headers["Location"] == "/"


def test_a_task_without_events_has_a_page(operator):
    session = Session.objects.create(agent=an_agent(), task="Wait")
    assert operator.get(f"/sessions/{session.pk}/").status_code == 200


def test_the_list_asks_as_often_for_ten_ended_sessions_as_for_one(operator):
    def queries() -> int:
        operator.get("/sessions/")  # reads the logs of those it has not seen yet
        with CaptureQueriesContext(connection) as captured:
            operator.get("/sessions/")
        return len(captured)

    store(example())
    one = queries()
    for _ in range(9):
        store(example())
    assert queries() == one


def test_a_time_that_cannot_be_read_narrows_nothing_and_no_chip_says_so(client: Client) -> None:
    client.force_login(a_user("eve"))
    text = client.get("/sessions/?since=yesterday&until=2026-11-24T14:05").content.decode()
    assert "yesterday" not in text.replace("since=yesterday", "") and "to: 2026-11-24T14:05" in text
    assert 'name="until" value="2026-11-24T14:05"' in text and 'name="since" value=""' in text
