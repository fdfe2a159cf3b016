"""Connections are cut and servers hang: nobody waits for long, and nothing that was done is forgotten."""

import os
import signal
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg
import pytest
from celery import Celery
from django.conf import settings
from django.db import OperationalError, connection
from kombu.exceptions import OperationalError as BrokerError

from paste_web.valkey_server import start_valkey
from speculation import events, notices, tasks, worlds
from speculation.models import AgentProfile, JobStatus, Session, WorkerPool
from speculation.toolbox import Toolbox
from tests.speculation.lost import ask, end_all_other_connections, fresh, make_box, run, wait_for, with_tool
from tools.base import SideEffect, Tool, ToolContext, ToolPolicy, ToolResult
from tools.records import transact


@pytest.fixture
def box(
    tmp_path: Path,
    session: Session,
    agent: AgentProfile,
    pool: WorkerPool,
    broker_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Toolbox:
    return make_box(tmp_path, session, agent, monkeypatch)


# Database connections


def test_when_all_connections_were_cut_waiters_look_for_themselves_and_no_dead_one_is_handed_out(
    transactional_db: None, database_url: str
) -> None:
    with notices.listener().waiting_for("job") as bell:
        assert AgentProfile.objects.count() == 0, "a connection lies in the pool"
        connection.close()
        bell.clear()
        assert end_all_other_connections(database_url) >= 2
        assert bell.wait(10), "woken without a notice: one may have been lost"
        bell.clear()
        for _ in range(10):
            assert AgentProfile.objects.count() == 0
            connection.close()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, 'job')", [events.NOTICE_CHANNEL])
        assert bell.wait(0.9), "and notices arrive again, faster than one looks for oneself"


def test_a_tool_whose_own_connection_is_cut_connects_again_and_answers(database_url: str, tmp_path: Path) -> None:
    context = ToolContext(tmp_path, database_url, "public")
    attempts: list[int] = []

    def cut_once(records: psycopg.Connection[Any]) -> int:
        attempts.append(records.info.backend_pid)
        if len(attempts) == 1:
            end_all_other_connections(database_url)
        row = records.execute("SELECT 1").fetchone()
        return row[0] if row else 0

    assert transact(context, cut_once, read_only=True) == 1
    assert len(set(attempts)) == 2


def test_a_connection_cut_while_a_world_is_made_is_a_lost_connection_and_the_world_is_made_by_the_next(
    session: Session, agent: AgentProfile, database_url: str
) -> None:
    AgentProfile.objects.filter(pk=agent.pk).update(world="support")
    session = Session.objects.select_related("agent").get(pk=session.pk)
    schema = f"world_{session.pk.hex}"
    with ThreadPoolExecutor(1) as beside, psycopg.connect(database_url) as other:
        other.execute(f"CREATE SCHEMA {schema}")  # not committed: whoever makes the same waits
        made = beside.submit(worlds.prepare, session)
        with psycopg.connect(database_url, autocommit=True) as administrator:
            waiting = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            wait_for(lambda: bool(administrator.execute(waiting).fetchall()))
        with pytest.raises(OperationalError):
            made.result(20)
        other.rollback()
    worlds.prepare(session)
    assert session.world["schema"] == schema


class CutsOff(Tool):
    """Ends every database connection but its own while it runs, as a restarting server would."""

    name = "cuts_off"
    description = "A tool during which the connections are lost."
    parameters: Mapping[str, Any] = MappingProxyType({"type": "object", "properties": {}})
    policy = ToolPolicy(effect=SideEffect.WRITE, expected_seconds=0.1)

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        end_all_other_connections(context.database_url or settings.DATABASE_URL)
        return ToolResult(True, "done")


def test_what_a_write_came_to_is_stored_although_all_connections_were_cut_meanwhile(
    session: Session, agent: AgentProfile, box: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ask(session, with_tool(CutsOff(), agent, monkeypatch), "1.0", "cuts_off")
    run(job)
    assert (fresh(job).status, fresh(job).attempt) == (JobStatus.SUCCEEDED, 1)
    assert fresh(job).result["content"] == "done"
    assert session.events.filter(kind="job_ended").count() == 1


@pytest.mark.slow
def test_a_process_that_hangs_within_a_transaction_holds_up_the_others_for_seconds_only(
    session: Session, box: Toolbox, database_url: str
) -> None:
    with psycopg.connect(database_url) as hung:
        hung.execute("SELECT 1 FROM speculation_session WHERE id = %s FOR NO KEY UPDATE", [session.pk])
        began = time.monotonic()
        job = ask(session, box, "1.0", "read_file", path="a.txt")
        waited_seconds = time.monotonic() - began
        with pytest.raises(psycopg.Error):
            hung.execute("SELECT 1")
    assert job.status == JobStatus.QUEUED
    assert 5 < waited_seconds < 25


def test_who_wakes_in_a_transaction_that_the_server_has_ended_leaves_the_session_to_the_sweep(
    session: Session, box: Toolbox
) -> None:
    with pytest.raises(tasks.UNREACHABLE), events.writing(session.pk) as log:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = '100ms'")
        time.sleep(0.5)
        log.append("user_said", text="I slept")
        log.flush()
    connection.close()
    assert not session.events.exists()


# The broker


@pytest.mark.slow
def test_a_broker_that_hangs_holds_nobody_up_for_long_and_is_told_again_when_it_goes_on(tmp_path: Path) -> None:
    server = start_valkey(tmp_path / "valkey.log")
    app = Celery("told", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.conf.broker_url = server.url
    try:
        app.send_task("speculation.run_job", args=["1", 0], queue="tools", retry=False)
        os.kill(server.process.pid, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(BrokerError):
            app.send_task("speculation.run_job", args=["2", 0], queue="tools", retry=False)
        assert time.monotonic() - began < 15
        os.kill(server.process.pid, signal.SIGCONT)
        app.send_task("speculation.run_job", args=["3", 0], queue="tools", retry=False)
    finally:
        app.close()
        server.stop()
