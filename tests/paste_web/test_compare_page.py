"""Two sessions beside each other, as a browser without scripts gets them."""

import json
import re

import pytest

from tests.paste_web.stored_sessions import a_user, an_agent, store
from tests.speculation.written_log import WrittenLog, example

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client):
    client.force_login(a_user("op1", "view_payloads"))
    return client


def a_pair():
    off = store(example(arm="off"), arm="off")
    on = store(example(), pair=off)
    type(off).objects.filter(pk=off.pk).update(pair=on)
    return off, on


def get(client, query=""):
    answer = client.get(f"/compare/{query}")
    return answer.status_code, answer.content.decode()


def test_it_asks_for_a_login(client):
    assert client.get("/compare/").headers["Location"].startswith("/login/")


def test_without_a_choice_it_says_what_to_do_and_offers_sessions(operator):
    session = store(example())
    status, text = get(operator)
    assert status == 200
    assert "Choose two sessions above" in text
    assert f'<option value="{session.short_id}">' in text


def test_a_session_alone_brings_its_pair_along(operator):
    off, on = a_pair()
    status, text = get(operator, f"?a={on.short_id}")
    assert status == 200
    assert f"{off.short_id} is the other arm of {on.short_id}" in text
    assert f"In {off.short_id}" not in text  # they took equally long
    assert "Both made the same calls in each of 5 turns." in text
    assert f"Net saved: 5.2 s as {on.short_id} estimates it, 0.0 s as measured between the two." in text


def test_both_are_drawn_on_one_axis_with_their_turns_and_figures(operator):
    short = store(WrittenLog().started(arm="off").turn(1, 0, 3, "get_user").ended(3), arm="off")
    long = store(example())
    status, text = get(operator, f"?a={short.pk}&b=http://x/sessions/{long.pk}/")
    figures = [
        json.loads(found)
        for found in re.findall(r'<script id="figure-\d" type="application/json">(.*?)</script>', text)
    ]
    assert status == 200
    assert len(figures) == 2 and figures[0]["axis"] == figures[1]["axis"] > 23.6
    assert (
        f"{long.short_id} (with speculation) took 18.4 s, 15.4 s (513 %) longer than {short.short_id} (without speculation) with 3.0 s, measured."
        in text
    )
    assert "From turn 1 on they made different calls" in text
    assert text.count('class="chip warn">other calls') == 4 and "no such turn" in text


def test_other_agents_and_tasks_are_said_and_still_drawn(operator):
    one, other = store(example()), store(example(), agent=an_agent("research"), task="Find lead")
    _, text = get(operator, f"?a={one.short_id}&b={other.short_id}")
    assert "Different agents: support and research." in text and "Different tasks" in text
    assert text.count('class="chart-frame"') == 2


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("a=ffffffff", "No session&#x27;s id ends in ffffffff."),
        ("a=hello", "Give a session&#x27;s id, or its last 8 characters."),
        ("a=%00", "Give a session&#x27;s id, or its last 8 characters."),
        ("b=0198f3c2-0000-7000-8000-000000000000", "No session&#x27;s id ends in 00000000."),
    ],
)
def test_what_is_no_session_is_said_beside_the_field_and_stays_typed(operator, query, problem):
    status, text = get(operator, f"?{query}")
    assert status == 200
    assert f'<p class="error" id="error-{query[0]}">{problem}</p>' in text


def test_a_session_is_not_compared_with_itself(operator):
    session = store(example())
    status, text = get(operator, f"?a={session.short_id}&b={session.pk}")
    assert status == 200 and "That is the same session." in text


def test_a_session_that_runs_is_compared_so_far(operator):
    running, ended = store(WrittenLog(example()[:20])), store(example())
    _, text = get(operator, f"?a={running.short_id}&b={ended.short_id}")
    assert f"Still running: {running.short_id}." in text


def test_a_session_page_links_to_the_comparison_with_its_pair(operator):
    off, on = a_pair()
    text = operator.get(f"/sessions/{on.pk}/").content.decode()
    assert f'<a href="/compare/?a={on.short_id}&amp;b={off.short_id}">' in text
