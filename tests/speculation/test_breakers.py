"""Breakers: each kind opens from real rows, for one caller alone; nothing runs early while one is open."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils import timezone

from speculation import breakers, breakers_opening, jobs, policy
from speculation.breakers_limits import adjust
from speculation.breakers_open import open_now
from speculation.engine.breaking import Kind, Limits, Subject, Trip
from speculation.models import AuditEntry, Breaker, BreakerOpening, Session, ToolJob, ToolQuota, ToolRecord
from speculation.policy import DecisionRefused
from tests.speculation.breaking import ago, diverged, failed, running, set_default_limits, succeeded, wasted
from tests.speculation.conftest import Desk, Race

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def default_limits(transactional_db: None) -> None:
    set_default_limits()


@pytest.fixture
def second_desk(make_session: Callable[[], Session], desk: Desk) -> Desk:
    return Desk(make_session(), desk.read_tool, desk.write_tool, desk.pool)


def told(openings: list[BreakerOpening]) -> list[tuple[str, str, str]]:
    return [(opening.kind, opening.scope, opening.reason) for opening in openings]


def status_of(job: ToolJob) -> tuple[str, str]:
    job = ToolJob.objects.get(pk=job.pk)
    return job.status, job.end_reason


def trip(desk: Desk, kind: Kind = Kind.WASTE, reset_seconds: float = 300.0) -> BreakerOpening | None:
    return breakers_opening.open_breaker(
        Trip(kind, Subject(tool=desk.read_tool.pk), 99.0, Limits(1, 60, reset_seconds), "a test says so")
    )


def approve(tool: ToolRecord) -> None:
    tool.refresh_from_db()
    seen = {"expected_definition_hash": tool.definition_hash, "expected_policy_version": tool.policy_version}
    policy.decide(tool, "full", who="op1", why="reads only", **seen)


# What opens


def test_waste_opens_the_breaker_of_the_tool_that_wasted(desk: Desk) -> None:
    wasted(desk, "a.txt", 40)
    assert breakers.watch() == []
    wasted(desk, "b.txt", 21)
    assert told(breakers.watch()) == [("waste", "tool", "wasted 61 worker seconds in a minute, the limit is 60")]
    opening = open_now().get()
    assert (opening.tool, opening.measured, opening.limit) == (desk.read_tool, pytest.approx(61), 60)
    assert opening.open_until - opening.opened_at == timedelta(seconds=300)


def test_a_run_is_wasted_when_it_is_given_up_however_old_its_result(desk: Desk) -> None:
    job = succeeded(desk, "a.txt")
    ToolJob.objects.filter(pk=job.pk).update(started_at=ago(3700), ended_at=ago(3600))
    assert breakers.watch() == []
    assert desk.move(jobs.discard, job, "expired")
    assert told(breakers.watch())[0][2] == "wasted 100 worker seconds in a minute, the limit is 60"


def test_a_guess_that_served_and_a_check_of_one_are_no_waste(desk: Desk) -> None:
    job = succeeded(desk, "a.txt")
    ToolJob.objects.filter(pk=job.pk).update(started_at=ago(500))
    assert desk.promote(job)
    ToolJob.objects.filter(pk=diverged(desk, "b.txt").pk).update(started_at=ago(500))
    assert breakers.watch() == []


def test_waste_of_several_tools_of_one_agent_is_the_agents(desk: Desk) -> None:
    other = ToolRecord.objects.create(name="list_files", definition_hash="c" * 64, effect="none")
    other_desk = Desk(desk.session, other, desk.write_tool, desk.pool)
    Breaker.objects.filter(kind="waste").exclude(scope="agent").update(limit=10_000)
    wasted(desk, "a.txt", 59)
    wasted(other_desk, "b.txt", 62)
    opened = breakers.watch()
    assert [(one.scope, one.agent, one.tool) for one in opened] == [("agent", desk.session.agent, None)]


def test_errors_open_when_too_many_of_enough_runs_failed(desk: Desk) -> None:
    for number in range(5):
        failed(desk, f"no{number}.txt")
    for number in range(4):
        succeeded(desk, f"yes{number}.txt")
    assert breakers.watch() == []
    failed(desk, "no5.txt")
    reasons = {opening.scope: opening.reason for opening in breakers.watch()}
    assert set(reasons) == {"tool", "agent", "all"}
    assert reasons["tool"] == "6 of 10 runs failed in 5 minutes (60 %), the limit is 50 %"


def test_a_tool_that_says_there_is_no_such_thing_has_not_failed(desk: Desk) -> None:
    for number in range(10):
        failed(desk, f"no{number}.txt", reason=jobs.ERROR_ANSWER)
    assert breakers.watch() == []
    for number in range(10):
        failed(desk, f"slow{number}.txt")
    assert {opening.reason for opening in breakers.watch()} == {
        "10 of 20 runs failed in 5 minutes (50 %), the limit is 50 %"
    }


def test_a_guess_that_held_a_slot_while_a_call_queued_interfered(desk: Desk, second_desk: Desk) -> None:
    running(desk, "a.txt", 8)
    call = second_desk.request()
    ToolJob.objects.filter(pk=call.pk).update(created_at=ago(6))
    opened = breakers.watch()
    assert [(one.kind, one.scope) for one in opened] == [("interference", "tool")]
    assert opened[0].measured == pytest.approx(6, abs=1)


def test_overlapping_guesses_slow_a_call_once(desk: Desk, second_desk: Desk) -> None:
    Breaker.objects.filter(kind="interference").update(limit=1)
    first, _second = running(desk, "a.txt", 8), running(desk, "b.txt", 7)
    assert desk.move(jobs.preempt, first, "slot needed") and desk.move(jobs.release, first, attempt=1)
    ToolJob.objects.filter(pk=first.pk).update(ended_at=ago(5))
    call = second_desk.request()
    ToolJob.objects.filter(pk=call.pk).update(created_at=ago(6), started_at=ago(4), status="running", lease_until=Now())
    assert all(one.measured == pytest.approx(2, abs=0.5) for one in breakers.watch())


def test_a_call_that_waits_no_longer_than_the_way_or_after_the_guess_was_asked_for_is_not_slowed(
    desk: Desk, second_desk: Desk
) -> None:
    Breaker.objects.filter(kind="interference").update(limit=0.001)
    asked = running(desk, "a.txt", 8)
    assert desk.promote(asked)
    ToolJob.objects.filter(pk=asked.pk).update(promoted_at=ago(7))
    call = second_desk.request()
    ToolJob.objects.filter(pk=call.pk).update(created_at=ago(6))
    quick = running(second_desk, "b.txt", 5)
    call = desk.request("2.0", "c.txt")
    ToolJob.objects.filter(pk=call.pk).update(
        created_at=ago(2.03), started_at=ago(2), status="running", lease_until=Now()
    )
    ToolJob.objects.filter(pk=quick.pk).update(ended_at=ago(1))
    second_desk.move(jobs.preempt, quick, "slot needed")
    ToolJob.objects.filter(call_id="1.0", promoted_at=None).update(created_at=Now())
    assert breakers.watch() == []


def test_a_contradicted_result_opens_at_once_and_distrusts_what_is_held(desk: Desk) -> None:
    held = succeeded(desk, "a.txt")
    diverged(desk, "b.txt")
    opened = breakers.look_at(desk.read_tool)
    assert told(opened) == [
        ("divergence", "tool", "once a second run contradicted a served result in an hour, the limit is 1")
    ]
    assert status_of(held) == ("discarded", "breaker open: divergence")
    assert ToolRecord.objects.get(pk=desk.read_tool.pk).policy_version == desk.policy_version + 1
    assert not desk.promote(held, "9.0")


def test_refused_credentials_open_at_once(desk: Desk) -> None:
    failed(desk, "a.txt")
    assert breakers.look_at(desk.read_tool) == []
    failed(desk, "b.txt", reason="auth")
    assert [one.kind for one in breakers.look_at(desk.read_tool)] == ["auth"]


def test_waste_leaves_held_results_to_serve(desk: Desk) -> None:
    held, still_running = succeeded(desk, "a.txt"), running(desk, "b.txt")
    assert trip(desk) is not None
    assert status_of(held) == ("succeeded", "")
    assert status_of(still_running) == ("preempted", "breaker open: waste")
    assert desk.promote(held)


def test_a_quota_below_its_floor_opens_until_the_quota_is_reset(desk: Desk) -> None:
    resets_at = timezone.now() + timedelta(minutes=17)
    assert breakers.note_quota(desk.read_tool, 10, resets_at) is None
    opening = breakers.note_quota(desk.read_tool, 9, resets_at)
    assert opening is not None and opening.reason == "9 of its quota left, the floor is 10"
    assert opening.open_until == resets_at
    assert breakers.note_quota(desk.read_tool, 8, resets_at) is None
    assert ToolQuota.objects.get().left == 8
    assert breakers.note_quota(desk.read_tool, 5000) is None
    assert not open_now().exists()
    assert AuditEntry.objects.first().why == "5000 of its quota left again."  # type: ignore[union-attr]


def test_a_quota_that_is_no_number_is_not_believed(desk: Desk) -> None:
    assert breakers.note_quota(desk.read_tool, float("nan")) is None
    assert not ToolQuota.objects.exists()


def test_a_breaker_that_is_switched_off_opens_nothing(desk: Desk) -> None:
    Breaker.objects.update(enabled=False)
    wasted(desk, "a.txt", 500)
    failed(desk, "b.txt", reason="auth")
    assert breakers.watch() == breakers.look_at(desk.read_tool) == []
    assert breakers.note_quota(desk.read_tool, 0) is None


def test_logs_from_elsewhere_do_not_disturb_the_measurement(desk: Desk) -> None:
    desk.session.events.create(seq=999, kind="job_ended", at=Now(), payload={"job": "g1", "speculative": True})
    desk.session.events.create(seq=1000, kind="job_discarded", at=Now(), payload={})
    assert breakers.watch() == []


# Who opens


def test_of_sweepers_that_race_one_opens(desk: Desk, race: Race) -> None:
    wasted(desk, "a.txt", 61)
    for round_number in range(1, 9):
        opened = race.run(*[breakers.watch] * 4)
        assert sum(map(len, opened)) == 1
        assert (
            BreakerOpening.objects.count() == AuditEntry.objects.filter(what__contains="opened").count() == round_number
        )
        BreakerOpening.objects.update(closed_at=ago(60), closed_by="op1", opened_at=ago(200_000), open_until=Now())


def test_the_database_forbids_two_open_breakers_of_one_subject(desk: Desk) -> None:
    whose: dict[str, Any] = {"kind": "waste", "scope": "all", "reason": "r", "open_until": Now()}
    BreakerOpening.objects.create(**whose)
    with pytest.raises(IntegrityError, match="breaker_opens_once"), transaction.atomic():
        BreakerOpening.objects.create(**whose)
    with pytest.raises(IntegrityError, match="opening_ends_by_itself"), transaction.atomic():
        BreakerOpening.objects.create(kind="errors", scope="all", reason="r")
    with pytest.raises(IntegrityError, match="opening_names_its_object"), transaction.atomic():
        BreakerOpening.objects.create(kind="errors", scope="tool", reason="r", open_until=Now())


def test_an_opening_says_in_the_audit_what_was_measured(desk: Desk) -> None:
    wasted(desk, "a.txt", 61)
    breakers.watch()
    entry = AuditEntry.objects.get()
    assert (entry.who, entry.what) == ("system", "waste breaker opened: builtin/read_file")
    assert entry.why == "wasted 61 worker seconds in a minute, the limit is 60"
    assert entry.after["limit"] == 60 and entry.after["until"]


# How it closes


def test_it_holds_until_its_time_is_over_by_the_databases_clock(desk: Desk) -> None:
    opening = trip(desk)
    assert opening is not None and open_now().count() == 1
    BreakerOpening.objects.update(open_until=ago(1))
    assert open_now().count() == 0
    assert breakers.watch() == []
    opening.refresh_from_db()
    assert (opening.closed_by, opening.closed_at) == ("system", opening.open_until)
    assert AuditEntry.objects.first().what == "waste breaker closed: builtin/read_file"  # type: ignore[union-attr]


def test_what_was_before_it_closed_is_not_held_against_the_tool_again(desk: Desk) -> None:
    Breaker.objects.exclude(scope="tool").update(enabled=False)
    wasted(desk, "a.txt", 61)
    (opening,) = breakers.watch()
    assert breakers.watch() == []
    assert breakers_opening.reset(opening, who="op1", why="a bad index, mended")
    assert breakers.watch() == []
    wasted(desk, "b.txt", 61)
    (again,) = breakers.watch()
    assert again.reopened == 1


def test_an_operator_resets_once_and_gives_the_reason(desk: Desk, race: Race) -> None:
    opening = trip(desk)
    assert opening is not None
    assert sorted(race.run(*[lambda: breakers_opening.reset(opening, who="op1", why="mended")] * 3)) == [
        False,
        False,
        True,
    ]
    entry = AuditEntry.objects.get(what__contains="closed")
    assert (entry.who, entry.why, entry.before) == ("op1", "mended", {"reason": "a test says so"})
    assert trip(desk) is not None


def test_a_sweep_gives_up_what_a_lost_opener_left_behind(desk: Desk) -> None:
    BreakerOpening.objects.create(kind="waste", scope="all", reason="lost", open_until=ago(-60))
    queued = desk.speculate("a.txt")
    assert queued is not None
    breakers.watch()
    assert status_of(queued) == ("preempted", "breaker open: waste")


def test_a_breaker_that_opens_three_times_a_day_sends_its_tool_to_review(desk: Desk) -> None:
    approve(desk.read_tool)
    for number in range(3):
        assert not desk.read_tool.approvals.filter(level="review").exists(), number
        opening = trip(desk)
        assert opening is not None and opening.reopened == number
        breakers_opening.reset(opening, who="op1", why="again")
    approval = desk.read_tool.approvals.get(level="review")
    assert (approval.who, approval.why) == ("system", "its waste breaker opened 3 times in a day")
    assert AuditEntry.objects.filter(what="sent to review: builtin/read_file", who="system").count() == 1
    trip(desk)
    assert desk.read_tool.approvals.filter(level="review").count() == 1


# Limits


def test_a_tool_may_have_limits_of_its_own(desk: Desk) -> None:
    own = Breaker(kind="waste", scope="tool", tool=desk.read_tool)
    adjust(own, Limits(500, 60, 300), who="op1", why="its runs are long")
    wasted(desk, "a.txt", 61)
    assert breakers.watch() == []
    adjust(own, Limits(30, 60, 300), who="op1", why="not so long after all")
    assert [one.scope for one in breakers.watch()] == ["tool"]
    entries = AuditEntry.objects.filter(what="limits changed: waste breaker of builtin/read_file").order_by("id")
    assert [(entry.before or {}).get("limit") for entry in entries] == [None, 500]
    assert [entry.after["limit"] for entry in entries] == [500, 30]


@pytest.mark.parametrize(
    "limits",
    [Limits(0, 60, 60), Limits(float("nan"), 60, 60), Limits(1, -1, 60), Limits(1, 60, 90_000), Limits(2, 60, 60)],
)
def test_impossible_limits_store_nothing(desk: Desk, limits: Limits) -> None:
    before = list(Breaker.objects.values())
    with pytest.raises(DecisionRefused):
        adjust(Breaker.objects.get(kind="errors", scope="all"), limits, who="op1", why="because")
    with pytest.raises(DecisionRefused, match="reason"):
        adjust(Breaker.objects.get(kind="errors", scope="all"), Limits(0.4, 60, 60), who="op1", why=" ")
    assert list(Breaker.objects.values()) == before and not AuditEntry.objects.exists()


def test_a_quota_that_is_told_again_costs_three_queries(desk: Desk, django_assert_num_queries: Any) -> None:
    breakers.note_quota(desk.read_tool, 500)
    with django_assert_num_queries(3):
        breakers.note_quota(desk.read_tool, 499)
