"""A share of served guesses is run again and compared; nothing else about the session changes by it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speculation import scheduler, worker
from speculation.models import BreakerOpening, JobStatus, Session, ToolJob, ToolRecord, WorkerPool
from speculation.queries import told
from speculation.verification import difference
from tests.speculation.board import Reader, fresh, put_up_board, run, start
from tests.speculation.breaking import set_default_limits
from tools.base import ToolResult


@pytest.fixture
def reader(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_session: Callable[[], Session],
    pool: WorkerPool,
    broker_url: str,
) -> Reader:
    put_up_board(tmp_path / "board.txt", monkeypatch)
    return Reader(make_session())


def serve_and_check(reader: Reader) -> tuple[ToolJob, list[ToolJob]]:
    served = reader.guess_and_run()
    assert reader.ask().pk == served.pk
    return served, scheduler.verify(reader.session.pk, reader.session.attempt, [fresh(served)])


def test_a_second_run_that_says_the_same_confirms_the_served_result_volatile_fields_aside(reader: Reader) -> None:
    _, (check,) = serve_and_check(reader)
    check = run(check)
    assert (check.status, check.end_reason) == (JobStatus.DISCARDED, "verified")
    assert reader.told("checked")[-1]["differs_at"] == ""
    assert ToolRecord.objects.get(name="read_board").verified == 1


def test_a_second_run_that_says_something_else_contradicts_the_served_result_and_opens_the_breaker(
    reader: Reader, tmp_path: Path
) -> None:
    set_default_limits()
    _, (check,) = serve_and_check(reader)
    (tmp_path / "board.txt").write_text("changed behind our back")
    check = run(check)
    assert (check.status, check.end_reason) == (JobStatus.DISCARDED, "diverged")
    assert reader.told("checked")[-1]["differs_at"] == "structured.lines"
    tool = ToolRecord.objects.get(name="read_board")
    assert (tool.verified, tool.diverged) == (0, 1)
    assert BreakerOpening.objects.get().kind == "divergence"


def test_a_second_run_is_never_served(reader: Reader) -> None:
    _, (check,) = serve_and_check(reader)
    assert reader.ask().pk != check.pk
    worker.perform(start(check))
    assert reader.ask().pk != check.pk and fresh(check).call_id is None


def test_nothing_is_checked_once_the_world_has_moved_on(reader: Reader) -> None:
    served = reader.guess_and_run()
    reader.ask()
    run(reader.ask("post_to_board", word="news"))
    assert scheduler.verify(reader.session.pk, reader.session.attempt, [fresh(served)]) == []


def test_a_check_takes_only_slack(reader: Reader) -> None:
    WorkerPool.objects.update(slots=1, reserved=1)
    _, checks = serve_and_check(reader)
    assert checks == []


def test_a_check_counts_neither_as_a_guess_nor_as_waste(reader: Reader) -> None:
    _, (check,) = serve_and_check(reader)
    run(check)
    figures = told(Session.objects.get(pk=reader.session.pk)).figures
    assert figures.wasted_seconds == 0.0


@pytest.mark.parametrize(
    ("served", "again", "differs_at"),
    [
        (ToolResult(True, "a"), ToolResult(True, "a"), ""),
        (ToolResult(True, "a"), ToolResult(True, "b"), "content"),
        (ToolResult(True, "a"), ToolResult(False, "a"), "ok"),
        (ToolResult(True, "a", blocks=({"data": "A"},)), ToolResult(True, "a", blocks=({"data": "A"},)), ""),
        (ToolResult(True, "a", blocks=({"data": "A"},)), ToolResult(True, "a", blocks=({"data": "B"},)), "content"),
        (ToolResult(True, "a", {"x": [1, {"y": 2}]}), ToolResult(True, "b", {"x": [1, {"y": 2}]}), ""),
        (ToolResult(True, "a", {"x": [1, {"y": 2}]}), ToolResult(True, "a", {"x": [1, {"y": 3}]}), "structured.x.1.y"),
        (ToolResult(True, "a", {"x": [1]}), ToolResult(True, "a", {"x": [1, 2]}), "structured.x"),
        (ToolResult(True, "a", {"at": 1, "x": 1}), ToolResult(True, "a", {"at": 2, "x": 1}), ""),
        (ToolResult(True, "a", {"x": 1}), ToolResult(True, "a"), "structured"),
    ],
)
def test_a_difference_is_named_by_its_place_and_never_by_its_values(
    served: ToolResult, again: ToolResult, differs_at: Any
) -> None:
    assert difference(served, again, frozenset({"at"})) == differs_at
