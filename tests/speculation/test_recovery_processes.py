"""Sessions of a demo agent on real workers, under faults that only real processes have: hung, cut off, with a wrong clock."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from paste_web.chaos import promises
from paste_web.valkey_server import ValkeyServer, restart_valkey, start_valkey
from speculation import recovery, scheduler
from speculation.agent.demo import AGENTS
from speculation.asked import AskedCall
from speculation.jobs import LEASE_SECONDS
from speculation.models import AgentProfile, EventRecord, JobStatus, Origin, Session, ToolJob, WorkerPool
from speculation.policy import register_tool
from speculation.submission import submit_task
from speculation.toolbox import Toolbox
from speculation.worker import run_job
from tests.workers import Worker, Workers
from tools import catalog

pytestmark = pytest.mark.slow

PACE = {"PASTE_SCRIPTED_TOKENS_PER_SECOND": "200", "PASTE_NETWORK_LATENCY_SECONDS": "0.2"}


@pytest.fixture
def support(transactional_db: None) -> AgentProfile:
    demo = AGENTS["support"]
    WorkerPool.objects.update_or_create(name="tools", defaults={"slots": 4, "reserved": 1})
    agent = AgentProfile.objects.create(
        name="support", model_kind="scripted", script="support", world=demo.world, system_prompt=demo.system_prompt
    )
    agent.tools.set([register_tool("builtin", catalog.BUILTIN[name]) for name in demo.tools])
    return agent


def submit(support: AgentProfile) -> Session:
    return submit_task(support, AGENTS["support"].tasks[0], speculation="off", origin=Origin.LEARNING)


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, list(Session.objects.values_list("status", "attempt", "last_seq"))
        time.sleep(0.05)


def calls_returned(session: Session) -> int:
    return EventRecord.objects.filter(session=session, kind="call_returned").count()


def wait_for_success(session: Session, seconds: float = 90.0) -> None:
    """The session succeeds, and each of its calls has ended in exactly one of result, error, unknown outcome."""
    wait_for(lambda: Session.objects.filter(pk=session.pk, ended_at__isnull=False).exists(), seconds)
    session.refresh_from_db()
    assert session.status == "succeeded", session.error
    log = list(session.events.order_by("seq"))
    assert promises.endings(log) and not promises.without_one_ending(log)
    assert not promises.answered_twice(log, session.jobs.all())


def ready(*started: Worker) -> None:
    for worker in started:
        worker.wait_until_ready()


# Hung workers


@pytest.fixture
def box(tmp_path: Path, session: Session, agent: AgentProfile, pool: WorkerPool) -> Toolbox:
    """The session's world: a gate that a command waits at until the test opens it."""
    os.mkfifo(tmp_path / "gate")
    (tmp_path / "wait.py").write_text("open('gate').read()\nopen('done', 'a').write('once ')\n")
    Session.objects.filter(pk=session.pk).update(world={"root": str(tmp_path)})
    agent.tools.set([register_tool("builtin", catalog.BUILTIN["run_command"])])
    return Toolbox.of(agent)


def ask(session: Session, box: Toolbox, call_id: str, command: str) -> ToolJob:
    asked = AskedCall(call_id, 1, box["run_command"].spec_of({"command": command}))
    return scheduler.serve(session.pk, session.attempt, [asked])[0]


def status(job: ToolJob) -> str:
    job.refresh_from_db()
    return str(job.status)


def hang_past_the_lease(worker: Worker, job: ToolJob) -> None:
    """Stopped in the midst of the job; what the lease still has to run is taken off it."""
    os.killpg(worker.process.pid, signal.SIGSTOP)
    ToolJob.objects.filter(pk=job.pk).update(lease_until=job.started_at)
    assert recovery.sweep()["jobs_of_lost_workers"] == 1


def test_a_hung_worker_that_comes_back_finds_its_read_done_by_another_and_its_result_dropped(
    session: Session, box: Toolbox, workers: Workers
) -> None:
    hung = workers.tools()
    ready(hung)
    job = ask(session, box, "1.0", "cat gate")
    wait_for(lambda: status(job) == JobStatus.RUNNING)
    time.sleep(0.5)  # the command is up
    hang_past_the_lease(hung, job)
    other = workers.tools()
    ready(other)
    run_job.apply_async(args=[str(job.pk), 1], queue="tools")  # the message may lie with the one that hangs
    wait_for(lambda: status(job) == JobStatus.RUNNING and job.attempt == 2)
    os.killpg(hung.process.pid, signal.SIGCONT)
    time.sleep(LEASE_SECONDS / 3 + 1.0)  # it has looked at its lease, and its command is gone: one gate lets one through
    Path(Session.objects.get(pk=session.pk).world["root"], "gate").write_text("opened")
    wait_for(lambda: status(job) == JobStatus.SUCCEEDED)
    assert "opened" in job.result["content"] and job.attempt == 2
    time.sleep(1.0)
    assert session.events.filter(kind="job_ended").count() == 1, "the late one said nothing"


def test_a_hung_worker_that_comes_back_cannot_answer_a_write_that_was_told_as_unknown(
    session: Session, box: Toolbox, workers: Workers, tmp_path: Path
) -> None:
    hung = workers.tools()
    ready(hung)
    job = ask(session, box, "1.0", "python3 wait.py")
    wait_for(lambda: status(job) == JobStatus.RUNNING)
    time.sleep(0.5)
    hang_past_the_lease(hung, job)
    assert (status(job), job.error, job.attempt) == (JobStatus.FAILED, "worker lost", 1)
    os.killpg(hung.process.pid, signal.SIGCONT)
    time.sleep(2.0)
    assert (status(job), job.error, job.attempt) == (JobStatus.FAILED, "worker lost", 1)
    assert session.events.filter(kind="job_ended").count() == 1
    assert not (tmp_path / "done").exists(), "its command was stopped when the lease was found lost"


