"""The state of speculation at the top of every page, and its pause: one press, back to the page, and what it ended."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from speculation import breakers_opening
from speculation.engine.breaking import Kind, Limits, Subject, Trip
from speculation.models import AuditEntry, Session, ToolJob, ToolRecord, WorkerPool
from tests.paste_web.stored_sessions import a_user, an_agent

pytestmark = pytest.mark.django_db

PRESS = {"what": "all", "why": "one press, no reason given", "next": "/tools/?q=order"}


@pytest.fixture(autouse=True)
def pool(db: None) -> WorkerPool:
    return WorkerPool.objects.update_or_create(name="tools", defaults={"slots": 6, "reserved": 2, "is_paused": False})[
        0
    ]


def as_role(role: str) -> Client:
    user, client = a_user(role), Client()
    user.groups.set(Group.objects.filter(name=role))
    client.force_login(user)
    return client


def top(client: Client, path: str = "/patterns/") -> str:
    return client.get(path).content.decode().split('<main id="main"')[0]


def a_guess(pool: WorkerPool, path: str) -> ToolJob:
    """Queued: no worker has to let go of it."""
    tool = ToolRecord.objects.get_or_create(name="read_file", effect="none")[0]
    session = Session.objects.get_or_create(agent=an_agent(), task="Look.", status="running")[0]
    return ToolJob.objects.create(session=session, tool=tool, pool=pool, effect="none", epoch=0, fingerprint=path)


def test_one_press_pauses_and_another_resumes_on_the_page_where_it_was_pressed(pool: WorkerPool) -> None:
    client = as_role("operator")
    assert 'action="/scheduler/pause/"' in top(client) and 'name="next" value="/patterns/?q=x"' in top(
        client, "/patterns/?q=x"
    )
    for path in ("a.txt", "b.txt"):
        a_guess(pool, path)
    answer = client.post("/scheduler/pause/", PRESS)
    assert answer.headers["Location"] == PRESS["next"]
    assert "Paused. 2 held runs given up." in client.get(PRESS["next"]).content.decode()
    assert "Speculation paused: paused by operator: one press, no reason given" in top(client)
    assert 'action="/scheduler/resume/"' in top(client) and 'action="/scheduler/pause/"' not in top(client)
    assert client.post("/scheduler/resume/", PRESS).headers["Location"] == PRESS["next"]
    assert 'aria-label="Speculation on"' in top(client)
    assert [entry.what for entry in AuditEntry.objects.all()] == [
        "speculation resumed: all speculation",
        "speculation paused: all speculation",
    ]


@pytest.mark.django_db(transaction=True)
def test_a_pause_tells_of_a_worker_that_has_not_let_go_yet(pool: WorkerPool) -> None:
    started = timezone.now()
    lease = {"attempt": 1, "started_at": started, "lease_until": started + timedelta(minutes=1)}
    ToolJob.objects.filter(pk=a_guess(pool, "a.txt").pk).update(status="running", **lease)
    told = as_role("operator").post("/scheduler/pause/", PRESS, follow=True).content.decode()
    assert "Paused. 1 held run given up, 1 of them not let go yet." in told


@pytest.mark.parametrize("page", ["http://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)", ""])
def test_a_press_leads_to_our_own_pages_alone(page: str) -> None:
    answer = as_role("operator").post("/scheduler/pause/", {**PRESS, "next": page})
    assert answer.headers["Location"] == "/scheduler/"


def test_a_viewer_sees_the_state_and_no_button() -> None:
    viewer = as_role("viewer")
    assert 'aria-label="Speculation on"' in top(viewer) and "/scheduler/pause/" not in top(viewer)
    an_agent(mode="canary")
    assert "Speculation canary: a share of the sessions alone" in top(viewer)
    WorkerPool.objects.update(is_paused=True, pause_reason="paused by op1: an incident")
    assert "Speculation paused: paused by op1: an incident" in top(viewer) and "/scheduler/resume/" not in top(viewer)


def test_what_a_breaker_stopped_is_not_resumed_by_this_press() -> None:
    breakers_opening.open_breaker(Trip(Kind.WASTE, Subject(), 9.0, Limits(1, 60, 300), "too much"))
    shown = top(as_role("operator"))
    assert "Speculation paused: breaker open: too much" in shown
    assert "/scheduler/resume/" not in shown and "/scheduler/pause/" not in shown


def test_after_a_form_that_was_refused_a_press_leads_to_the_scheduler() -> None:
    client = as_role("admin")
    shown = client.post("/connect/", {"name": ""}).content.decode().split('<main id="main"')[0]
    assert '<input type="hidden" name="next" value=""><input type="hidden" name="why"' in shown
