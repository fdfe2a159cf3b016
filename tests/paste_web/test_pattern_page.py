"""One pattern: its mapping as arrows, its runs, its staleness; edited with a dry run, versioned, brought back."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from speculation.history import store as store_trace
from speculation.learning import mine, record_key
from speculation.models import (
    AgentProfile,
    AuditEntry,
    EventRecord,
    PatternEdit,
    PatternRecord,
    ToolJob,
    ToolRecord,
    WorkerPool,
)
from speculation.pattern_edits import Author, edit
from speculation.recorded_agents import give_tools
from tests.paste_web.stored_sessions import a_user, an_agent, store
from tests.paste_web.test_patterns_page import learn, main_of
from tests.speculation.test_learning import NOW, run
from tests.speculation.test_pattern_trial import CONTEXT, EFFECTS
from tests.speculation.written_log import example

pytestmark = pytest.mark.django_db
SEVEN = '{"order_id": [["= 7", 9, 9]]}'


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(a_user("eve", "view_payloads"))
    return client


@pytest.fixture
def editor(client: Client) -> Client:
    client.force_login(a_user("op1", "change_patternrecord", "view_payloads"))
    return client


def page(client: Client, pattern: PatternRecord, query: str = "") -> str:
    return client.get(f"/patterns/{pattern.pk}/{query}").content.decode()


def form(**fields: object) -> dict[str, object]:
    return {
        "enabled": "on",
        "probability_override": "",
        "mapping_override": "",
        "why": "",
        "sessions": "5",
        "number": "0",
        **fields,
    }


def ran(pattern: PatternRecord, number: int, *, asked: bool, days_ago: int = 0) -> ToolJob:
    tool = ToolRecord.objects.get_or_create(name="get_order")[0]
    session = store(example(), agent=pattern.agent)
    started = timezone.now() - timedelta(days=days_ago)
    return ToolJob.objects.create(
        session=session, tool=tool, pool=WorkerPool.objects.get_or_create(name="tools")[0], effect="none", epoch=0,
        fingerprint=str(number), status="succeeded" if asked else "discarded", call_id="2.0" if asked else None, pattern=pattern,
        arguments={"order_id": "W2378156"}, started_at=started, ended_at=started,
    )  # fmt: skip


def test_the_mapping_is_drawn_as_arrows_with_its_statistics(viewer: Client) -> None:
    text = page(viewer, learn(mapping={"order_id": [["result(get_user).orders[0]", 12, 14]], "*": [["again 0", 1, 8]]}))
    assert "<code>result(get_user).orders[0]</code>" in text and "12 of 14" in text and "<code>order_id</code>" in text
    assert 'marker-end="url(#flow-tip)"' in text and "its latest call once more" in text
    assert "3 of 4 runs asked for, 30 % to 95 %" in text and "what was mined stands" in text


def test_values_that_were_mined_out_of_sessions_show_only_to_who_may_read_payloads(viewer: Client, editor: Client) -> None:
    """A constant and the ends of a composition are pieces of arguments and results."""
    mapping = {"order_id": [["= \"SECRET-1\"", 3, 4]], "note": [['"SECRET-2 " + user + " SECRET \\"3\\""', 3, 4]]}
    pattern = learn(mapping=mapping)
    edit(pattern, Author("op2"), mapping_override={"order_id": [["= \"SECRET-4\"", 9, 9]]})
    other = learn(2, context=[], mapping=mapping)
    eve = Client()
    eve.force_login(a_user("eve2"))
    for text in (page(eve, pattern), page(eve, other), eve.get("/patterns/").content.decode()):
        assert "SECRET" not in text
    assert "= …" in page(eve, other) and "SECRET-1" in page(editor, other) and "SECRET-4" in page(editor, pattern)


def test_a_context_tells_whose_mapping_holds_there(viewer: Client) -> None:
    base = learn(1, context=[])
    longer = learn(2, mapping={"*": [["again 0", 1, 8]]})
    text = page(viewer, longer)
    assert f'Learned once for each tool, in <a href="/patterns/{base.pk}/">' in text
    assert "<code>result(get_user).orders[0]</code>" in text
    edit(learn(3, context=["get_user:ok"]), Author("op2"), mapping_override=json.loads(SEVEN))
    text = page(viewer, longer)
    assert (
        "As op2 set it for" in text
        and "<code>= 7</code>" in text
        and "orders[0]</code>" not in text.partition("How to read")[0]
    )


def test_its_runs_are_linked_and_counted_by_day(viewer: Client, client: Client) -> None:
    pattern = learn()
    hit, miss = ran(pattern, 1, asked=True, days_ago=2), ran(pattern, 2, asked=False)
    ran(pattern, 3, asked=True, days_ago=60)
    client.force_login(a_user("mallory"))
    text = page(client, pattern)
    assert (
        f'href="/sessions/{hit.session_id}/?call=2.0"' in text
        and f'href="/sessions/{miss.session_id}/?call={miss.pk}"' in text
    )
    assert "get_order(…)" in text and "W2378156" not in text, "arguments need view_payloads"
    assert "In 30 days 1 of its runs were asked for and 1 were not." in text
    client.force_login(a_user("reader", "view_payloads"))
    assert "get_order(W2378156)" in page(client, pattern)


def test_a_pattern_that_ran_nothing_shows_what_logs_say_it_foresaw(viewer: Client) -> None:
    pattern = learn()
    session = store(example(), agent=pattern.agent)
    candidate = {"tool": "get_order", "arguments": {}, "pattern": str(pattern), "verdict": "not approved", "job": None}
    EventRecord.objects.create(
        session=session,
        seq=900,
        kind="predicted",
        at=timezone.now(),
        payload={"turn": 3, "candidates": [candidate], "abstained": []},
    )
    text = page(viewer, pattern)
    assert "foreseen, not run: not approved, turn 3" in text and f"/sessions/{session.pk}/?tab=predictions" in text


def test_the_stale_score_is_told_with_all_its_parts(viewer: Client) -> None:
    pattern = learn(context=[], mapping={"id": [["= 1", 1, 1]]}, hits=0.5, misses=20.0, hits_ever=60, runs_ever=80)
    tool = ToolRecord.objects.create(name="get_order", definition={"parameters": {"properties": {"order_id": {}}}})
    pattern.agent.tools.add(tool)
    text = page(viewer, pattern)
    assert "it has no argument id." in text and "Lately 2 % of its runs were asked for" in text
    assert "Never promoted." in text and "definition changed on" in text


def test_an_edit_is_stored_as_a_version_and_brought_back_by_one_press(editor: Client) -> None:
    pattern = learn()
    answer = editor.post(
        f"/patterns/{pattern.pk}/",
        form(probability_override="0.25", mapping_override=SEVEN, why="old orders"),
        follow=True,
    )
    assert "Stored as version 1. Sessions heed it within a second." in answer.content.decode()
    pattern.refresh_from_db()
    assert (pattern.probability_override, pattern.mapping_override) == (0.25, json.loads(SEVEN))
    text = page(editor, pattern)
    assert "probability as mined → 0.25" in text and "old orders" in text
    assert editor.post(f"/patterns/{pattern.pk}/", form(number="1")).status_code == 302
    answer = editor.post(f"/patterns/{pattern.pk}/revert/", {"to": "1", "number": "2"}, follow=True)
    assert "Stored as version 3: back to version 1." in answer.content.decode()
    pattern.refresh_from_db()
    assert pattern.probability_override == 0.25
    assert AuditEntry.objects.first().what == "pattern record reverted to version 1: user > get_user:ok => get_order"


def test_an_edit_of_an_outdated_page_is_refused_and_keeps_what_was_typed(editor: Client) -> None:
    pattern = learn()
    edit(pattern, Author("op2"), enabled=False)
    answer = editor.post(f"/patterns/{pattern.pk}/", form(probability_override="0.25", why="typed reason"))
    text = answer.content.decode()
    assert answer.status_code == 409 and "Version 1 by op2: enabled from on to off" in text
    assert 'value="0.25"' in text and 'value="typed reason"' in text and 'name="number" value="1"' in text
    assert PatternEdit.objects.count() == 1
    answer = editor.post(f"/patterns/{pattern.pk}/revert/", {"to": "0", "number": "0"}, follow=True)
    assert "edited since you read it" in answer.content.decode() and PatternEdit.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"probability_override": "1.5"}, "less than or equal to 1"),
        ({"probability_override": "nan"}, "Enter a number"),
        ({"mapping_override": "{"}, "Enter a valid JSON"),
        ({"mapping_override": "[]"}, "A mapping is an object"),
        ({"mapping_override": '{"id": [["nonsense", 1, 1]]}'}, "a place such as"),
        ({"mapping_override": '{"id": [["= \\"\\\\u0000\\"", 1, 1]]}'}, "cannot be stored"),
        ({"number": "x"}, "Nothing was stored"),
        ({"sessions": "1000000"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_is_refused_beside_the_field_and_stays_typed(
    editor: Client, fields: dict[str, str], error: str
) -> None:
    pattern = learn()
    for button in ({}, {"try": "1"}):
        answer = editor.post(f"/patterns/{pattern.pk}/", form(why="kept", **fields, **button))
        assert (
            answer.status_code == 422 and error in answer.content.decode() and 'value="kept"' in answer.content.decode()
        )
    assert not PatternEdit.objects.exists()


def test_an_edit_is_tried_on_the_last_sessions_before_it_is_stored(editor: Client) -> None:
    agent = AgentProfile.objects.create(name="shopper", model_kind="recorded")
    give_tools(agent, "shop", ["get_user", "get_order"], EFFECTS)
    for number in range(6):
        store_trace(agent, run(f"user{number}", f"#W{number}99"), now=NOW)
    mine(agent)
    pattern = PatternRecord.objects.get(key=record_key(CONTEXT))
    answer = editor.post(f"/patterns/{pattern.pk}/", form(enabled="", **{"try": "1"}))
    text = answer.content.decode()
    assert (
        answer.status_code == 200 and "Tried, not stored" in text and "no longer run" in text and "get_order(#W" in text
    )
    assert not PatternEdit.objects.exists() and not AuditEntry.objects.exists()
    assert PatternRecord.objects.get(pk=pattern.pk).enabled
    assert 'name="enabled" id="id_enabled"' in text.replace('aria-describedby="id_enabled_helptext" ', "")
    same = editor.post(f"/patterns/{pattern.pk}/", form(**{"try": "1"})).content.decode()
    assert "No guess that would run changes in these 5 sessions." in same


def test_a_trial_without_sessions_or_tools_says_so(editor: Client) -> None:
    pattern = learn()
    assert "nothing to try it on" in editor.post(f"/patterns/{pattern.pk}/", form(**{"try": "1"})).content.decode()
    an_agent().tools.add(ToolRecord.objects.create(name="gone"))
    answer = editor.post(f"/patterns/{pattern.pk}/", form(**{"try": "1"}))
    assert answer.status_code == 422 and "It cannot be tried" in answer.content.decode()


def test_the_mapping_that_holds_can_be_filled_in_to_start_from(editor: Client) -> None:
    text = page(editor, learn(), "?fill=mapping")
    assert "[&quot;result(get_user).orders[0]&quot;, 12, 14]," in text


def test_a_viewer_sees_no_control_and_may_change_nothing(viewer: Client) -> None:
    pattern = learn()
    edit(pattern, Author("op2"), enabled=False)
    text = page(viewer, pattern)
    main = main_of(text)
    assert "<form" not in main and "needs the permission change_patternrecord" in main
    assert viewer.post(f"/patterns/{pattern.pk}/", form()).status_code == 403
    assert viewer.post(f"/patterns/{pattern.pk}/revert/", {"to": "0", "number": "1"}).status_code == 403
    assert PatternEdit.objects.count() == 1


def test_odd_addresses_are_not_found_and_odd_queries_answer(viewer: Client, client: Client) -> None:
    pattern = learn()
    for number in ("999999", "9" * 40):
        assert viewer.get(f"/patterns/{number}/").status_code == 404
    assert viewer.get(f"/patterns/{pattern.pk}/?fill=%00&x=%ff").status_code == 200
    client.force_login(a_user("op1", "change_patternrecord"))
    assert client.post(f"/patterns/{pattern.pk}/revert/", {"to": "x"}).status_code == 302
    assert client.get(f"/patterns/{pattern.pk}/revert/").status_code == 405
