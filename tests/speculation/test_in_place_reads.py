"""A cheap read is told when it is over, as of when it happened; one that takes longer than thought while it goes on."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError

from speculation import in_place, recovery, worker
from speculation.agent.types import RequestedCall
from speculation.asked import AskedCall
from speculation.events import SessionLost
from speculation.models import AgentProfile, JobStatus, Session, ToolJob, WorkerPool
from speculation.policy import register_tool
from speculation.worker import AGAIN_AFTER_SECONDS
from tests.speculation.house import House, read, wait_for
from tests.speculation.lost import end_all_other_connections, let_lease_run_out, with_tool
from tools import catalog
from tools.base import SideEffect, Tool, ToolContext, ToolPolicy, ToolResult, ToolStopped

WHOLE_LIFE = ["job_queued", "call_asked", "job_started", "job_ended", "call_returned"]


class Looks(Tool):
    """A read that is declared cheap, and does what the test says."""

    name = "looks"
    description = "Looks."
    parameters: Mapping[str, Any] = MappingProxyType({"type": "object", "properties": {}})
    policy = ToolPolicy(effect=SideEffect.NONE, expected_seconds=0.001, timeout_seconds=0.5)

    def __init__(self, look: Callable[[ToolContext], object]) -> None:
        self.look = look

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        return ToolResult(True, str(self.look(context)))


Look = Callable[[Callable[[ToolContext], object]], House]


@pytest.fixture
def looking(
    tmp_path: Path, session: Session, agent: AgentProfile, pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """A house whose agent has one more tool, which looks as it is told."""
    monkeypatch.setattr(settings, "PASTE_IN_PLACE_SECONDS", 0.02)
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    Session.objects.filter(pk=session.pk).update(world={"root": str(tmp_path)})
    agent.tools.set([register_tool("builtin", catalog.BUILTIN["read_file"])])
    session.refresh_from_db()
    houses = []

    def built(look: Callable[[ToolContext], object]) -> House:
        houses.append(House(session, with_tool(Looks(look), agent, monkeypatch), tmp_path))
        return houses[-1]

    yield built
    for house in houses:
        house.close()


def looks(call_id: str = "1.0") -> RequestedCall:
    return RequestedCall(call_id, "looks", {})


def kinds(house: House) -> list[str]:
    return list(house.session.events.order_by("seq").values_list("kind", flat=True))


def stop_when_told(context: ToolContext) -> None:
    while not context.should_stop():
        time.sleep(0.01)
    raise ToolStopped


def test_nothing_of_a_cheap_read_is_stored_before_it_is_over(looking: Look) -> None:
    house = looking(lambda context: ToolJob.objects.count() + house.session.events.count())
    (message,) = house.answer(looks())
    assert message.content == "0"
    assert kinds(house) == WHOLE_LIFE
    job = ToolJob.objects.get()
    assert (job.status, job.pool_id, job.call_id, job.attempt) == (JobStatus.SUCCEEDED, None, "1.0", 1)


def test_its_moments_are_those_at_which_it_happened(looking: Look) -> None:
    house = looking(lambda context: time.sleep(0.04))
    house.answer(looks("1.0"), looks("1.1"))
    at = {(event.kind, event.payload["job"]): event.at for event in house.session.events.all()}
    for job in ToolJob.objects.all():
        asked, started, ended = (at[kind, str(job.pk)] for kind in ("call_asked", "job_started", "job_ended"))
        assert job.started_at is not None and job.ended_at is not None
        assert asked <= started and (ended - started).total_seconds() >= 0.04
        assert abs((job.created_at - asked).total_seconds()) < 0.02
        assert abs((job.started_at - started).total_seconds()) < 0.02
        assert 0.04 <= (job.ended_at - job.started_at).total_seconds() < 0.1
    first, second = ToolJob.objects.order_by("call_id")
    waited = at["job_started", str(second.pk)] - at["call_asked", str(first.pk)]
    assert waited.total_seconds() >= 0.04, "both were asked for at once, and the second waited"


def test_one_that_takes_longer_is_told_as_running_meanwhile(looking: Look) -> None:
    def until_told(context: ToolContext) -> str:
        wait_for(ToolJob.objects.filter(status=JobStatus.RUNNING, lease_until__isnull=False).exists, 5)
        return ",".join(kinds(house))

    house = looking(until_told)
    (message,) = house.answer(looks())
    assert message.content.split(",") == WHOLE_LIFE[:3]
    assert kinds(house) == WHOLE_LIFE
    job = ToolJob.objects.get()
    assert (job.status, job.pool_id, job.attempt) == (JobStatus.SUCCEEDED, None, 1)
    assert job.ended_at is not None and job.started_at is not None
    assert (job.ended_at - job.started_at).total_seconds() >= in_place.TOLD_AFTER_SECONDS


def test_one_that_does_not_end_is_stopped_when_its_time_is_over(looking: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speculation.jobs.LEASE_SECONDS", 0.3)  # how often it is looked at
    (message,) = (house := looking(stop_when_told)).answer(looks())
    assert not message.ok and "did not end within 0.5 s" in message.content
    assert kinds(house) == WHOLE_LIFE


def test_where_the_worker_is_lost_meanwhile_nothing_was_and_the_next_owner_reads_it(looking: Look) -> None:
    house = looking(lambda context: house.hand_over_to_another_worker())
    with pytest.raises(SessionLost):
        house.answer(looks())
    assert (ToolJob.objects.count(), kinds(house)) == (0, [])
    house = looking(lambda context: "seen")
    (message,) = house.answer(looks(), attempt=2)
    assert message.content == "seen" and kinds(house) == WHOLE_LIFE


def test_a_long_one_of_a_session_that_is_lost_is_stopped(looking: Look) -> None:
    def lose_and_go_on(context: ToolContext) -> None:
        house.hand_over_to_another_worker()
        stop_when_told(context)

    house = looking(lose_and_go_on)
    with pytest.raises(SessionLost):
        house.answer(looks())
    assert (ToolJob.objects.count(), kinds(house)) == (0, [])


def test_one_that_was_told_and_then_given_to_a_tools_worker_is_answered_by_that(looking: Look, broker_url: str) -> None:
    def outlive_the_lease(context: ToolContext) -> str:
        wait_for(ToolJob.objects.filter(status=JobStatus.RUNNING).exists, 5)
        job = ToolJob.objects.get()
        let_lease_run_out(job)
        assert recovery.sweep()["jobs_of_lost_workers"] == 1
        return "too late"

    house = looking(outlive_the_lease)
    answering = house.answering(looks())
    wait_for(ToolJob.objects.filter(status=JobStatus.QUEUED, pool_id="tools").exists)
    house.box["looks"].tool.look = lambda context: "in time"  # type: ignore[attr-defined]
    job = ToolJob.objects.get()
    started = house.start(job)
    worker.perform(started)
    (message,) = answering.result(10)
    assert message.content == "in time"
    assert kinds(house).count("call_returned") == 1


def test_it_is_stored_although_all_connections_were_cut_meanwhile(looking: Look) -> None:
    house = looking(lambda context: end_all_other_connections(settings.DATABASE_URL) >= 1)
    (message,) = house.answer(looks())
    assert message.content == "True" and kinds(house) == WHOLE_LIFE
    job = ToolJob.objects.get()
    assert job.started_at is not None and job.ended_at is not None
    told = house.session.events.get(kind="job_ended")
    assert told.payload["run_seconds"] == pytest.approx((job.ended_at - job.started_at).total_seconds(), abs=0.001)
    assert told.payload["run_seconds"] < AGAIN_AFTER_SECONDS[0], "what storing it took is no part of the run"


def test_it_is_stored_once_where_the_word_that_it_was_is_lost(looking: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    tell = in_place._Read._tell
    losing = [True]

    def tell_and_lose_the_answer(*arguments: Any) -> None:
        tell(*arguments)
        if losing.pop():
            losing.append(False)
            raise OperationalError("the connection was lost")

    monkeypatch.setattr(in_place._Read, "_tell", tell_and_lose_the_answer)
    (message,) = (house := looking(lambda context: "seen")).answer(looks())
    assert message.content == "seen" and kinds(house) == WHOLE_LIFE


def test_the_same_read_again_counts_how_often_it_was_asked_for(looking: Look) -> None:
    house = looking(lambda context: context.repeat)
    told = house.answer(looks("1.0"), looks("1.1")) + house.answer(looks("2.0"))
    assert [message.content for message in told] == ["0", "1", "2"]
    assert list(ToolJob.objects.order_by("call_id").values_list("repeat", flat=True)) == [0, 1, 2]


def test_what_was_guessed_or_has_a_job_is_not_read_at_once(looking: Look) -> None:
    house = looking(lambda context: "seen")
    house.answer(read("1.0", path="other.txt"))
    house.guess("a.txt")
    asked = [house.asked("1.0", path="other.txt"), house.asked("2.0", path="a.txt"), house.asked("2.1", path="b.txt")]
    assert in_place.at_once(house.session.pk, asked) == {"2.1": 0}


def test_a_whole_that_was_guessed_is_looked_at_before_its_part_is_read(looking: Look) -> None:
    house = looking(lambda context: "seen")
    house.guess_and_run("a.txt")
    house.answer(read("1.0", first_line=1, last_line=1))
    assert house.told("call_asked")[-1]["outcome"] == "used"


def test_a_box_of_cheap_tools_that_write_or_share_state_reads_none_of_them_at_once(looking: Look) -> None:
    house = looking(lambda context: "seen")
    spec = house.box["looks"].spec_of({})
    writes = AskedCall("1.0", 1, replace(spec, effect=SideEffect.WRITE))
    shares = AskedCall("1.1", 1, replace(spec, scope="orders"))
    by_worker = AskedCall("1.2", 1, replace(spec, pool_id="tools"))
    assert in_place.at_once(house.session.pk, [writes, shares, by_worker]) == {}
