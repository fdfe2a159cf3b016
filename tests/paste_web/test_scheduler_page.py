"""Scheduler: what it shows, who may reset, adjust, pause and resume, and that each is told why or why not."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from speculation import breakers_opening, pool_figures, processors
from speculation.engine.breaking import Kind, Limits, Subject, Trip
from speculation.models import (
    AgentProfile,
    AuditEntry,
    Breaker,
    BreakerOpening,
    Session,
    ToolJob,
    ToolRecord,
    WorkerPool,
)
from tests.paste_web.stored_sessions import a_user, an_agent
from tests.speculation.breaking import set_default_limits

pytestmark = pytest.mark.django_db

PAGE, LIVE = "/scheduler/", "/scheduler/live/"
MAY = ("change_breaker", "change_workerpool", "change_agentprofile", "change_toolrecord")


@pytest.fixture(autouse=True)
def house(db: None) -> None:
    set_default_limits()
    WorkerPool.objects.update_or_create(name="tools", defaults={"slots": 6, "reserved": 2, "is_paused": False})


@pytest.fixture
def agent(house: None) -> AgentProfile:
    return an_agent("support")


@pytest.fixture
def tool(house: None) -> ToolRecord:
    return ToolRecord.objects.create(name="get_order", effect="none", definition_hash="a" * 64)


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(a_user("op1", *MAY))
    return client


@pytest.fixture
def viewer(house: None) -> Client:
    viewer = Client()
    viewer.force_login(a_user("eve"))
    return viewer


def text(client: Client, path: str = PAGE) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def opened(tool: ToolRecord) -> BreakerOpening:
    limits = Limits(30, 60, 300)
    reason = "wasted 31 worker seconds in a minute, the limit is 30"
    opening = breakers_opening.open_breaker(Trip(Kind.WASTE, Subject(tool=tool.pk), 31.0, limits, reason))
    assert opening is not None
    return opening


def a_job(tool: ToolRecord, agent: AgentProfile, number: int, arm: str = "on", **fields: Any) -> ToolJob:
    session = Session.objects.get_or_create(agent=agent, task=arm, arm=arm)[0]
    return ToolJob.objects.create(
        session=session, tool=tool, pool_id="tools", effect="none", epoch=0, fingerprint=str(number),
        **{"attempt": 1, "lease_until": timezone.now() + timedelta(minutes=1), **fields},
    )  # fmt: skip


def test_the_page_asks_for_a_login(client: Client) -> None:
    for path in (PAGE, LIVE):
        assert client.get(path).headers["Location"].startswith("/login/")


def test_a_quiet_house_says_what_is_so(operator: Client, viewer: Client) -> None:
    page = text(operator)
    for said in ("None is open: speculation runs wherever", "None in the last hour", "No breaker has opened yet."):
        assert said in page
    assert '<a href="/scheduler/" aria-current="page">Scheduler</a>' in page
    Breaker.objects.all().delete()
    assert "No breaker has limits, so none will open." in text(viewer)
    WorkerPool.objects.all().delete()
    assert "There is no pool of slots, so no tool runs." in text(viewer)


def test_slots_are_told_by_class(tool: ToolRecord, agent: AgentProfile, viewer: Client) -> None:
    now = timezone.now()
    a_job(tool, agent, 1, status="running", call_id="1.0", started_at=now)
    a_job(tool, agent, 2, status="running", started_at=now)
    a_job(tool, agent, 3, status="preempted", started_at=now)
    a_job(tool, agent, 4, status="queued", call_id="1.1", attempt=0)
    (slots,) = pool_figures.slots_now()
    assert (slots.real, slots.guesses, slots.letting_go, slots.real_queued) == (1, 1, 1, 1)
    assert (slots.free, slots.free_for_guesses, slots.kept) == (3, 0, 3)
    assert slots.drawn == ["real", "guess", "letting-go", "kept", "kept", "kept"]
    ToolJob.objects.filter(status="queued").delete()
    assert pool_figures.slots_now()[0].drawn[-3:] == ["kept", "kept", "free"]
    assert "1 letting go" in text(viewer, LIVE)
    WorkerPool.objects.update(slots=500)
    assert pool_figures.slots_now()[0].drawn == []


def test_queue_waits_are_told_with_and_without_speculation(
    tool: ToolRecord, agent: AgentProfile, viewer: Client
) -> None:
    now = timezone.now()
    for number, (arm, waited) in enumerate([("on", 0.1), ("on", 0.3), ("holdout", 2.0), ("on", 9.0)]):
        job = a_job(tool, agent, number, arm, status="succeeded", call_id=str(number), started_at=now, ended_at=now)
        promoted = now if waited == 9.0 else None
        ToolJob.objects.filter(pk=job.pk).update(created_at=now - timedelta(seconds=waited), promoted_at=promoted)
    with_it, without = pool_figures.queue_waits(3600)
    assert (with_it.calls, with_it.median_seconds, with_it.longest_seconds) == (
        2, pytest.approx(0.2), pytest.approx(0.3)
    )  # fmt: skip
    assert (without.calls, without.median_seconds) == (1, pytest.approx(2.0))
    page = text(viewer, LIVE)
    assert "0.2 s" in page and "without speculation" in page


def test_stopped_guesses_and_what_is_spent_are_told(tool: ToolRecord, agent: AgentProfile, viewer: Client) -> None:
    for number, reason in enumerate(["slot needed", "slot needed", "refuted by what the model wrote"]):
        a_job(
            tool, agent, number, status="preempted", end_reason=reason, started_at=timezone.now(), expected_seconds=2.5
        )
    assert pool_figures.given_up(3600) == [("slot needed", 2), ("refuted by what the model wrote", 1)]
    assert pool_figures.spent_in_a_minute() == 7.5
    assert "7.5 s" in text(viewer, LIVE)


@pytest.mark.parametrize(
    ("use", "most_percent", "said"),
    [
        (0.614, 50.0, "61 %used by real work in the last seconds: nothing runs early above 50 %"),
        (0.3, 50.0, "30 %used by real work in the last seconds; above 50 % nothing runs early"),
        (0.99, 100.0, "99 %used by real work in the last seconds\n"),
    ],
)
def test_how_busy_the_processors_are_and_what_that_means_for_guesses_is_told(
    viewer: Client, monkeypatch: pytest.MonkeyPatch, settings: Any, use: float, most_percent: float, said: str
) -> None:
    settings.PASTE_REST_ABOVE_PERCENT = most_percent
    monkeypatch.setattr(processors.of_this_machine, "real_use", lambda: use)
    assert said in strip_tags(text(viewer, LIVE)) + "\n"


def test_an_open_breaker_is_shown_with_its_reason_and_reset_with_another(
    tool: ToolRecord, operator: Client, viewer: Client
) -> None:
    opening = opened(tool)
    assert f"nothing of it runs early: {opening.reason}." in text(viewer, "/tools/builtin/get_order/")
    page = text(operator)
    for said in (
        opening.reason,
        "31 s wasted",
        "30 s wasted",
        f"?reset={opening.pk}#change",
        "/tools/builtin/get_order/",
    ):
        assert said in page
    assert "Reset now" in text(operator, f"{PAGE}?reset={opening.pk}") and "Reset now" not in text(operator)
    assert "Reset now" not in text(viewer, f"{PAGE}?reset={opening.pk}")
    path = reverse("breaker-reset", args=[opening.pk])
    assert "give the reason" in operator.post(path, {"why": " "}, follow=True).content.decode()
    assert BreakerOpening.objects.filter(closed_at=None).exists()
    answer = operator.post(path, {"why": "the index is mended"}, follow=True).content.decode()
    assert "Closed: waste of builtin/get_order. Speculation may run again there." in answer
    assert "None is open" in answer and "op1" in answer
    assert AuditEntry.objects.get(what__startswith="waste breaker closed").why == "the index is mended"
    assert "was closed already" in operator.post(path, {"why": "again"}, follow=True).content.decode()
    assert operator.post(reverse("breaker-reset", args=[999]), {"why": "x"}).status_code == 404


def limits_form(breaker: Breaker, **fields: Any) -> dict[str, Any]:
    given = {"limit": 45, "window_seconds": 60, "reset_seconds": 300, "enabled": "on", "why": "runs are long", **fields}
    return {f"breaker-{breaker.pk}-{name}": value for name, value in given.items()}


def test_limits_are_adjusted_in_the_unit_that_the_page_shows(operator: Client) -> None:
    errors = Breaker.objects.get(kind="errors", scope="agent")
    path = reverse("breaker-adjust", args=[errors.pk])
    assert "50 % failed" in text(operator)
    assert 'value="50.0"' in text(operator, f"{PAGE}?breaker={errors.pk}")
    answer = operator.post(path, limits_form(errors, limit="35"), follow=True).content.decode()
    assert "Stored: the limits of the errors breaker of every agent." in answer and "35 % failed" in answer
    errors.refresh_from_db()
    assert errors.limit == pytest.approx(0.35)
    operator.post(
        path, {name: value for name, value in limits_form(errors, limit="35").items() if "enabled" not in name}
    )
    assert not Breaker.objects.get(pk=errors.pk).enabled
    assert AuditEntry.objects.filter(who="op1", why="runs are long", what__startswith="limits changed").count() == 2


@pytest.mark.parametrize(
    "fields",
    [{"limit": "0"}, {"limit": "nan"}, {"limit": "x"}, {"why": ""}, {"limit": "101"}, {"window_seconds": "1e9"}],
)
def test_impossible_limits_are_refused_beside_what_was_typed(operator: Client, fields: dict[str, str]) -> None:
    errors = Breaker.objects.get(kind="errors", scope="agent")
    answer = operator.post(
        reverse("breaker-adjust", args=[errors.pk]), limits_form(errors, reset_seconds="444", **fields)
    )
    assert answer.status_code == 422
    assert "Nothing was stored" in answer.content.decode() and 'value="444"' in answer.content.decode()
    assert Breaker.objects.get(pk=errors.pk).limit == 0.5 and not AuditEntry.objects.exists()


def test_all_an_agent_or_a_tool_is_paused_and_resumed(
    operator: Client, viewer: Client, agent: AgentProfile, tool: ToolRecord
) -> None:
    for what, label in (
        ("all", "all speculation"),
        (f"agent {agent.pk}", "agent support"),
        (f"tool {tool.pk}", "tool builtin/get_order"),
    ):
        answer = operator.post("/scheduler/pause/", {"what": what, "why": "an incident"}, follow=True).content.decode()
        assert f"Paused: {label}." in answer
        page = text(viewer, LIVE)
        assert label in page and "op1: an incident" in page and "Resume" not in page.replace("Resume</span>", "")
        assert f"Resume {label}" in text(operator, LIVE)
        assert "Resumed." in operator.post("/scheduler/resume/", {"what": what}, follow=True).content.decode()
        assert "It ran already." in operator.post("/scheduler/resume/", {"what": what}, follow=True).content.decode()
        assert "Paused by operators" not in text(viewer, LIVE)
    assert {entry.what for entry in AuditEntry.objects.all()} == {
        "speculation paused: all speculation", "speculation resumed: all speculation",
        "agent pause opened: agent support", "agent pause closed: agent support",
        "switched off: builtin/get_order", "switched on: builtin/get_order",
    }  # fmt: skip


def test_a_pause_needs_a_reason(operator: Client, agent: AgentProfile) -> None:
    for form in ({"what": "all", "why": " "}, {"what": f"agent {agent.pk + 7}", "why": "x"}):
        assert "Nothing was paused" in operator.post("/scheduler/pause/", form, follow=True).content.decode()
    assert not AuditEntry.objects.exists()


def test_who_may_not_act_sees_no_control_and_is_refused(viewer: Client, tool: ToolRecord, agent: AgentProfile) -> None:
    opening, breaker = opened(tool), Breaker.objects.filter(tool=None)[0]
    before = AuditEntry.objects.count()
    page = text(viewer)
    assert '<form method="post" action="/scheduler/' not in page
    assert "needs the permission change_breaker" in page and "Pausing needs the permission" in page
    refused = [
        (reverse("breaker-reset", args=[opening.pk]), {"why": "x"}),
        (reverse("breaker-adjust", args=[breaker.pk]), limits_form(breaker)),
        *(
            (path, {"what": what, "why": "x"})
            for path in ("/scheduler/pause/", "/scheduler/resume/")
            for what in ("all", f"agent {agent.pk}", f"tool {tool.pk}", "", "nonsense")
        ),
    ]
    assert {viewer.post(path, form).status_code for path, form in refused} == {403}
    assert {viewer.get(path).status_code for path, _ in refused if "pause" in path} == {405}
    assert AuditEntry.objects.count() == before


def test_one_permission_gives_one_control(house: None, agent: AgentProfile, tool: ToolRecord) -> None:
    client = Client()
    client.force_login(a_user("op2", "change_agentprofile"))
    page = text(client)
    assert (
        "agent support</option>" in page and "all speculation</option>" not in page and "get_order</option>" not in page
    )
    assert client.post("/scheduler/pause/", {"what": "all", "why": "x"}).status_code == 403
    assert client.post("/scheduler/pause/", {"what": f"agent {agent.pk}", "why": "x"}).status_code == 302


def test_every_page_says_that_all_speculation_is_off(viewer: Client) -> None:
    assert "Speculation on" in text(viewer, "/tools/")
    breakers_opening.open_breaker(Trip(Kind.WASTE, Subject(), 1.0, Limits(1, 60, 60), "too much in a minute"))
    page = text(viewer, "/tools/")
    assert "Speculation paused" in page and "breaker open: too much in a minute" in page


def test_second_runs_of_served_guesses_are_counted_and_shown(viewer: Client, tool: ToolRecord) -> None:
    ToolRecord.objects.filter(pk=tool.pk).update(verified=41, diverged=2)
    text = viewer.get(LIVE).content.decode()
    assert "2 contradicted" in text and "41 confirmed" in text
