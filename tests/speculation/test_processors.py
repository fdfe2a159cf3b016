"""How much of the processors real work uses, by the kernel's count."""

import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import pytest

from speculation import processors, resting
from speculation.engine.scheduling import Refused
from speculation.processors import FORGOTTEN_AFTER_SECONDS, LOOK_EVERY_SECONDS, Processors


class Kernel:
    """Two processors, a hundred ticks a second each."""

    def __init__(self) -> None:
        self.now = 50.0
        self.counts = [1000, 200, 300, 9000, 10, 0, 5, 40]

    def live(self, seconds: float, **ticks: int) -> None:
        names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
        self.now += seconds
        self.counts = [count + ticks.get(name, 0) for name, count in zip(names, self.counts, strict=True)]

    def looked_at(self) -> Processors:
        """After one look, which tells nothing."""
        machine = Processors(lambda: list(self.counts), lambda: self.now)
        assert machine.real_use() == 0.0
        return machine


def test_what_guesses_use_counts_as_free_and_what_others_took_as_used() -> None:
    kernel = Kernel()
    machine = kernel.looked_at()
    kernel.live(1.0, user=60, system=20, steal=20, nice=40, idle=50, iowait=10)
    assert machine.real_use() == pytest.approx(0.5)


def test_it_looks_once_a_second_at_the_last_seconds() -> None:
    kernel = Kernel()
    machine = kernel.looked_at()
    kernel.live(LOOK_EVERY_SECONDS, user=200)
    assert machine.real_use() == 1.0
    kernel.live(LOOK_EVERY_SECONDS / 2, idle=100)
    assert machine.real_use() == 1.0
    kernel.live(LOOK_EVERY_SECONDS / 2, idle=100)
    assert machine.real_use() == 0.5
    for _ in range(5):
        kernel.live(LOOK_EVERY_SECONDS, idle=200)
        seen = machine.real_use()
    assert seen == 0.0, "the busy second lies before the window"


def test_a_share_of_a_long_time_ago_is_none_of_now() -> None:
    kernel = Kernel()
    machine = kernel.looked_at()
    kernel.live(FORGOTTEN_AFTER_SECONDS, user=2000)
    assert machine.real_use() == 0.0
    kernel.live(1.0, user=150, idle=50)
    assert machine.real_use() == 0.75


@pytest.mark.parametrize("counts", [[], [1, 2, 3]])
def test_where_the_kernel_does_not_tell_nothing_is_known(counts: Sequence[int]) -> None:
    moments = iter((1.0, 2.0, 3.0))
    machine = Processors(lambda: counts, lambda: next(moments))
    assert [machine.real_use() for _ in range(3)] == [0.0] * 3


def test_this_machine_is_read() -> None:
    assert 0.0 <= Processors().real_use() <= 1.0
    assert len(processors._read()) in (0, 8)


@pytest.mark.parametrize(
    ("use", "most_percent", "expected"),
    [(0.71, 70.0, Refused.PROCESSORS_BUSY), (0.69, 70.0, None), (1.0, 100.0, None)],
)
def test_forecasts_rest_while_real_work_needs_the_processors(
    use: float,
    most_percent: float,
    expected: Refused | None,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    settings.PASTE_REST_ABOVE_PERCENT = most_percent
    monkeypatch.setattr(processors.of_this_machine, "real_use", lambda: use)
    assert resting.reason() == expected


@pytest.mark.parametrize(
    ("use", "most_percent", "expected"),
    [(0.2, 50.0, 1.2), (0.6, 50.0, -0.4), (0.0, 50.0, 2.0), (1.0, 100.0, float("inf"))],
)
def test_guesses_may_take_what_real_work_leaves_below_the_bound(
    use: float, most_percent: float, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processors.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(processors.of_this_machine, "real_use", lambda: use)
    assert processors.left_for_guesses(most_percent) == pytest.approx(expected)


def test_a_tool_that_was_never_measured_is_taken_for_one_that_computes() -> None:
    assert processors.cost_of(None) == processors.cost_of(1.0) > processors.cost_of(0.1) > processors.cost_of(0.0) == 0.0


def test_what_a_thread_and_its_programs_compute_is_counted_and_what_they_wait_is_not() -> None:
    before, alone = processors.used_here(with_programs=True), processors.used_here(with_programs=False)
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.3: pass"], check=True)
    in_program = processors.used_here(with_programs=True) - before
    assert in_program >= 0.3 > processors.used_here(with_programs=False) - alone
    deadline = time.thread_time() + 0.1
    while time.thread_time() < deadline:
        pass
    assert processors.used_here(with_programs=True) - before >= in_program + 0.1
    before = processors.used_here(with_programs=True)
    time.sleep(0.3)
    assert processors.used_here(with_programs=True) - before < 0.15
