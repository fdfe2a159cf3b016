"""One session's runtime with a real endpoint, real tools workers and the loop in this process."""

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from speculation import events, new_jobs, recovery, tasks
from speculation.models import AgentProfile, Session, ToolJob, WorkerPool
from speculation.policy import register_tool
from speculation.specs import Guess
from speculation.submission import submit_task
from speculation.toolbox import Toolbox
from speculation.worker import enqueue
from tests.agent.endpoint import Endpoint, call, end, running_endpoint, text
from tests.workers import Workers
from tools import catalog

pytestmark = pytest.mark.slow


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with running_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def agent(transactional_db: None, endpoint: Endpoint) -> AgentProfile:
    WorkerPool.objects.update_or_create(name="tools", defaults={"slots": 4, "reserved": 1})
    agent = AgentProfile.objects.create(name="real", model_kind="openai", endpoint=endpoint.url, model="m", mode="on")
    for name in ("read_file", "list_files", "write_file"):
        agent.tools.add(register_tool("builtin", catalog.BUILTIN[name]))
    return agent


def run(agent: AgentProfile, root: Path) -> Session:
    session = submit_task(agent, "Look around.", world={"root": str(root)})
    tasks.run_session(str(session.pk))
    session.refresh_from_db()
    return session


def test_reads_of_a_turn_run_side_by_side_and_a_read_after_a_write_sees_it(
    agent: AgentProfile, endpoint: Endpoint, workers: Workers, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("before")
    reads = [
        call(0, name="read_file", arguments='{"path": "a.txt"}', identity="x"),
        call(1, name="write_file", arguments='{"path": "a.txt", "text": "after"}', identity="y"),
        call(2, name="read_file", arguments='{"path": "a.txt"}', identity="z"),
        call(3, name="list_files", arguments="{}", identity="w"),
        end("tool_calls"),
    ]
    endpoint.turns = [reads, [text("Done."), end()]]
    workers.tools().wait_until_ready()

    session = run(agent, tmp_path)

    assert (session.status, session.answer) == ("succeeded", "Done."), session.error
    returned = {event.payload["call_id"]: event.payload for event in session.events.filter(kind="call_returned")}
    assert returned["1.1"]["ok"], returned["1.1"]["content"]
    assert "before" in returned["1.0"]["content"] and "after" in returned["1.2"]["content"]
    sent = {
        message["tool_call_id"]: message["content"]
        for message in endpoint.requests[1]["messages"]
        if message["role"] == "tool"
    }
    assert list(sent) == ["x", "y", "z", "w"] and "after" in sent["z"], "the provider's ids, in the calls' order"
    jobs = {job.call_id: job for job in ToolJob.objects.filter(session=session)}
    assert jobs["1.1"].started_at >= jobs["1.0"].ended_at
    assert jobs["1.2"].started_at >= jobs["1.1"].ended_at
    assert session.epoch == 2


def test_a_model_that_asks_for_a_part_is_given_it_out_of_a_whole_that_was_guessed(
    agent: AgentProfile, endpoint: Endpoint, workers: Workers, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\nthree\n")
    part = json.dumps({"path": "a.txt", "first_line": 2, "last_line": 3})
    asked = [call(0, name="read_file", arguments=part, identity="x"), end("tool_calls")]
    endpoint.turns = [asked, [text("I see."), end()]]
    workers.tools().wait_until_ready()
    session = submit_task(agent, "Look around.", world={"root": str(tmp_path)})
    spec = Toolbox.of(agent)["read_file"].spec_of({"path": "a.txt"})
    with events.writing(session.pk) as log:
        whole = new_jobs.speculate(log, spec, Guess(None, 0.9, 1.0, spec.tool.policy_version, 10.0, {}))
        assert whole is not None
        enqueue(whole)
    wait_for_job(session, "succeeded")

    tasks.run_session(str(session.pk))

    session.refresh_from_db()
    assert (session.status, session.answer) == ("succeeded", "I see."), session.error
    told = [message["content"] for message in endpoint.requests[1]["messages"] if message["role"] == "tool"]
    assert told == ["two\nthree"]
    assert ToolJob.objects.get(session=session).call_id == "1.0", "the guess was the only run"


def test_an_unknown_tool_and_wrong_arguments_are_told_to_the_model_and_the_session_goes_on(
    agent: AgentProfile, endpoint: Endpoint, workers: Workers, tmp_path: Path
) -> None:
    wrong = [
        call(0, name="fly", arguments="{}", identity="x"),
        call(1, name="read_file", arguments='{"pth": "a.txt"}', identity="y"),
        call(2, name="read_file", arguments="[not json", identity="z"),
        end("tool_calls"),
    ]
    endpoint.turns = [wrong, [text("I see."), end()]]
    workers.tools().wait_until_ready()

    session = run(agent, tmp_path)

    assert (session.status, session.answer) == ("succeeded", "I see."), session.error
    told = {
        message["tool_call_id"]: message["content"]
        for message in endpoint.requests[1]["messages"]
        if message["role"] == "tool"
    }
    assert 'There is no tool "fly". You may use: list_files, read_file, write_file.' in told["x"]
    assert "path" in told["y"] and "Traceback" not in told["y"]
    assert told["z"]


def test_an_endpoint_that_refuses_the_key_fails_the_session_with_what_to_do(
    agent: AgentProfile, endpoint: Endpoint, broker_url: str, tmp_path: Path
) -> None:
    endpoint.status, endpoint.body = 401, b'{"error": {"message": "bad key sk-123"}}'
    session = run(agent, tmp_path)
    assert session.status == "failed"
    assert session.error and "key" in session.error and "sk-123" not in session.error
    assert list(session.events.values_list("kind", flat=True))[-1] == "session_ended"


def test_a_session_that_uses_up_its_time_fails_and_says_so(
    agent: AgentProfile, endpoint: Endpoint, workers: Workers, tmp_path: Path
) -> None:
    agent.tools.add(register_tool("builtin", catalog.BUILTIN["run_command"]))
    os.mkfifo(tmp_path / "gate")
    endpoint.pieces = [call(0, name="run_command", arguments='{"command": "cat gate"}', identity="x"), end("tool_calls")]
    workers.tools().wait_until_ready()

    session = submit_task(agent, "Wait for ever.", world={"root": str(tmp_path)}, timeout_seconds=1.5)
    tasks.run_session(str(session.pk))

    session.refresh_from_db()
    assert (session.status, session.error) == ("failed", "The session did not end within 1.5 s.")
    assert session.ended_at and session.started_at
    assert 1.5 <= (session.ended_at - session.started_at).total_seconds() < 5


def test_a_write_lost_with_its_worker_is_told_to_the_agent_as_unknown_and_the_session_goes_on(
    agent: AgentProfile, endpoint: Endpoint, workers: Workers, tmp_path: Path
) -> None:
    agent.tools.add(register_tool("builtin", catalog.BUILTIN["run_command"]))
    slow_write = [
        call(
            0,
            name="run_command",
            arguments=json.dumps({"command": "python3 -c 'import time; time.sleep(60)'"}),
            identity="x",
        ),
        call(1, name="list_files", arguments="{}", identity="y"),
        end("tool_calls"),
    ]
    endpoint.turns = [slow_write, [text("I looked."), end()]]
    first = workers.tools()
    first.wait_until_ready()

    session = submit_task(agent, "Change something.", world={"root": str(tmp_path)})
    with ThreadPoolExecutor(1) as beside:
        ended = beside.submit(tasks.run_session, str(session.pk))
        job = wait_for_job(session, "running")
        first.kill()
        ToolJob.objects.filter(pk=job.pk).update(lease_until=job.started_at)
        recovery.sweep()
        workers.tools().wait_until_ready()
        ended.result(60)

    session.refresh_from_db()
    assert (session.status, session.answer) == ("succeeded", "I looked."), session.error
    returned = {event.payload["call_id"]: event.payload for event in session.events.filter(kind="call_returned")}
    assert returned["1.0"]["unknown_outcome"] and not returned["1.0"]["ok"]
    assert returned["1.1"]["ok"], "the read after it ran on the next worker"
    told = [message["content"] for message in endpoint.requests[1]["messages"] if message["role"] == "tool"]
    assert "outcome of this call is unknown" in told[0]
    assert ToolJob.objects.get(pk=job.pk).attempt == 1, "it did not run again"


def wait_for_job(session: Session, status: str, seconds: float = 30.0) -> ToolJob:
    deadline = time.monotonic() + seconds
    while (job := ToolJob.objects.filter(session=session, status=status).first()) is None:
        assert time.monotonic() < deadline, f"no job {status}"
        time.sleep(0.02)
    return job
