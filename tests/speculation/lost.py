"""A session whose jobs a test runs itself, on tools that it may add to, so that it can lose them half way."""

import time
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db.models.functions import Now

from speculation import scheduler, worker
from speculation.asked import AskedCall
from speculation.leases import owner
from speculation.models import AgentProfile, JobStatus, Session, ToolJob
from speculation.policy import register_tool
from speculation.toolbox import Toolbox
from tools import catalog
from tools.base import Tool


def make_box(tmp_path: Path, session: Session, agent: AgentProfile, monkeypatch: pytest.MonkeyPatch) -> Toolbox:
    """The session's world is a folder with one file; nobody consumes the queue, and nothing runs in place."""
    monkeypatch.setattr(settings, "PASTE_IN_PLACE_SECONDS", 0.0)
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    Session.objects.filter(pk=session.pk).update(world={"root": str(tmp_path)}, owner=owner(), lease_until=Now())
    agent.tools.set([register_tool("builtin", catalog.BUILTIN[name]) for name in ("read_file", "edit_file")])
    return Toolbox.of(agent)


def with_tool(tool: Tool, agent: AgentProfile, monkeypatch: pytest.MonkeyPatch) -> Toolbox:
    """The agent's tools and one more, for this test."""
    monkeypatch.setattr(catalog, "BUILTIN", MappingProxyType({**catalog.BUILTIN, tool.name: tool}))
    agent.tools.add(register_tool("builtin", tool))
    return Toolbox.of(agent)


def ask(session: Session, box: Toolbox, call_id: str, tool: str, **arguments: Any) -> ToolJob:
    return scheduler.serve(session.pk, session.attempt, [AskedCall(call_id, 1, box[tool].spec_of(arguments))])[0]


def run(job: ToolJob) -> None:
    started = worker.start(job.pk, ToolJob.objects.get(pk=job.pk).attempt)
    assert started is not None
    worker.perform(started)


def fresh(job: ToolJob) -> ToolJob:
    return ToolJob.objects.get(pk=job.pk)


def let_lease_run_out(job: ToolJob) -> None:
    """What ten seconds without a renewal come to."""
    ToolJob.objects.filter(pk=job.pk, status=JobStatus.RUNNING).update(lease_until=Now())


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def end_all_other_connections(url: str) -> int:
    """How many there were."""
    with psycopg.connect(url, autocommit=True) as administrator:
        ended = administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchall()
    return len(ended)
