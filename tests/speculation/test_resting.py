"""Guesses leave real calls the slots that they lately wanted, and where that is all of them forecasts rest."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db.models.functions import Now

from speculation import resting, slack
from speculation.agent.types import TextDelta
from speculation.engine.scheduling import Refused
from speculation.forecast import Forecast
from speculation.jobs import POOL
from speculation.lately_wanted import are_all_wanted, lately_wanted
from speculation.models import ToolJob, WorkerPool
from speculation.resting import REST_SECONDS, Rest
from speculation.scheduler import AskedCall
from tests.speculation.conftest import Desk
from tests.speculation.foreseen import guess, guesses, hear, predicted, wait_for


def asked_ago(desk: Desk, seconds: float, count: int, *, first: int = 1, ended: bool = False) -> None:
    """So many real calls, asked for then: waiting still, or ended just now."""
    for number in range(first, first + count):
        job = desk.request(f"{number}.0", f"{number}.txt")
        fields: dict[str, Any] = {"created_at": Now() - timedelta(seconds=seconds)}
        if ended:
            fields |= {"status": "failed", "started_at": Now(), "ended_at": Now(), "result": {}}
        ToolJob.objects.filter(pk=job.pk).update(**fields)
    cache.clear()


def free(desk: Desk) -> slack.Slack:
    return slack.measure(desk.pool, desk.session, {}, ())


def test_guesses_leave_the_slots_that_calls_lately_wanted_though_they_are_free_now(desk: Desk) -> None:
    assert (free(desk).free_slots, free(desk).pool_free_slots) == (3, 3), "four, of which one is reserved"
    asked_ago(desk, 20.0, 2, ended=True)
    assert lately_wanted(desk.pool) == 2
    assert free(desk).free_slots == 2, "two of four, though only one is reserved"
    asked_ago(desk, 20.0, 2, first=3, ended=True)
    assert lately_wanted(desk.pool) == 4 and free(desk).free_slots == 0
    assert are_all_wanted()


def test_what_calls_hold_now_is_not_counted_twice(desk: Desk) -> None:
    asked_ago(desk, 20.0, 2)
    assert lately_wanted(desk.pool) == 2
    assert free(desk).free_slots == 1, "two are held, one is reserved"
    assert not are_all_wanted()


def test_a_short_call_and_a_guess_that_had_ended_before_it_was_asked_for_wanted_no_slot(desk: Desk) -> None:
    asked_ago(desk, 1.0, 4, ended=True)
    job = desk.speculate("guessed.txt")
    assert job is not None
    ToolJob.objects.filter(pk=job.pk).update(
        status="succeeded", call_id="9.0", created_at=Now() - timedelta(seconds=25), started_at=Now() - timedelta(seconds=25),
        ended_at=Now() - timedelta(seconds=20), promoted_at=Now(), result={},
    )  # fmt: skip
    cache.clear()
    assert lately_wanted(desk.pool) == 0


def test_without_a_pool_nothing_is_wanted(transactional_db: None) -> None:
    WorkerPool.objects.all().delete()
    assert not are_all_wanted()


def test_a_full_pool_lets_forecasts_rest_for_a_moment_and_a_free_slot_ends_that() -> None:
    now = [100.0]
    rest = Rest(lambda: now[0])
    assert not rest.is_on
    rest.found(free_slots=0)
    assert rest.is_on
    now[0] += REST_SECONDS
    assert not rest.is_on
    rest.found(0)
    rest.found(1)
    assert not rest.is_on


@pytest.mark.slow
def test_a_forecast_that_rests_asks_nothing_of_the_database_and_begins_late(
    listen: Callable[..., Forecast], monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = Rest()
    rest.found(0)
    monkeypatch.setattr(rest, "_until", float("inf"))
    monkeypatch.setattr(resting, "of_this_process", rest)
    forecast = listen(guess("read_file", 0.5, path="a.txt"))
    hear(forecast, TextDelta("I will "))
    wait_for(lambda: forecast._pending is not None and forecast._pending.done())
    assert not forecast.session.events.filter(kind="predicted").exists() and guesses(forecast) == {}
    assert forecast.why_unserved(_asked(forecast)) == Refused.NO_FREE_SLOT
    rest.found(1)
    time.sleep(REST_SECONDS)
    hear(forecast, TextDelta("now read."))
    wait_for(lambda: set(guesses(forecast)) == {"a.txt"})
    assert predicted(forecast)


@pytest.mark.slow
def test_a_forecast_that_finds_the_pool_full_lets_the_next_one_rest(listen: Callable[..., Forecast]) -> None:
    WorkerPool.objects.filter(name=POOL).update(slots=1, reserved=1)
    forecast = listen(guess("read_file", 0.5, path="a.txt"))
    wait_for(lambda: forecast._pending is not None and forecast._pending.done())
    assert resting.of_this_process.is_on


def _asked(forecast: Forecast) -> AskedCall:
    return AskedCall("1.0", 1, forecast.toolbox["read_file"].spec_of({"path": "a.txt"}))
