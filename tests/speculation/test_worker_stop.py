"""A worker that is asked to end ends what it runs, and what it had only taken from the queue goes back there."""

from pathlib import Path

import psycopg
import pytest
import redis

from speculation.models import AgentProfile, JobStatus, Session, ToolJob, WorkerPool
from speculation.worker import CALLS_QUEUE
from tests.speculation.lost import ask, fresh, make_box, wait_for
from tests.workers import Workers

pytestmark = pytest.mark.slow


def test_a_message_that_was_taken_and_not_begun_is_another_workers_at_once(
    tmp_path: Path,
    session: Session,
    agent: AgentProfile,
    pool: WorkerPool,
    workers: Workers,
    broker_url: str,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    box = make_box(tmp_path, session, agent, monkeypatch)
    jobs = [ask(session, box, f"1.{number}", "read_file", path="a.txt") for number in range(4)]
    queue = redis.Redis.from_url(broker_url)
    assert queue.llen(CALLS_QUEUE) == len(jobs)
    with psycopg.connect(database_url) as holding:
        holding.execute("SELECT FROM speculation_session WHERE id = %s FOR UPDATE", [session.pk])
        leaving = workers.tools(processes=1)
        wait_for(lambda: queue.llen(CALLS_QUEUE) < len(jobs) - 1, 60)  # one is begun, and another taken
        assert not queue.exists("unacked"), "a second copy, for an acknowledgement that nobody needs"
        leaving.terminate()
        wait_for(lambda: "Warm shutdown" in leaving.log.read_text(), 20)
    leaving.process.wait(20)
    ended = [job for job in jobs if fresh(job).status == JobStatus.SUCCEEDED]
    assert len(ended) == 1
    assert queue.llen(CALLS_QUEUE) == len(jobs) - 1, "what it had taken was lost with it"
    workers.tools(processes=1)
    wait_for(lambda: ToolJob.objects.filter(status=JobStatus.SUCCEEDED).count() == len(jobs), 60)
