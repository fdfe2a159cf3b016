"""Where no slot is free for anybody's guess, or real work needs the processors, forecasts rest for a moment."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from speculation import processors, resting
from speculation.agent.types import TextDelta
from speculation.engine.scheduling import Refused
from speculation.forecast import Forecast
from speculation.jobs import POOL
from speculation.models import WorkerPool
from speculation.resting import REST_SECONDS, Rest
from speculation.scheduler import AskedCall
from tests.speculation.foreseen import guess, guesses, hear, predicted, wait_for


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


@pytest.mark.slow
def test_busy_processors_let_forecasts_rest_and_are_the_reason_that_a_call_was_not_served(
    listen: Callable[..., Forecast], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.PASTE_REST_ABOVE_PERCENT = 70.0
    use = [0.9]
    monkeypatch.setattr(processors.of_this_machine, "real_use", lambda: use[0])
    forecast = listen(guess("read_file", 0.5, path="a.txt"))
    wait_for(lambda: forecast._pending is not None and forecast._pending.done())
    assert guesses(forecast) == {} and forecast.why_unserved(_asked(forecast)) == Refused.PROCESSORS_BUSY
    use[0] = 0.5
    time.sleep(REST_SECONDS)
    hear(forecast, TextDelta("I will now read."))
    wait_for(lambda: set(guesses(forecast)) == {"a.txt"})


def _asked(forecast: Forecast) -> AskedCall:
    return AskedCall("1.0", 1, forecast.toolbox["read_file"].spec_of({"path": "a.txt"}))
