"""What the other side says of itself, through the worker: that it does not know us, and how much more it takes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from speculation.models import BreakerOpening, JobStatus, Session, ToolQuota, WorkerPool
from tests.speculation.board import ReadBoard, Reader, put_up_board, run
from tests.speculation.breaking import set_default_limits
from tools.base import NotAuthorized, Quota, ToolContext, ToolResult


@pytest.fixture
def reader(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_session: Callable[[], Session],
    pool: WorkerPool,
    broker_url: str,
) -> Reader:
    put_up_board(tmp_path / "board.txt", monkeypatch)
    set_default_limits()
    return Reader(make_session())


def refuse(tool: ReadBoard, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
    raise NotAuthorized("The board does not know us.")


def answer_with_quota(tool: ReadBoard, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
    return ToolResult(True, "read", quota=Quota(left=3, resets_in_seconds=60))


def test_a_guess_that_is_refused_for_our_credentials_opens_the_breaker(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReadBoard, "run", refuse)
    guess = reader.guess_and_run()
    assert (guess.status, guess.end_reason) == (JobStatus.FAILED, "auth")
    assert BreakerOpening.objects.get().kind == "auth"


def test_a_call_that_is_refused_for_our_credentials_is_told_so_and_opens_nothing(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReadBoard, "run", refuse)
    asked = run(reader.ask())
    assert (asked.status, asked.result["ok"]) == (JobStatus.SUCCEEDED, False)
    assert reader.told("call_returned")[-1]["content"] == "The board does not know us."
    assert not BreakerOpening.objects.exists()


def test_a_quota_below_the_floor_opens_the_breaker_until_it_is_reset(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReadBoard, "run", answer_with_quota)
    reader.guess_and_run()
    opening, quota = BreakerOpening.objects.get(), ToolQuota.objects.get()
    assert (opening.kind, quota.left, opening.open_until) == ("quota", 3, quota.resets_at)
