"""Patterns: what was learned, readable, filtered, and edited only in the admin."""

import pytest
from django.test import Client

from speculation.models import PatternRecord
from tests.paste_web.stored_sessions import a_user, an_agent

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(a_user("eve"))
    return client


def learn(number: int = 0, **fields: object) -> PatternRecord:
    return PatternRecord.objects.create(**{
        "agent": an_agent(), "key": f"k{number}", "context": ["user", "get_user:ok"], "tool": "get_order",
        "mapping": {"order_id": [["result(get_user).orders[0]", 12, 14], ["= 1", 2, 14]]},
        "support": 14.0 + number, "probability": 0.66, "hits": 3.0, "misses": 1.0, **fields,
    })  # fmt: skip


def test_nothing_learned_says_what_to_do(viewer: Client) -> None:
    assert "Patterns need about 3 sessions of an agent; or import traces." in viewer.get("/patterns/").content.decode()


def test_a_pattern_reads_from_left_to_right(viewer: Client) -> None:
    learn()
    page = viewer.get("/patterns/").content.decode()
    assert "user › get_user:ok → get_order" in page
    assert "<code>result(get_user).orders[0]</code> → <code>order_id</code>" in page and "12 of 14, 1 more" in page
    assert "75 %" in page and "n 4" in page


def test_a_pattern_that_was_never_tried_has_no_precision(viewer: Client) -> None:
    learn(hits=0.0, misses=0.0, tool="", context=[], mapping={})
    page = viewer.get("/patterns/").content.decode()
    assert "any start → the answer" in page and "n 0" not in page


def test_an_operators_word_shows_with_its_author(viewer: Client) -> None:
    learn(1, enabled=False, overridden_by="op1")
    learn(2, mapping_override={"order_id": [["= 7", 1, 1]]}, probability_override=0.1, overridden_by="op2")
    page = viewer.get("/patterns/").content.decode()
    assert "Off by op1" in page and "Changed by op2" in page and "<code>= 7</code>" in page and "0.10" in page


def test_fifty_a_page_in_the_chosen_order(viewer: Client) -> None:
    for number in range(60):
        learn(number, probability=number / 100)
    first = viewer.get("/patterns/", {"by": "probability"}).context["rows"]
    second = viewer.get("/patterns/", {"by": "probability", "page": 2}).context["rows"]
    assert [row.record.probability for row in first] == [number / 100 for number in range(59, 9, -1)]
    assert len(second) == 10


def test_filters_narrow_and_can_be_cleared(viewer: Client) -> None:
    learn(1)
    learn(2, tool="get_user", agent=an_agent("research"))
    found = {
        query: [row.record.key for row in viewer.get(f"/patterns/?{query}").context["rows"]]
        for query in ("agent=research", "tool=get_order", "q=GET_USER", "q=%00", "agent=nobody", "by=nonsense")
    }
    assert found == {
        "agent=research": ["k2"], "tool=get_order": ["k1"], "q=GET_USER": ["k2", "k1"], "q=%00": ["k2", "k1"],
        "agent=nobody": [], "by=nonsense": ["k2", "k1"],
    }  # fmt: skip
    assert "No pattern matches." in viewer.get("/patterns/?agent=nobody").content.decode()


def test_only_who_may_edit_gets_the_link(client: Client) -> None:
    pattern = learn()
    link = f"/admin/speculation/patternrecord/{pattern.pk}/change/"
    client.force_login(a_user("eve"))
    assert link not in client.get("/patterns/").content.decode()
    client.force_login(a_user("op1", "change_patternrecord", is_staff=True))
    assert link in client.get("/patterns/").content.decode()
