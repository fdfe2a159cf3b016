"""Patterns: what was learned, readable, filtered, sorted; many switched at once by whoever may."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from speculation.models import AuditEntry, PatternEdit, PatternRecord, ToolRecord
from tests.paste_web.stored_sessions import a_user, an_agent

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(a_user("eve", "view_payloads"))
    return client


@pytest.fixture
def editor(client: Client) -> Client:
    client.force_login(a_user("op1", "change_patternrecord"))
    return client


def learn(number: int = 0, **fields: object) -> PatternRecord:
    return PatternRecord.objects.create(**{
        "agent": an_agent(), "key": f"k{number}", "context": ["user", "get_user:ok"], "tool": "get_order",
        "mapping": {"order_id": [["result(get_user).orders[0]", 12, 14], ["= 1", 2, 14]]},
        "support": 14.0 + number, "probability": 0.66, "hits": 3.0, "misses": 1.0, "hits_ever": 3, "runs_ever": 4, **fields,
    })  # fmt: skip


def stale(number: int, **fields: object) -> PatternRecord:
    return learn(number, **{"hits": 0.5, "misses": 12.0, "hits_ever": 60, "runs_ever": 80, **fields})


def main_of(page: str) -> str:
    return page[page.index("<main") : page.index("</main>")]


def keys(client: Client, query: str = "") -> list[str]:
    return [row.record.key for row in client.get(f"/patterns/?{query}").context["rows"]]


def test_nothing_learned_says_what_to_do(viewer: Client) -> None:
    page = viewer.get("/patterns/").content.decode()
    assert "Patterns need about 3 sessions of an agent; or import traces." in page
    assert "<form" not in main_of(page), "nothing to filter, nothing to switch"


def test_a_pattern_reads_from_left_to_right(viewer: Client) -> None:
    learn()
    page = viewer.get("/patterns/").content.decode()
    assert "user › get_user:ok → get_order" in page
    assert "<code>result(get_user).orders[0]</code> → <code>order_id</code>" in page and "12 of 14, 1 more" in page
    assert "75 %" in page and "3 of 4" in page and "30 % to 95 %" in page


def test_a_pattern_that_was_never_tried_has_no_precision(viewer: Client) -> None:
    learn(hits=0.0, misses=0.0, hits_ever=0, runs_ever=0, tool="", context=[], mapping={})
    page = viewer.get("/patterns/").content.decode()
    assert "any start → the answer" in page and "0 of 0" not in page


def test_an_operators_word_shows_with_its_author(viewer: Client) -> None:
    learn(1, enabled=False, overridden_by="op1")
    learn(2, context=["user"], mapping_override={"order_id": [["= 7", 1, 1]]}, probability_override=0.1, overridden_by="op2")
    page = viewer.get("/patterns/").content.decode()
    assert "Off by op1" in page and "Changed by op2" in page and "<code>= 7</code>" in page
    assert "0.10" in page and "mined 0.66" in page


def test_fifty_a_page_in_the_chosen_order_both_ways(viewer: Client) -> None:
    for number in range(60):
        learn(number, probability=number / 100)
    first = viewer.get("/patterns/", {"by": "probability"})
    second = viewer.get("/patterns/", {"by": "probability", "page": 2}).context["rows"]
    assert [row.record.probability for row in first.context["rows"]] == [number / 100 for number in range(59, 9, -1)]
    assert len(second) == 10 and "60 patterns." in first.content.decode()
    assert 'aria-sort="descending"><a href="?by=probability&amp;up=1">Probability' in first.content.decode()
    rising = viewer.get("/patterns/", {"by": "probability", "up": "1"})
    assert rising.context["rows"][0].record.probability == 0.0 and 'aria-sort="ascending"' in rising.content.decode()


def test_every_column_sorts(viewer: Client) -> None:
    learn(1, hits_ever=1, runs_ever=4, last_promoted_at=datetime(2026, 1, 2, tzinfo=UTC))
    learn(2, context=["user"], hits_ever=3, runs_ever=9, last_promoted_at=datetime(2026, 1, 1, tzinfo=UTC))
    learn(3, context=[], hits_ever=0, runs_ever=0)
    assert keys(viewer, "by=precision") == ["k2", "k1", "k3"], "what was never tried comes last"
    assert keys(viewer, "by=precision&up=1") == ["k1", "k2", "k3"]
    assert keys(viewer, "by=runs") == ["k2", "k1", "k3"]
    assert keys(viewer, "by=promoted") == ["k1", "k2", "k3"]
    assert keys(viewer, "by=updated&up=1") == ["k1", "k2", "k3"]
    stale(4)
    assert keys(viewer, "by=stale")[0] == "k4" and keys(viewer, "by=stale&up=1")[-1] == "k4"


def test_filters_narrow_and_each_can_be_removed(viewer: Client) -> None:
    learn(1)
    learn(2, tool="get_user", agent=an_agent("research"))
    assert keys(viewer, "agent=research") == ["k2"] and keys(viewer, "tool=get_order") == ["k1"]
    assert keys(viewer, "q=GET_USER") == ["k2", "k1"] and keys(viewer, "q=%00") == ["k2", "k1"]
    assert keys(viewer, "by=nonsense&page=x&up=2&stale=maybe") == ["k2", "k1"]
    assert "No pattern matches." in viewer.get("/patterns/?agent=nobody").content.decode()
    page = viewer.get("/patterns/?agent=research&q=user&by=runs").content.decode()
    assert '<a class="chip" href="?q=user&amp;by=runs">agent research' in page


def test_what_is_stale_overridden_or_off_can_be_singled_out(viewer: Client) -> None:
    learn(1)
    stale(2)
    stale(3, context=["user"], enabled=False)
    learn(4, context=[], probability_override=0.5)
    assert keys(viewer, "stale=1") == ["k2"], "what is off is not in need of a look"
    assert keys(viewer, "overridden=1") == ["k4", "k3"]
    assert keys(viewer, "disabled=1") == ["k3"]
    assert "Stale</span>" in viewer.get("/patterns/?stale=1").content.decode()


def test_a_changed_definition_makes_its_tools_patterns_stale(viewer: Client) -> None:
    pattern = learn(1)
    tool = ToolRecord.objects.create(name="get_order", changed_at=timezone.now() + timedelta(minutes=1))
    assert keys(viewer, "stale=1") == [], "the tool is not this agent's"
    pattern.agent.tools.add(tool)
    assert keys(viewer, "stale=1") == ["k1"]


def test_what_follows_what_is_drawn_and_told_in_a_table(viewer: Client) -> None:
    learn(1, context=["user"], tool="get_user")
    learn(2, context=["get_user:ok"], support=9.5)
    learn(3, context=["get_order:ok"], tool="", support=4.0)
    learn(4, context=["user", "get_user:ok"])
    page = viewer.get("/patterns/?agent=support").content.decode()
    graph = page[page.index('id="graph"') :]
    assert graph.count('class="way"') == 3 and graph.count('class="node') - graph.count('class="node-name') == 4
    assert '<th scope="row">get_user</th><td>get_order</td><td class="number">9.5</td>' in graph
    assert '<th scope="row">get_order</th><td>answer</td>' in graph


def test_ticked_patterns_are_switched_with_versions_and_one_returns_to_the_same_list(editor: Client) -> None:
    first, second, third = learn(1), learn(2, context=["user"], enabled=False), learn(3, context=[])
    answer = editor.post(
        "/patterns/switch/",
        {"pattern": [first.pk, second.pk], "on": "0", "why": "wrong orders", "back": "agent=support&by=runs"},
        follow=True,
    )
    assert answer.redirect_chain[0][0] == "/patterns/?agent=support&by=runs"
    assert "1 pattern disabled. 1 was so already." in answer.content.decode()
    assert list(PatternRecord.objects.filter(enabled=True)) == [third]
    assert (PatternEdit.objects.get().why, AuditEntry.objects.get().why) == ("wrong orders", "wrong orders")
    editor.post("/patterns/switch/", {"pattern": [first.pk], "on": "1"})
    assert PatternRecord.objects.get(pk=first.pk).enabled


@pytest.mark.parametrize("ticked", [[], ["x"], ["9" * 30], ["0"]])
def test_nothing_ticked_changes_nothing(editor: Client, ticked: list[str]) -> None:
    learn()
    assert editor.post("/patterns/switch/", {"pattern": ticked, "on": "0"}).status_code == 302
    assert PatternRecord.objects.get().enabled and not AuditEntry.objects.exists()


def test_a_viewer_sees_no_control_and_may_not_switch(viewer: Client) -> None:
    pattern = learn()
    page = viewer.get("/patterns/").content.decode()
    assert "Disable ticked" not in page and 'class="tick"' not in page and "needs the permission change_patternrecord" in page
    assert viewer.post("/patterns/switch/", {"pattern": [pattern.pk], "on": "0"}).status_code == 403
    assert viewer.get("/patterns/switch/").status_code == 405
    assert PatternRecord.objects.get().enabled


def test_a_page_of_patterns_takes_few_queries(viewer: Client, django_assert_max_num_queries: object) -> None:
    for number in range(30):
        learn(number, context=["user"] * (number % 4), agent=an_agent(f"agent{number % 3}"))
    viewer.get("/patterns/")
    with django_assert_max_num_queries(25):  # type: ignore[operator]
        viewer.get("/patterns/")
