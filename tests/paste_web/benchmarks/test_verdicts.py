"""What the sections make of their samples, without running any."""

import pytest

from paste_web.benchmarks import harm, throttle
from paste_web.benchmarks.harm import Lived
from paste_web.benchmarks.quantities import Interval
from paste_web.benchmarks.throughput import saturation


def interval(mean: float, half: float) -> Interval:
    return Interval(mean, mean - half, mean + half, 30)


@pytest.mark.parametrize(
    ("rise", "control", "narrow", "holds"),
    [
        (interval(0.002, 0.005), interval(0.0, 0.005), True, True),
        (interval(0.009, 0.0061), interval(0.0, 0.005), True, False),
        (interval(-0.02, 0.005), interval(0.0, 0.011), False, False),
        (interval(0.0149, 0.0), interval(0.02, 0.005), True, True),
    ],
)
def test_harm_is_ruled_out_only_by_a_narrow_control_and_a_low_upper_bound(
    rise: Interval, control: Interval, narrow: bool, holds: bool
) -> None:
    found = harm.verdict(rise, control)
    assert (found["control_is_narrow_enough"], found["holds"]) == (narrow, holds)
    assert found["allowed"] == pytest.approx(0.01 + control.half_width)


def test_harm_is_paired_block_by_block() -> None:
    lived = {
        name: Lived(means=means, task_seconds=means)
        for name, means in {"off": [1.0, 10.0], "all_wrong": [1.1, 11.0], "off_again": [1.0, 10.0]}.items()
    }
    found = harm.compared(lived)
    assert found["rise"]["mean"] == pytest.approx(0.1)
    assert found["rise"]["half_width"] == pytest.approx(0.0, abs=1e-9)
    assert found["control"]["mean"] == 0.0
    assert found["verdict"]["holds"] is False


def test_one_pair_proves_nothing() -> None:
    lived = {name: Lived(means=[1.0], task_seconds=[1.0]) for name in harm.ARMS}
    assert harm.compared(lived)["verdict"]["holds"] is False


def row(arm: str, sessions: int, a_minute: float) -> dict[str, object]:
    processors = {"agents worker": 0.4, "tools workers": 1.2}
    return {
        "arm": arm,
        "sessions": sessions,
        "calls_a_minute": a_minute,
        "processors": processors,
        "processors_in_all": 1.6,
    }


def test_saturation_is_where_more_sessions_give_less_than_their_share() -> None:
    rows = [
        row("off", 1, 10),
        row("on", 1, 20),
        row("off", 8, 79),
        row("on", 8, 100),
        row("off", 32, 200),
        row("on", 32, 100),
    ]
    off, on = saturation(rows, 2)
    assert off.startswith("Speculation off: saturated at 32 sessions") and "tools workers (1.20)" in off
    assert on.startswith("Speculation on: saturated at 8 sessions") and "100 calls a minute of the 160" in on
    assert saturation(rows[:1], 2) == ["Speculation off: not saturated."]


def levels(**ratios: list[float]) -> throttle.Ratios:
    return {name[1:]: values for name, values in ratios.items()}


def test_savings_that_shrink_with_the_throttle_fall_gracefully() -> None:
    found = throttle.summed_up(levels(_0=[0.6, 0.7], _50=[0.8, 0.9], _100=[1.0, 1.0]), {"0": 5, "50": 2, "100": 0})
    assert [row["savings"]["mean"] for row in found["levels"]] == pytest.approx([0.35, 0.15, 0.0])
    assert [row["hits"] for row in found["levels"]] == [5, 2, 0]
    assert found["falls_gracefully"] and found["is_never_negative"]


def test_a_throttle_that_costs_time_is_negative_and_not_graceful() -> None:
    ratios = levels(_0=[1.10, 1.11, 1.10, 1.11], _50=[1.0, 1.01, 1.0, 1.01])
    found = throttle.summed_up(ratios, {"0": 0, "50": 0})
    assert not found["is_never_negative"]
    assert not found["falls_gracefully"]
