"""Waiting ends at once when nobody waits any more, and stand-in latency depends on the call alone."""

import threading
import time

import pytest

from tools.base import ToolContext, ToolStopped, ToolTimeout
from tools.catalog import BUILTIN
from tools.waiting import pause, run_stoppable, stand_in_for_network


def _context(context: ToolContext, after_seconds: float) -> ToolContext:
    stop_at = time.monotonic() + after_seconds
    return ToolContext(root=context.root, network_latency_seconds=60, should_stop=lambda: time.monotonic() > stop_at)


def test_a_pause_ends_within_100_ms_of_a_stop(context: ToolContext) -> None:
    began_at = time.monotonic()
    with pytest.raises(ToolStopped):
        pause(60, _context(context, 0.1))
    with pytest.raises(ToolStopped):
        stand_in_for_network(BUILTIN["get_record"], {"table": "a", "key": "b"}, _context(context, 0.1))
    assert time.monotonic() - began_at < 2 * (0.1 + 0.1)


def test_latency_differs_between_calls_and_stays_within_its_stated_range(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("tools.waiting.pause", lambda seconds, _: waited.append(seconds))
    networked = ToolContext(root=context.root, network_latency_seconds=2)
    for _ in range(2):
        for number in range(200):
            stand_in_for_network(BUILTIN["get_record"], {"table": "a", "key": number}, networked)
    assert waited[:200] == waited[200:] and len(set(waited)) == 200
    assert 1.2 <= min(waited) < 1.3 and 2.7 < max(waited) <= 2.8
    stand_in_for_network(BUILTIN["get_record"], {"table": "a", "key": 1}, context)
    assert len(waited) == 400


def test_blocking_work_is_interrupted_at_its_limit_and_by_a_stop(context: ToolContext) -> None:
    for limit_seconds, after_seconds, expected in ((0.1, 60, ToolTimeout), (60, 0.1, ToolStopped)):
        interrupted = threading.Event()
        with pytest.raises(expected):
            run_stoppable(
                lambda: interrupted.wait(10),  # noqa: B023 - it has ended before the next round
                _context(context, after_seconds),
                limit_seconds=limit_seconds,
                interrupt=interrupted.set,
            )
        assert interrupted.is_set()


def test_what_blocking_work_returns_or_raises_arrives(context: ToolContext) -> None:
    assert run_stoppable(lambda: 7, context, limit_seconds=5, interrupt=lambda: None) == 7
    with pytest.raises(ZeroDivisionError):
        run_stoppable(lambda: 1 / 0, context, limit_seconds=5, interrupt=lambda: None)
