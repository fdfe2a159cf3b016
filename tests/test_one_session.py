"""The whole house once: a demo agent learns from two sessions, and in the third acts while it thinks."""

import time
from collections.abc import Sequence

import pytest
from django.conf import settings

from speculation.agent.demo import AGENTS
from speculation.models import AgentProfile, Origin, PatternRecord, Session, ToolJob, WorkerPool
from speculation.policy import decide, register_tool
from speculation.queries import told
from speculation.submission import cancel_session, submit_task
from tests.workers import Workers
from tools import catalog
from tools.base import without_volatile

pytestmark = pytest.mark.slow

FAST = {"PASTE_SCRIPTED_TOKENS_PER_SECOND": "400", "PASTE_NETWORK_LATENCY_SECONDS": "0.3"}


@pytest.fixture
def support(transactional_db: None) -> AgentProfile:
    """The support agent, its reading tools approved."""
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
    for name in demo.tools:
        tool = register_tool("builtin", catalog.BUILTIN[name])
        agent.tools.add(tool)
        if tool.effect == "none":
            decide(
                tool,
                "full",
                who="tester",
                why="it only reads",
                expected_definition_hash=tool.definition_hash,
                expected_policy_version=tool.policy_version,
                may_tell_outsiders=True,
                may_tell_new_values=True,
            )
    return agent


def run(agent: AgentProfile, tasks: Sequence[str], speculation: str, seconds: float = 90.0) -> list[Session]:
    sessions = [submit_task(agent, task, speculation=speculation, origin=Origin.LEARNING) for task in tasks]
    deadline = time.monotonic() + seconds
    while Session.objects.filter(pk__in=[one.pk for one in sessions], ended_at=None).exists():
        assert time.monotonic() < deadline, [(one.status, one.last_seq) for one in Session.objects.all()]
        time.sleep(0.1)
    for session in sessions:
        session.refresh_from_db()
        assert session.status == "succeeded", session.error
    return sessions


def results(session: Session) -> list[object]:
    returned = session.events.filter(kind="call_returned").order_by("payload__call_id")
    return [
        without_volatile(one.payload["structured"], catalog.BUILTIN[one.payload["tool"]].volatile)
        or one.payload["content"]
        for one in returned
    ]


def test_an_agent_acts_while_it_thinks_and_reads_the_same_as_without(support: AgentProfile, workers: Workers) -> None:
    tools, agents = workers.tools(processes=4, **FAST), workers.agents(**FAST)
    tools.wait_until_ready()
    agents.wait_until_ready()
    first, second, third = AGENTS["support"].tasks[:3]
    run(support, [first, second], "off")
    deadline = time.monotonic() + 20
    while Session.objects.filter(mined_at=None).exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert PatternRecord.objects.filter(agent=support).exists()

    (without,) = run(support, [third], "off")
    (with_speculation,) = run(support, [third], "on")

    assert with_speculation.answer == without.answer
    assert results(with_speculation) == results(without)
    figures = told(with_speculation).figures
    assert figures.hits >= 1 and figures.hidden_seconds > 0.1
    assert not ToolJob.objects.filter(session=without, call_id=None).exists()
    assert not ToolJob.objects.filter(status__in=["queued", "running"]).exists()
    assert settings.PASTE_WORLDS / without.pk.hex != settings.PASTE_WORLDS / with_speculation.pk.hex


def wait_for_calls(session: Session, count: int, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while session.events.filter(kind="call_returned").count() < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_another_worker_goes_on_from_the_log_when_the_first_is_killed(support: AgentProfile, workers: Workers) -> None:
    slower = {**FAST, "PASTE_SCRIPTED_TOKENS_PER_SECOND": "100"}
    tools, first = workers.tools(processes=4, **slower), workers.agents(**slower)
    tools.wait_until_ready()
    first.wait_until_ready()
    session = submit_task(support, AGENTS["support"].tasks[0], speculation="off", origin=Origin.LEARNING)
    wait_for_calls(session, 2)
    first.kill()
    finished = dict(ToolJob.objects.filter(session=session, status="succeeded").values_list("call_id", "pk"))
    workers.agents(**slower).wait_until_ready()  # its sweep finds the session once the lease has run out

    deadline = time.monotonic() + 60
    while not session.has_ended:
        assert time.monotonic() < deadline
        time.sleep(0.1)
        session.refresh_from_db()

    assert (session.status, session.attempt) == ("succeeded", 2), session.error
    jobs = ToolJob.objects.filter(session=session)
    assert {job.call_id: job.pk for job in jobs if job.call_id in finished} == finished
    assert {job.attempt for job in jobs} == {1}, "nothing ran twice"
    asked = [event.payload["call_id"] for event in session.events.filter(kind="call_asked")]
    returned = [event.payload["call_id"] for event in session.events.filter(kind="call_returned")]
    assert len(set(asked)) == len(asked) and sorted(returned) == sorted(asked), "each call once, each answered once"
    assert session.events.filter(kind="session_resumed").count() == 1
    seqs = list(session.events.values_list("seq", flat=True))
    assert seqs == list(range(1, len(seqs) + 1))


def test_a_running_session_ends_soon_after_it_is_cancelled(support: AgentProfile, workers: Workers) -> None:
    workers.tools(processes=2, **FAST).wait_until_ready()
    workers.agents(**{**FAST, "PASTE_SCRIPTED_TOKENS_PER_SECOND": "20"}).wait_until_ready()
    session = submit_task(support, AGENTS["support"].tasks[0], speculation="off", origin=Origin.LEARNING)
    wait_for_calls(session, 1)
    asked_at = time.monotonic()
    assert cancel_session(session)
    while not session.has_ended:
        assert time.monotonic() - asked_at < 5
        time.sleep(0.05)
        session.refresh_from_db()
    assert session.status == "cancelled"
    assert not cancel_session(session), "it has ended"