def test_a_hung_agents_worker_is_replaced_and_finds_itself_replaced_when_it_comes_back(
    support: AgentProfile, workers: Workers
) -> None:
    tools, hung, other = workers.tools(**PACE), workers.agents(**PACE), None
    ready(tools, hung)
    session = submit(support)
    wait_for(lambda: calls_returned(session) >= 2)
    os.killpg(hung.process.pid, signal.SIGSTOP)
    other = workers.agents(**PACE)
    ready(other)
    wait_for(lambda: Session.objects.filter(pk=session.pk, attempt=2).exists(), LEASE_SECONDS + 20)
    os.killpg(hung.process.pid, signal.SIGCONT)
    wait_for_success(session)
    assert session.attempt == 2
    assert session.events.filter(kind="session_ended").count() == 1


def test_a_megabyte_of_bytes_that_are_no_text_comes_back_from_a_worker_as_a_result(
    session: Session, box: Toolbox, workers: Workers, tmp_path: Path
) -> None:
    (tmp_path / "bytes").write_bytes(b"\0\xff\xed\xa0\x80 not text \x1b[2J" * 60_000)
    ready(workers.tools())
    job = ask(session, box, "1.0", "cat bytes")
    wait_for(lambda: status(job) == JobStatus.SUCCEEDED)
    assert job.result["ok"] and "not text" in job.result["content"] and "\0" not in job.result["content"]
    assert len(job.result["content"]) < 200_000


# Lost servers and connections


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[list[ValkeyServer]]:
    """A broker that a test may kill; the newest is the last of the list."""
    servers = [start_valkey(tmp_path / "valkey.log")]
    yield servers
    for server in servers:
        server.stop()


def test_a_session_goes_on_when_its_broker_and_with_it_the_channel_layer_is_lost_and_comes_back_empty(
    support: AgentProfile, workers: Workers, own_broker: list[ValkeyServer], tmp_path: Path
) -> None:
    here = {**PACE, "PASTE_BROKER_URL": own_broker[0].url}
    ready(workers.tools(**here), workers.agents(**here))
    session = submit(support)  # told to the other broker: the sweep finds it
    wait_for(lambda: calls_returned(session) >= 2)
    own_broker[-1].process.kill()
    own_broker[-1].process.wait()
    time.sleep(2.0)
    own_broker.append(restart_valkey(own_broker[-1], tmp_path / "valkey.log"))
    wait_for_success(session)
    assert session.attempt == 1, "its owner never noticed"


def cut_all_connections_but_ours(url: str) -> int:
    connection.close()
    with psycopg.connect(url, autocommit=True) as administrator:
        ended = administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchall()
    connection.close_pool()
    return len(ended)


def test_a_session_goes_on_when_all_database_connections_are_cut_again_and_again(
    support: AgentProfile, workers: Workers, database_url: str
) -> None:
    ready(workers.tools(**PACE), workers.agents(**PACE))
    session = submit(support)
    for calls in (1, 3, 5):
        wait_for(lambda calls=calls: calls_returned(session) >= calls)
        assert cut_all_connections_but_ours(database_url) > 2
    wait_for_success(session)


# Clocks


@pytest.fixture
def skewed(tmp_path: Path) -> Callable[[float], dict[str, str]]:
    """Variables for a worker whose clock jumps by so many seconds once the file `jump` is there; monotonic time does not."""
    (tmp_path / "sitecustomize.py").write_text(
        "import datetime, os, time\n"
        "_time, _datetime = time.time, datetime.datetime\n"
        "def _shift():\n"
        "    return float(os.environ['SKEW_SECONDS']) if os.path.exists(os.environ['SKEW_FILE']) else 0.0\n"
        "class Skewed(_datetime):\n"
        "    @classmethod\n"
        "    def now(cls, tz=None):\n"
        "        return _datetime.now(tz) + datetime.timedelta(seconds=_shift())\n"
        "    @classmethod\n"
        "    def utcnow(cls):\n"
        "        return cls.now(datetime.timezone.utc).replace(tzinfo=None)\n"
        "time.time = lambda: _time() + _shift()\n"
        "datetime.datetime = Skewed\n"
    )

    def variables(seconds: float) -> dict[str, str]:
        path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
        return {**PACE, "PYTHONPATH": path, "SKEW_SECONDS": str(seconds), "SKEW_FILE": str(tmp_path / "jump")}

    return variables


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_a_session_does_not_notice_that_its_workers_clocks_jump_by_an_hour(
    seconds: float, support: AgentProfile, workers: Workers, skewed: Callable[[float], dict[str, str]], tmp_path: Path
) -> None:
    ready(workers.tools(**skewed(seconds)), workers.agents(**skewed(seconds)))
    session = submit(support)
    Session.objects.filter(pk=session.pk).update(timeout_seconds=120.0)
    wait_for(lambda: calls_returned(session) >= 2)
    (tmp_path / "jump").touch()
    wait_for_success(session)
    assert session.attempt == 1
    assert set(ToolJob.objects.filter(session=session).values_list("attempt", flat=True)) == {1}, "no lease was lost"
    moments = list(session.events.order_by("seq").values_list("at", flat=True))
    assert (max(moments) - min(moments)).total_seconds() < 120, "every event has the database's time"
