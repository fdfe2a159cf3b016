"""Serving and speculating, raced over real connections; no worker runs here, so jobs stay where admission put them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db.models.functions import Now

from speculation import jobs, processors, scheduler
from speculation.engine.types import Prediction, ToolTraits
from speculation.engine.utility import Bid
from speculation.known_jobs import MOST_GUESSES
from speculation.models import JobStatus, Session, ToolJob, ToolRecord, WorkerPool
from speculation.scheduler import AskedCall, Forecasted, Offer
from speculation.slack import Capacity
from tests.speculation.conftest import Desk, Race
from tools.base import ToolCall

TRAITS = ToolTraits("read_file", reads_only=True, changes_world=False)


@pytest.fixture(autouse=True)
def broker(broker_url: str) -> None:
    """Jobs are sent to a broker whose queue nobody reads."""


@pytest.fixture
def desk_of(read_tool: ToolRecord, write_tool: ToolRecord, pool: WorkerPool) -> Callable[[Session], Desk]:
    return lambda session: Desk(session, read_tool, write_tool, pool)


def offer(desk: Desk, path: str, utility: float = 1.0, min_interval_seconds: float = 0.0) -> Offer:
    spec = desk.spec(path)
    prediction = Prediction(ToolCall("read_file", spec.arguments), 0.8, 0.9, "* => read_file", 3.0)
    return Offer(Bid(prediction, spec.fingerprint, 1.0, 0.1, utility), spec, TRAITS, None, Capacity(100, min_interval_seconds))


def speculate(desk: Desk, *offers: Offer, epoch: int = 0) -> list[ToolJob]:
    return list(scheduler.speculate(desk.session.pk, 1, Forecasted(1, epoch, offers)).jobs)


def ask(desk: Desk, call_id: str, path: str, **options: Any) -> ToolJob:
    return scheduler.serve(desk.session.pk, 1, [AskedCall(call_id, 1, desk.spec(path, **options))])[0]


def busy_guesses() -> int:
    return ToolJob.objects.filter(call_id=None, status__in=[JobStatus.QUEUED, JobStatus.RUNNING]).count()


def verdicts(desk: Desk) -> list[str]:
    return [
        one["verdict"] for event in desk.session.events.filter(kind="predicted") for one in event.payload["candidates"]
    ]


def test_speculation_takes_no_more_slots_than_the_slack_and_says_why_the_rest_is_refused(desk: Desk) -> None:
    made = speculate(desk, *(offer(desk, f"{n}.txt", utility=n) for n in range(1, 6)))
    assert len(made) == 3, "four slots, one reserved"
    assert {job.utility for job in made} == {3.0, 4.0, 5.0}, "the most useful ones"
    assert sorted(verdicts(desk)) == ["admitted"] * 3 + ["no free slot"] * 2


def test_a_better_guess_replaces_the_worst_queued_one(desk: Desk) -> None:
    speculate(desk, *(offer(desk, f"{n}.txt", utility=n) for n in (1, 2, 3)))
    speculate(desk, offer(desk, "best.txt", utility=9.0))
    jobs = {job.arguments["path"]: (job.status, job.end_reason) for job in ToolJob.objects.all()}
    assert jobs["1.txt"] == (JobStatus.PREEMPTED, "replaced by a better guess")
    assert jobs["best.txt"][0] == JobStatus.QUEUED
    assert busy_guesses() == 3


def test_a_guess_that_was_tried_and_failed_is_not_told_as_admitted_when_it_comes_again(desk: Desk) -> None:
    speculate(desk, offer(desk, "a.txt"))
    ToolJob.objects.update(status=JobStatus.FAILED, ended_at=Now())
    assert speculate(desk, offer(desk, "a.txt")) == []
    assert verdicts(desk) == ["admitted", "already held"]


def test_a_forecast_from_before_a_write_or_a_decision_launches_nothing(desk: Desk) -> None:
    assert speculate(desk, offer(desk, "a.txt"), epoch=2) == []
    stale = offer(desk, "a.txt")
    ToolRecord.objects.filter(pk=desk.read_tool.pk).update(policy_version=2)
    assert speculate(desk, stale) == []


def test_nothing_is_launched_while_speculation_is_paused(desk: Desk, pool: WorkerPool) -> None:
    WorkerPool.objects.filter(pk=pool.pk).update(is_paused=True)
    assert speculate(desk, offer(desk, "a.txt")) == []
    assert verdicts(desk) == ["speculation paused"]


def test_a_call_gets_the_guess_that_was_made_for_it_and_the_log_says_how_far_it_had_got(desk: Desk) -> None:
    (guess,) = speculate(desk, offer(desk, "a.txt"))
    job = ask(desk, "1.0", "a.txt")
    assert job.pk == guess.pk
    assert desk.session.events.get(kind="call_asked").payload["outcome"] == "raised"


def test_a_call_asked_for_again_after_a_crash_finds_its_own_job(desk: Desk) -> None:
    first, again = ask(desk, "1.0", "a.txt"), ask(desk, "1.0", "a.txt")
    assert first.pk == again.pk
    assert desk.session.events.filter(kind="call_asked").count() == 1


def test_a_call_that_no_guess_served_says_why(desk: Desk) -> None:
    ask(desk, "1.0", "a.txt")
    ask(desk, "1.1", "b.txt", writes=True)
    reasons = [event.payload["reason"] for event in desk.session.events.filter(kind="call_asked")]
    assert reasons == ["not predicted", "writes: not eligible"]


def test_real_work_takes_slots_from_the_least_useful_guesses_at_once(desk: Desk) -> None:
    speculate(desk, *(offer(desk, f"{n}.txt", utility=n) for n in (1, 2, 3)))
    for number in range(3):
        ask(desk, f"1.{number}", f"real{number}.txt")
    given_up = ToolJob.objects.filter(status=JobStatus.PREEMPTED)
    assert {job.utility for job in given_up} == {1.0, 2.0}
    assert {job.end_reason for job in given_up} == {"slot needed"}


def test_sessions_speculating_at_once_never_take_more_than_the_slack(
    make_session: Callable[[], Session], desk_of: Callable[[Session], Desk], race: Race
) -> None:
    for _ in range(20):
        desks = [desk_of(make_session()) for _ in range(4)]
        race.run(*[partial(speculate, one, offer(one, "a.txt"), offer(one, "b.txt")) for one in desks])
        assert busy_guesses() == 3
        ToolJob.objects.all().delete()


def test_serving_speculating_and_making_room_at_once_never_deadlock(
    make_session: Callable[[], Session], desk_of: Callable[[Session], Desk], race: Race
) -> None:
    """The pool's holder waits for sessions, and a session's holder inserts jobs that refer to the pool."""
    desks = [desk_of(make_session()) for _ in range(2)]
    for n in range(30):
        race.run(
            partial(speculate, desks[0], offer(desks[0], f"{n}.txt", utility=n)),
            partial(ask, desks[0], f"{n}.0", f"{n}.txt"),
            partial(speculate, desks[1], offer(desks[1], f"{n}.txt", utility=n)),
            partial(ask, desks[1], f"{n}.0", f"other{n}.txt"),
        )
    answered = ToolJob.objects.filter(call_id__isnull=False).values_list("session", "call_id")
    assert len(set(answered)) == 60


def started(desk: Desk, *made: ToolJob) -> None:
    """A worker took them, and let go of them again."""
    assert len(made) > 0
    ToolJob.objects.filter(pk__in=[job.pk for job in made]).update(
        status=JobStatus.PREEMPTED, started_at=Now(), ended_at=Now(), end_reason="test"
    )


def test_a_session_whose_guesses_have_cost_its_budget_makes_no_more(desk: Desk, settings: Any) -> None:
    settings.PASTE_SPECULATION_SECONDS_A_SESSION = 2 * TRAITS.expected_seconds
    started(desk, *speculate(desk, offer(desk, "a.txt"), offer(desk, "b.txt")))
    assert speculate(desk, offer(desk, "c.txt")) == []
    assert verdicts(desk)[-1] == "over session budget"


def test_what_all_sessions_guess_in_a_minute_is_bounded(desk: Desk, settings: Any) -> None:
    settings.PASTE_SPECULATION_SECONDS_A_MINUTE = 1.5 * TRAITS.expected_seconds
    started(desk, *speculate(desk, offer(desk, "a.txt")))
    assert speculate(desk, offer(desk, "b.txt")) == []
    assert verdicts(desk)[-1] == "over budget"
    ToolJob.objects.update(created_at=Now() - timedelta(minutes=2))
    assert len(speculate(desk, offer(desk, "b.txt"))) == 1


def test_a_guess_of_a_tool_with_a_rate_leaves_the_next_interval_to_the_call_that_comes(desk: Desk) -> None:
    started(desk, *speculate(desk, offer(desk, "a.txt", min_interval_seconds=30.0)))
    assert speculate(desk, offer(desk, "b.txt", min_interval_seconds=30.0)) == []
    assert verdicts(desk)[-1] == "tool rate"
    ToolJob.objects.update(created_at=Now() - timedelta(seconds=61))
    assert len(speculate(desk, offer(desk, "b.txt", min_interval_seconds=30.0))) == 1


def test_a_throttle_holds_back_its_share_of_the_guesses_and_the_same_ones_when_asked_again(desk: Desk) -> None:
    WorkerPool.objects.update(throttle_percent=50, slots=100)
    offers = [offer(desk, f"{n}.txt") for n in range(4)]
    first = {job.arguments["path"] for job in speculate(desk, *offers)}
    assert speculate(desk, *offers) == []
    WorkerPool.objects.update(throttle_percent=0)
    assert {job.arguments["path"] for job in speculate(desk, *offers)} == {f"{n}.txt" for n in range(4)} - first


def test_a_full_throttle_stops_every_guess_and_says_so(desk: Desk) -> None:
    WorkerPool.objects.update(throttle_percent=100)
    assert speculate(desk, offer(desk, "a.txt"), offer(desk, "b.txt")) == []
    assert verdicts(desk) == ["throttled", "throttled"]


def test_guesses_leave_a_tools_reserve_to_real_calls(desk: Desk) -> None:
    tight = [replace(offer(desk, f"{n}.txt"), capacity=Capacity(3, reserved=1)) for n in range(3)]
    assert len(speculate(desk, *tight)) == 2
    assert verdicts(desk).count("tool at capacity") == 1


def test_a_tool_that_bears_one_call_at_a_time_may_be_guessed_and_gives_way_to_a_real_call(desk: Desk) -> None:
    (guess,) = speculate(desk, replace(offer(desk, "a.txt"), capacity=Capacity(1, reserved=1)))
    assert desk.start(guess)
    one_at_a_time = replace(desk.spec("b.txt"), max_parallel=1)
    (asked,) = scheduler.serve(desk.session.pk, 1, [AskedCall("1.0", 1, one_at_a_time)])
    guess.refresh_from_db()
    assert (guess.status, guess.end_reason) == (JobStatus.PREEMPTED, "slot needed")
    assert asked.status == JobStatus.QUEUED


def test_a_call_that_is_asked_again_finds_its_own_job_behind_many_newer_guesses(desk: Desk) -> None:
    first = ask(desk, "1.0", "a")
    for _ in range(MOST_GUESSES + 1):
        newer = desk.speculate("a")
        assert newer is not None and desk.move(jobs.preempt, newer, "refuted")
    assert ask(desk, "1.0", "a").pk == first.pk


@pytest.mark.parametrize(
    ("processors_of_tool", "use", "admitted"), [(1.0, 0.4, 0), (0.0, 0.4, 3), (1.0, 0.1, 2), (None, 0.1, 2), (0.0, 0.6, 0)]
)
def test_guesses_that_compute_wait_until_real_work_leaves_processors_for_them(
    desk: Desk, processors_of_tool: float | None, use: float, admitted: int, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processors, of which half are for real work: a guess that computes takes a third of one, also once it runs."""
    settings.PASTE_REST_ABOVE_PERCENT = 50.0
    monkeypatch.setattr(processors.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(processors.of_this_machine, "real_use", lambda: use)
    ToolRecord.objects.filter(pk=desk.read_tool.pk).update(processors=processors_of_tool)
    for number in range(3):
        one = offer(desk, f"{number}.txt")
        speculate(desk, replace(one, capacity=Capacity(100, processors=processors.cost_of(processors_of_tool))))
    assert busy_guesses() == admitted
    assert verdicts(desk) == ["admitted"] * admitted + ["processors busy"] * (3 - admitted)
