"""A worker's process keeps its connection from one job to the next, and finds another where that was cut in between."""

from pathlib import Path

import psycopg
import pytest

from speculation.models import AgentProfile, JobStatus, Session, ToolJob, WorkerPool
from speculation.toolbox import Toolbox
from tests.speculation.lost import ask, make_box, wait_for
from tests.workers import Workers

pytestmark = pytest.mark.slow


@pytest.fixture
def box(
    tmp_path: Path,
    session: Session,
    agent: AgentProfile,
    pool: WorkerPool,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> Toolbox:
    """The tools are run by a worker of one process."""
    workers.tools(processes=1, PGAPPNAME="the worker's").wait_until_ready()
    return make_box(tmp_path, session, agent, monkeypatch)


def run_jobs(session: Session, box: Toolbox, *call_ids: str) -> None:
    for call_id in call_ids:
        job = ask(session, box, call_id, "read_file", path="a.txt")
        wait_for(ToolJob.objects.filter(pk=job.pk, status=JobStatus.SUCCEEDED).exists, 10)


def connections(url: str) -> set[int]:
    """Those of the worker over which jobs are run, each as the process id of its backend."""
    with psycopg.connect(url) as looking:
        found = looking.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'the worker''s' AND query NOT LIKE 'LISTEN%'"
        )
        return {pid for (pid,) in found}


def test_one_job_after_another_is_run_over_the_same_connection(
    session: Session, box: Toolbox, database_url: str
) -> None:
    run_jobs(session, box, "1.0", "1.1")
    known = connections(database_url)
    assert known, "it was ended with the job"
    run_jobs(session, box, "2.0", "2.1", "2.2")
    assert connections(database_url) == known


def test_a_job_that_finds_its_connection_cut_is_started_over_another(
    session: Session, box: Toolbox, database_url: str
) -> None:
    run_jobs(session, box, "1.0", "1.1")
    with psycopg.connect(database_url, autocommit=True) as administrator:
        for pid in connections(database_url):
            administrator.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    run_jobs(session, box, "2.0", "2.1")
