"""The MCP endpoint, called by the official client over the wire, with workers of its own behind it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from mcp.client.client import Client
from mcp_types import CallToolResult

from speculation.models import AgentProfile, RemoteCall, Session, ToolJob
from speculation.queries import told
from speculation.submission import cancel_session
from speculation.tool_servers import list_tools
from tests.mcp_commands import Host
from tests.mcp_server import KEY, asked, running
from tests.paste_web.remote_agents import connected, desk, key_text, stockroom, wait_until, wait_until_ended
from tests.workers import Worker, Workers

pytestmark = pytest.mark.slow

FAST = {"PASTE_NETWORK_LATENCY_SECONDS": "0.4", "PASTE_MCP_QUIET_SECONDS": "8"}
CUSTOMERS = (
    "aiko.tanaka@example.com",
    "amina.diallo@example.com",
    "chloe.dubois@example.com",
    "diego.alvarez@example.com",
)
THINKING_SECONDS = 0.9


@pytest.fixture
def agent(transactional_db: None) -> AgentProfile:
    return desk()


@pytest.fixture
def url(agent: AgentProfile, web_address: str) -> str:
    return f"{web_address}/mcp/{agent.name}"


@pytest.fixture
def key(transactional_db: None) -> str:
    return key_text()


@pytest.fixture
def agents_worker(workers: Workers) -> Worker:
    started = [workers.tools(processes=4, **FAST), workers.agents(**FAST)]
    for worker in started:
        worker.wait_until_ready()
    return started[1]


def customer(email: str) -> dict[str, str]:
    return {"table": "customers", "key": email}


def order(number: str) -> dict[str, str]:
    return {"table": "orders", "key": number}


async def read(client: Client, arguments: dict[str, Any], **meta: str) -> CallToolResult:
    return await client.call_tool(
        "get_record", arguments, meta={f"paste/{key}": value for key, value in meta.items()} or None
    )


def talk(url: str, key: str, say: Callable[[Client], Awaitable[Any]], mode: str = "legacy", **headers: str) -> Any:
    async def talking() -> Any:
        async with connected(url, key, mode, **headers) as client:
            return await say(client)

    return asyncio.run(talking())


async def look_up(client: Client, email: str) -> CallToolResult:
    """As the agent does: the customer, then the first of the orders that stand in the answer."""
    found = await read(client, customer(email))
    await asyncio.sleep(THINKING_SECONDS)
    return await read(client, order(found.structured_content["orders"][0]))


def outcomes(session: Session) -> list[str]:
    return [call.call.outcome for turn in told(session).figures.turns for call in turn.calls]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_tools_are_published_with_hints_that_are_true(url: str, key: str, mode: str) -> None:
    listed = talk(url, key, lambda client: client.list_tools(), mode)
    hints = {tool.name: tool.annotations for tool in listed.tools}
    assert set(hints) == {"get_record", "search_documents", "update_record"}
    assert (hints["get_record"].read_only_hint, hints["get_record"].destructive_hint) == (True, False)
    assert (hints["update_record"].read_only_hint, hints["update_record"].destructive_hint) == (False, True)
    assert hints["update_record"].idempotent_hint is True and hints["get_record"].open_world_hint is False
    assert all(tool.input_schema["type"] == "object" and tool.description for tool in listed.tools)
    assert not Session.objects.exists(), "looking around is no session"


def test_what_was_learned_of_an_agent_elsewhere_serves_its_next_calls_early(
    url: str, key: str, agents_worker: Worker
) -> None:
    for email in CUSTOMERS[:3]:
        talk(url, key, lambda client, email=email: look_up(client, email))
    wait_until_ended(3)
    answer = talk(url, key, lambda client: look_up(client, CUSTOMERS[3]))
    session = wait_until_ended(4)[-1]

    assert outcomes(session) == ["requested", "used"]
    figures = told(session).figures
    assert figures.hidden_seconds > 0.3 and figures.net_saved_seconds > 0.3
    assert figures.waited_seconds < 0.4 + 0.3, "of two calls of .4 s the second was there already"
    assert answer.structured_content["email"] == CUSTOMERS[3]
    assert (session.status, session.origin, session.attempt) == ("succeeded", "remote", 1)
    assert session.model_name == "mcp 0.1.0" and session.agent.name == "desk"
    assert not RemoteCall.objects.exists(), "nothing waits any more"


def test_a_session_that_its_client_names_goes_on_over_connections(url: str, key: str, agents_worker: Worker) -> None:
    """By its call's own word before its header's; what it is called stands nowhere."""
    secret = "a name that is nobody else's business"
    named = [({"Paste-Session": "a"}, {}), ({}, {"session": secret}), ({"Paste-Session": "c"}, {"session": secret})]
    for mode in ("legacy", "auto"):
        for headers, meta in named:
            talk(url, key, lambda client, meta=meta: read(client, customer(CUSTOMERS[0]), **meta), mode, **headers)
    talk(url, key_text(), lambda client: read(client, customer(CUSTOMERS[0]), session=secret))
    sessions = wait_until_ended(3)
    assert [len(told(one).figures.calls) for one in sessions] == [2, 4, 1], "and is a key's own"
    logs = "".join(path.read_text(errors="replace") for path in Path(settings.PASTE_HOME).glob("*.log"))
    assert not any(text in logs + repr(list(Session.objects.values())) for text in (secret, key[12:]))


def test_calls_that_are_sent_side_by_side_are_one_turn(url: str, key: str, agents_worker: Worker) -> None:
    async def all_at_once(client: Client) -> list[CallToolResult]:
        await read(client, customer(CUSTOMERS[0]))
        return await asyncio.gather(*(read(client, customer(email)) for email in CUSTOMERS[1:]))

    answers = talk(url, key, all_at_once)
    assert [one.structured_content["email"] for one in answers] == list(CUSTOMERS[1:])
    (session,) = wait_until_ended(1)
    figures = told(session).figures
    assert [len(turn.calls) for turn in figures.turns if turn.calls] == [1, 3]
    second = figures.turns[1]
    assert sum(call.waited_seconds for call in second.calls) > 1.5 * second.waited_seconds, "they ran side by side"
    assert figures.task_seconds == pytest.approx(figures.without_speculation_seconds - figures.net_saved_seconds)


def test_an_agent_is_told_when_an_operator_stops_its_session(url: str, key: str, agents_worker: Worker) -> None:
    async def stopped(client: Client) -> CallToolResult:
        await read(client, customer(CUSTOMERS[0]))
        call = asyncio.create_task(read(client, customer(CUSTOMERS[1])))
        await asyncio.to_thread(wait_until, lambda: ToolJob.objects.filter(call_id="2.0", status="running").exists())
        await asyncio.to_thread(lambda: cancel_session(Session.objects.get()))
        answer = await call
        again = await read(client, customer(CUSTOMERS[2]))
        assert again.structured_content["email"] == CUSTOMERS[2]
        return answer

    answer = talk(url, key, stopped)
    assert answer.is_error and "outcome is unknown" in answer.content[0].text
    assert answer.meta is not None and answer.meta["paste/may_retry"] is False
    assert [one.status for one in wait_until_ended(2)] == ["cancelled", "succeeded"]


def test_a_call_outlives_the_worker_that_ran_its_session(
    url: str, key: str, agents_worker: Worker, workers: Workers
) -> None:
    async def call(client: Client) -> CallToolResult:
        await read(client, customer(CUSTOMERS[0]))
        answer = asyncio.create_task(read(client, customer(CUSTOMERS[1])))
        await asyncio.to_thread(wait_until, lambda: ToolJob.objects.filter(call_id="2.0").exists())
        await asyncio.to_thread(agents_worker.kill)
        await asyncio.to_thread(workers.agents(**FAST).wait_until_ready)
        answered = await answer
        assert (await read(client, customer(CUSTOMERS[2]))).structured_content["email"] == CUSTOMERS[2]
        return answered

    answer = talk(url, key, call)
    assert not answer.is_error, answer.content
    assert answer.structured_content["email"] == CUSTOMERS[1]
    (session,) = wait_until_ended(1)
    assert session.attempt == 2 and ToolJob.objects.filter(session=session, call_id__isnull=False).count() == 3
    assert [call.call_id for call in told(session).story.calls.values()] == ["1.0", "2.0", "3.0"]


@contextmanager
def at_an_address(folder: Path) -> Iterator[dict[str, str]]:
    """What tells workers of a server that runs elsewhere."""
    with running(folder) as url:
        file = folder / "servers.json"
        file.write_text(json.dumps({"mcpServers": {"stock": {"url": url, "headers": {"Authorization": f"Bearer {KEY}"}}}}))
        yield {"PASTE_MCP_SERVERS": str(file)}


@contextmanager
def as_a_command(folder: Path) -> Iterator[dict[str, str]]:
    host = Host(folder).start()
    try:
        yield {"PASTE_MCP_SERVERS": str(host.file), "PASTE_MCP_COMMANDS_URL": host.url_file.read_text()}
    finally:
        host.stop()


@pytest.mark.parametrize("server", [at_an_address, as_a_command])
def test_tools_of_another_mcp_server_are_called_ahead_through_us(
    server: Callable[[Path], AbstractContextManager[dict[str, str]]],
    key: str,
    web_address: str,
    workers: Workers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An agent that had its own MCP server has us in between: it sees the same tools, and waits less for them."""
    with server(tmp_path) as told_where:
        monkeypatch.setattr(settings, "PASTE_MCP_COMMANDS_URL", told_where.get("PASTE_MCP_COMMANDS_URL", ""))
        list_tools(Path(told_where["PASTE_MCP_SERVERS"]))
        stockroom("clerk")
        told_where = {**FAST, **told_where}
        started = [workers.tools(processes=4, **told_where), workers.agents(**told_where)]
        for worker in started:
            worker.wait_until_ready()

        async def fetch(client: Client, part: str) -> CallToolResult:
            found = await client.call_tool("find_part", {"name": part})
            await asyncio.sleep(THINKING_SECONDS)
            return await client.call_tool("look_at_shelf", {"shelf": found.structured_content["shelf"]})

        url = f"{web_address}/mcp/clerk"
        listed = talk(url, key, lambda client: client.list_tools())
        assert {tool.name: tool.annotations.read_only_hint for tool in listed.tools} == {
            "find_part": True, "look_at_shelf": True, "take_part": False, "show": False,
        }  # fmt: skip
        shown = talk(url, key, lambda client: client.call_tool("show", {"name": "x"}))
        assert [block.type for block in shown.content] == ["text", "image"]
        assert (shown.content[0].text, shown.content[1].data) == ("x", "AAAA"), "a picture comes through as it is"
        for part in ("part-1", "part-2", "part-3"):
            talk(url, key, lambda client, part=part: fetch(client, part))
        wait_until_ended(4)
        last = talk(url, key, lambda client: fetch(client, "part-4"))

        assert last.structured_content == {"shelf": "shelf-28", "holds": "things of shelf-28"}
        session = wait_until_ended(5)[-1]
        assert outcomes(session) == ["requested", "used"] and told(session).figures.net_saved_seconds > 0.3
        assert asked(tmp_path).count("look_at_shelf shelf-28") == 1, "it was asked once"
