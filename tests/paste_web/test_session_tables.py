"""Long sessions: tables in pages, the timeline in ranges, the log back to its beginning, and the panel of one call."""

import re
from typing import Any

import pytest
from django.test import Client

from paste_web.session_parts import PARTS
from paste_web.session_view import SessionView, touched
from speculation import queries
from speculation.models import Session, ToolJob, ToolRecord
from tests.paste_web.stored_sessions import a_user, append, store
from tests.speculation.written_log import WrittenLog, example

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(a_user("op1", "view_payloads"))
    return client


def pages_of(client, session, tab, **query):
    """The links under a table, by their words."""
    text = client.get(f"/sessions/{session.pk}/", {"tab": tab, **query}).content.decode()
    return dict(re.findall(rf'<a href="([^"]+)" data-page-of="{tab}">([^<]+)</a>', text))


def picks(client, session, **query):
    text = client.get(f"/sessions/{session.pk}/", query).content.decode()
    return re.findall(r'<tr data-pick="([^"]+)">', text)


def log_of(turns):
    log = WrittenLog().started()
    for number in range(1, turns + 1):
        log.turn(number, number, number + 0.5, "read").requested(
            f"{number}.0", "read", number + 0.5, number + 0.5, number + 1
        )
    return log


def test_the_calls_table_has_pages_that_hold_together_what_the_chart_holds(operator):
    session = store(log_of(120).ended(122))
    assert [len(picks(operator, session, calls=page)) for page in (1, 2, 3)] == [50, 50, 20]
    every = [pick for page in (1, 2, 3) for pick in picks(operator, session, calls=page)]
    assert every == [f"{number}.0" for number in range(1, 121)]
    drawn = set()
    for start in range(0, 122, 30):
        figure = operator.get(f"/sessions/{session.pk}/live/", {"look": 1, "from": start, "to": start + 30}).json()[
            "figure"
        ]
        assert figure["merged"] == 0
        drawn |= {custom[0] for trace in figure["data"] if trace["type"] == "bar" for custom in trace["customdata"]}
    assert drawn - {""} == set(every)


def test_a_page_of_a_table_leads_to_its_neighbours_and_keeps_range_and_selection(operator):
    session = store(log_of(220).ended(222))
    links = pages_of(operator, session, "calls", calls=3, **{"from": 2, "to": 6, "call": "7.0"})
    assert links == {
        f"?tab=calls&amp;from=2.00&amp;to=6.00&amp;call=7.0&amp;calls={page}": words
        for page, words in ((1, "First"), (2, "Previous"), (4, "Next"), (5, "Last"))
    }


def test_the_table_opens_where_the_selected_call_stands_and_at_the_end_of_what_runs(operator):
    ended, running = store(log_of(120).ended(122)), store(log_of(120))
    assert picks(operator, ended)[0] == "1.0"
    assert picks(operator, ended, call="77.0")[0] == "51.0"
    assert picks(operator, running)[0] == "101.0"
    assert picks(operator, ended, calls=99)[0] == "101.0"


def test_the_log_can_be_read_back_to_its_beginning(operator):
    session = store(log_of(60).ended(62))
    text = operator.get(f"/sessions/{session.pk}/?tab=events").content.decode()
    assert text.count("<tr data-seq=") == 300
    (earlier,) = pages_of(operator, session, "events")
    text = operator.get(f"/sessions/{session.pk}/{earlier.replace('&amp;', '&')}").content.decode()
    assert '<tr data-seq="1">' in text
    assert list(pages_of(operator, session, "events", before=100).values()) == ["Later", "Newest"]


@pytest.mark.parametrize(
    "query",
    ["from=x&to=y", "from=nan&to=inf", "from=9&to=1", "from=1e400&to=2", "calls=-1", "calls=999999999999", "turns=x", "before=0",
     "before=99999999999999", "call=%00&tab=%F0%9F%92%A9", "call=" + "x" * 5000, "calls=²", "look=1&from=3&to=3"],
)  # fmt: skip
def test_odd_addresses_still_show_the_session(operator, query):
    session = store(example())
    for path in ("", "live/"):
        assert operator.get(f"/sessions/{session.pk}/{path}?{query}").status_code == 200


def test_looking_elsewhere_brings_that_range_and_the_part_of_the_log(operator):
    session = store(example())
    message = operator.get(f"/sessions/{session.pk}/live/?look=1&from=2&to=6&before=10").json()
    assert (message["type"], message["figure"]["view"]) == ("look", [0, 8])
    assert re.findall(r'<tr data-seq="(\d+)"', message["parts"]["events"])[-1] == "10"
    assert "get_order(W2378156)" in message["parts"]["calls"]


