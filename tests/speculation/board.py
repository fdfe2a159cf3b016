"""A board that all sessions share, as two tools: what one session posts, the others read. And sessions that use it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from speculation import events, locks, new_jobs, scheduler, worker
from speculation.asked import AskedCall
from speculation.models import Session, ToolJob
from speculation.policy import register_tool
from speculation.specs import Guess
from speculation.toolbox import Toolbox
from tools import catalog
from tools.base import SideEffect, Tool, ToolContext, ToolPolicy, ToolResult
from tools.schema import arguments_schema, text


class ReadBoard(Tool):
    name = "read_board"
    description = "What stands on the board."
    parameters = arguments_schema(required=[])
    policy = ToolPolicy(effect=SideEffect.NONE, scope="board", expected_seconds=1.0)
    volatile = frozenset({"looked_at"})

    def __init__(self, board: Path) -> None:
        self.board, self.looks = board, 0

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        self.looks += 1
        written = self.board.read_text()
        return ToolResult(True, written, {"lines": written.split(), "looked_at": self.looks})


class PostToBoard(Tool):
    name = "post_to_board"
    description = "Adds a word to the board."
    parameters = arguments_schema(required=["word"], word=text("The word."))
    policy = ToolPolicy(effect=SideEffect.WRITE, scope="board", expected_seconds=1.0)

    def __init__(self, board: Path) -> None:
        self.board = board

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        self.board.write_text(f"{self.board.read_text()} {arguments['word']}".strip())
        return ToolResult(True, "posted")


def put_up_board(board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board.write_text("")
    tools = {tool.name: tool for tool in (ReadBoard(board), PostToBoard(board))}
    monkeypatch.setattr(catalog, "BUILTIN", {**catalog.BUILTIN, **tools})


class Reader:
    """One session that guesses at the board, asks for it and posts to it, each step when the test likes."""

    def __init__(self, session: Session) -> None:
        session.agent.tools.set([register_tool("builtin", catalog.BUILTIN[n]) for n in ("read_board", "post_to_board")])
        self.session, self.box = session, Toolbox.of(session.agent)
        self.asked = 0

    def guess(self) -> ToolJob | None:
        box = self.box["read_board"]
        with transaction.atomic():
            scopes = locks.share_scopes(["board"])
            with events.writing(self.session.pk, scopes=scopes) as log:
                return new_jobs.speculate(log, box.spec_of({}), Guess(None, 0.9, 1.0, box.record.policy_version, 30.0, {}))

    def guess_and_run(self) -> ToolJob:
        job = self.guess()
        assert job is not None
        return run(job)

    def ask(self, tool: str = "read_board", **arguments: Any) -> ToolJob:
        self.asked += 1
        call = AskedCall(f"1.{self.asked}", 1, self.box[tool].spec_of(arguments))
        (job,) = scheduler.serve(self.session.pk, self.session.attempt, [call])
        return job

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [event.payload for event in self.session.events.filter(kind=kind).order_by("seq")]


def start(job: ToolJob) -> ToolJob:
    started = worker.start(job.pk, job.attempt)
    assert started is not None
    return started


def run(job: ToolJob) -> ToolJob:
    worker.perform(start(job))
    return fresh(job)


def fresh(job: ToolJob) -> ToolJob:
    return ToolJob.objects.get(pk=job.pk)
