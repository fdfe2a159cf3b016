"""Speculation as a whole: on, canary, paused; and what a pause says that it ended."""

from datetime import timedelta

import pytest
from django.utils import timezone

from speculation import breakers_opening, breakers_pausing, policy
from speculation.endings import wait_for_end
from speculation.engine.breaking import Kind, Limits, Subject, Trip
from speculation.models import Approval, ToolJob, ToolRecord, WorkerPool
from speculation.overall_state import Overall, OverallState, overall_of, overall_state
from tests.paste_web.stored_sessions import an_agent
from tests.speculation.breaking import running
from tests.speculation.conftest import Desk


@pytest.mark.parametrize(
    ("modes", "levels", "overall"),
    [
        ([], [], Overall.ON),
        (["off", "shadow"], ["canary", "full"], Overall.ON),
        (["canary", "shadow"], ["full"], Overall.CANARY),
        (["canary", "on"], ["full"], Overall.ON),
        (["on"], ["canary", "never", "shadow"], Overall.CANARY),
        (["on"], ["canary", "full"], Overall.ON),
    ],
)
def test_it_is_a_canary_where_a_share_of_the_sessions_is_all_that_runs_early(
    modes: list[str], levels: list[str], overall: Overall
) -> None:
    assert overall_of(modes, levels) == overall


@pytest.mark.django_db
def test_decisions_that_ended_do_not_count() -> None:
    an_agent("support", mode="on")
    tools = [ToolRecord.objects.create(name=name, effect="none", definition_hash="a" * 64) for name in ("a", "b")]
    terms = {"definition_hash": "a" * 64, "who": "op1", "why": "x"}
    Approval.objects.create(tool=tools[0], level="canary", **terms)
    over = Approval.objects.create(tool=tools[1], level="full", **terms)
    assert overall_state() == OverallState(Overall.ON)
    Approval.objects.filter(pk=over.pk).update(expires_at=timezone.now() - timedelta(days=1))
    assert overall_state() == OverallState(Overall.CANARY)
    Approval.objects.filter(pk=over.pk).update(expires_at=None)
    policy.revoke(tools[1], who="op1", why="x")
    assert overall_state().overall == Overall.CANARY


@pytest.mark.django_db
def test_a_pause_by_hand_can_be_resumed_and_one_by_a_breaker_cannot() -> None:
    WorkerPool.objects.update_or_create(name="tools", defaults={"is_paused": False})
    breakers_pausing.pause_all(True, who="op1", why="an incident")
    assert overall_state() == OverallState(Overall.PAUSED, "paused by op1: an incident", True)
    breakers_pausing.pause_all(False, who="op1")
    breakers_opening.open_breaker(Trip(Kind.WASTE, Subject(), 9.0, Limits(1, 60, 300), "too much"))
    assert overall_state() == OverallState(Overall.PAUSED, "breaker open: too much", False)


def test_a_pause_tells_what_it_ended_and_when_the_last_worker_let_go(desk: Desk) -> None:
    runs, _queued = running(desk, "a.txt"), desk.speculate("b.txt")
    did = breakers_pausing.pause_all(True, who="op1", why="an incident")
    assert did is not None and (did.ended, did.stopping) == (2, [runs.pk])
    ending = wait_for_end([did], patience_seconds=0)
    assert (ending.stopped, ending.still_running, ending.last_seconds) == (1, 1, None)
    ToolJob.objects.filter(pk=runs.pk).update(ended_at=did.at + timedelta(seconds=0.25))
    assert wait_for_end([did]).last_seconds == pytest.approx(0.25)