def test_the_panel_tells_how_a_guess_came_about_and_links_to_the_decision(operator):
    tool = ToolRecord.objects.create(name="read")
    session = store(WrittenLog().started().turn(1, 0, 1))
    job = ToolJob.objects.create(session=session, tool=tool, fingerprint="f", effect="none", epoch=0, policy_version=3)
    rest = WrittenLog().started().turn(1, 0, 1)
    rest.add(
        1.05,
        "predicted",
        turn=1,
        abstained=[],
        candidates=[{"tool": "read", "arguments": {"id": 1}, "job": str(job.pk)}],
    )
    rest.add(1.05, "job_queued", job=str(job.pk), tool="read", arguments={"id": 1}, effect="none", speculative=True, epoch=0,
             probability=0.8, utility=1.5, sources={"id": "result(list).ids[0]"})  # fmt: skip
    rest.add(1.1, "job_started", job=str(job.pk), attempt=1).ends(str(job.pk), 2)
    rest.asks("2.0", 3, "read", str(job.pk), "used", {"id": 1}).returns("2.0", 3, "read", str(job.pk)).ended(4)
    append(session, WrittenLog(rest[6:]))
    panel = operator.get(f"/sessions/{session.pk}/calls/2.0/").content.decode()
    assert re.findall(r"</span> (Triggered|Predicted|Launched|Promoted)", panel) == [
        "Triggered",
        "Predicted",
        "Launched",
        "Promoted",
    ]
    assert "turn 1 ended" in panel and "worth 1.5 s when it was admitted" in panel
    assert "<code>result(list).ids[0]</code>" in panel
    assert '<a href="/tools/builtin/read/#history-title">version 3 of read</a>' in panel


@pytest.mark.slow
def test_a_session_of_five_thousand_calls_has_a_page_of_bounded_size(operator):
    log = WrittenLog().started()
    for number in range(1, 2501):
        start = number * 2.0
        log.turn(number, start, start + 1, "read", "list")
        log.requested(f"{number}.0", "read", start + 1, start + 1.1, start + 1.5, arguments={"id": number})
        log.requested(f"{number}.1", "list", start + 1, start + 1.1, start + 1.9, arguments={"id": number})
    session = store(log.ended(5004))
    unread, told = operator.get(f"/sessions/{session.pk}/"), operator.get(f"/sessions/{session.pk}/live/?look=1")
    assert len(unread.content) < 50_000 and len(told.content) < 500_000
    assert "1 to 50 of 5000" in told.json()["parts"]["calls"]
    page = operator.get(f"/sessions/{session.pk}/")
    assert len(page.content) < 500_000
    assert "1 to 50 of 5000" in page.content.decode()
    narrow = operator.get(f"/sessions/{session.pk}/live/?look=1&from=2000&to=2040").json()["figure"]
    assert narrow["merged"] == 0
    assert {bar[0] for trace in narrow["data"] if trace["type"] == "bar" for bar in trace["customdata"]} >= {
        "1000.0",
        "1019.1",
    }


def test_a_watcher_is_rendered_only_what_an_entry_may_have_changed() -> None:
    assert touched(["first_token"]) == ["facts", "strip"]
    assert touched(["predicted", "tool_named"]) == ["facts", "strip", "predictions"]
    assert touched(["job_started"]) == ["facts", "strip", "calls", "turns"]
    assert touched(["turn_started"]) == ["head", "facts", "strip", "calls", "turns"]
    assert touched([]) == []
    for kind in ("session_ended", "session_resumed", "something_new"):
        assert touched([kind]) == list(PARTS), "what is not known may change anything"


def news_of(watcher: SessionView) -> dict[str, Any] | None:
    return watcher.news(queries.events_after(watcher.session.pk, watcher.story.last_seq))


def whole_news(watcher: SessionView) -> dict[str, Any]:
    """Rows, and what they change."""
    news = news_of(watcher)
    assert news
    return {"parts": {}} | news | (watcher.drawing() or {})


@pytest.mark.parametrize("log", [example(), example("holdout"), log_of(3)], ids=["on", "holdout", "three turns"])
def test_after_each_single_entry_a_watcher_has_what_a_reader_who_comes_then_has(
    log: WrittenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No part was left out that the entry had changed."""
    now = log[-1].at
    monkeypatch.setattr(queries.timezone, "now", lambda: now)
    session = store(WrittenLog(log[:1]))
    watcher = SessionView(session, show_payloads=True)
    has = dict(watcher.snapshot()["parts"])
    for entry in log[1:]:
        append(session, WrittenLog([entry]))
        has |= whole_news(watcher)["parts"]
        reader = SessionView(Session.objects.get(pk=session.pk), show_payloads=True)
        assert has == reader.snapshot()["parts"], entry.kind


def test_news_are_rows_alone_and_owe_the_rest_until_a_drawing_and_the_end_is_told_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = example()
    now = log[-1].at
    monkeypatch.setattr(queries.timezone, "now", lambda: now)
    session = store(WrittenLog(log[:14]))
    watcher, reader = (SessionView(session, show_payloads=True) for _ in range(2))
    watcher.snapshot()
    append(session, WrittenLog(log[14:16]))
    told = news_of(watcher)
    assert told and told["seq"] == 16 and told["events"].count("<tr") == 2
    assert set(told) == {"type", "after", "seq", "now", "live", "events"}
    assert watcher.owes_drawing and news_of(watcher) is None
    drawn, at_once = watcher.drawing(), reader.snapshot()
    assert drawn and (drawn["after"], drawn["seq"], drawn["events"].strip()) == (16, 16, "")
    assert {name: at_once["parts"][name] for name in drawn["parts"]} == drawn["parts"]
    assert drawn["figure"]["data"] == at_once["figure"]["data"]
    assert not watcher.owes_drawing and watcher.drawing() is None
    append(session, WrittenLog(log[16:]))
    end = news_of(watcher)
    assert end and {"facts", "strip"} <= set(end["parts"]) and end["events"].count("<tr") == len(log) - 16
    assert not watcher.owes_drawing
