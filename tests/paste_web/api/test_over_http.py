"""The API as a program meets it: a real server, real workers, a real agent's loop."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.db.models.functions import Now

from speculation import events, sessions
from speculation.access import READ, WRITE, create_key
from speculation.agent.demo import AGENTS
from speculation.models import AgentProfile, Session, SessionStatus, WorkerPool
from speculation.policy import register_tool
from tests.workers import Workers
from tools import catalog

pytestmark = pytest.mark.slow

FAST = {"PASTE_SCRIPTED_TOKENS_PER_SECOND": "400", "PASTE_NETWORK_LATENCY_SECONDS": "0.2"}
WAITING_PROGRAMS = 24
"""Three times the server's pool of database connections."""


@pytest.fixture
def paste(transactional_db: None, web_address: str) -> Iterator[httpx.Client]:
    _key, text = create_key("program", [READ, WRITE], who="tester")
    headers = {"Authorization": f"Bearer {text}"}
    with httpx.Client(base_url=f"{web_address}/api/v1", timeout=70, headers=headers) as client:
        yield client


@pytest.fixture
def support(transactional_db: None) -> AgentProfile:
    demo = AGENTS["support"]
    WorkerPool.objects.update_or_create(name="tools", defaults={"slots": 4, "reserved": 1})
    agent = AgentProfile.objects.create(
        name="support",
        model_kind="scripted",
        script="support",
        world=demo.world,
        mode="on",
        system_prompt=demo.system_prompt,
    )
    agent.tools.set(register_tool("builtin", catalog.BUILTIN[name]) for name in demo.tools)
    return agent


def test_a_program_submits_waits_and_reads_what_became_of_its_task(
    paste: httpx.Client, support: AgentProfile, workers: Workers
) -> None:
    for worker in (workers.tools(processes=2, **FAST), workers.agents(**FAST)):
        worker.wait_until_ready()
    assert httpx.get(paste.base_url.join("/readyz")).json()["ok"]
    body = {"agent": "support", "task": AGENTS["support"].tasks[0], "labels": {"ticket": "4711"}}
    stored = paste.post("/tasks", json=body, headers={"Idempotency-Key": "ticket-4711"}).raise_for_status().json()
    assert stored["model"] == "scripted"
    task = stored
    deadline = time.monotonic() + 90
    while task["status"] in ("queued", "running"):
        assert time.monotonic() < deadline, list(Session.objects.get().events.values_list("seq", "kind"))
        task = paste.get(f"/tasks/{task['id']}", params={"wait_seconds": 30}).raise_for_status().json()
    assert (task["status"], task["labels"]) == ("succeeded", {"ticket": "4711"}) and task["answer"]
    figures = task["figures"]
    assert 0 < figures["waited_seconds"] < figures["task_seconds"] and figures["decode_seconds"] > 0
    parts = figures["decode_seconds"] + figures["waited_seconds"]
    assert parts == pytest.approx(figures["task_seconds"], rel=0.25)

    log: list[dict[str, object]] = []
    page = {"next_after": 0, "final": False}
    while not page["final"]:
        page = (
            paste.get(f"/tasks/{task['id']}/events", params={"after": page["next_after"], "limit": 7})
            .raise_for_status()
            .json()
        )
        log += page["events"]
    assert [event["seq"] for event in log] == list(range(1, Session.objects.get().last_seq + 1))
    assert {"session_queued", "turn_ended", "call_returned", "session_ended"} <= {event["kind"] for event in log}
    again = paste.post("/tasks", json=body, headers={"Idempotency-Key": "ticket-4711"})
    assert again.json() == stored and again.headers["Idempotency-Replayed"] == "true"


def test_many_waiting_programs_leave_connections_for_everybody_else(paste: httpx.Client, support: AgentProfile) -> None:
    task = paste.post("/tasks", json={"agent": "support", "task": AGENTS["support"].tasks[0]}).raise_for_status().json()
    session = Session.objects.get()
    waiting = threading.Semaphore(0)

    def wait() -> tuple[str, float]:
        with httpx.Client(base_url=paste.base_url, headers=paste.headers, timeout=70) as program:
            waiting.release()
            answer = program.get(f"/tasks/{task['id']}", params={"wait_seconds": 30}).raise_for_status()
            return answer.json()["status"], time.monotonic()

    with ThreadPoolExecutor(WAITING_PROGRAMS) as programs:
        answers = [programs.submit(wait) for _ in range(WAITING_PROGRAMS)]
        for _ in range(WAITING_PROGRAMS):
            assert waiting.acquire(timeout=20)
        time.sleep(2.0)
        began = time.monotonic()
        paste.get("/tasks").raise_for_status()
        answered_after_seconds = time.monotonic() - began
        Session.objects.filter(pk=session.pk).update(status="running", attempt=1, started_at=Now())
        session.refresh_from_db()
        events.append(session.pk, "session_started", attempt=1, owner="tester")
        sessions.finish(session, SessionStatus.SUCCEEDED, answer="done")
        ended = time.monotonic()
        statuses = {status for status, _at in (answer.result() for answer in answers)}
        last = max(answer.result()[1] for answer in answers)
    assert statuses == {"succeeded"}
    assert answered_after_seconds < 2.0
    assert last - ended < 5.0


def test_a_server_refuses_what_no_test_client_can_send(paste: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(10):
            yield b" " * 65_536

    refused = paste.post("/tasks", content=chunks(), headers={"Content-Type": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
    assert not Session.objects.exists()
