"""A remote agent with the support desk's tools, and the official client to call them with, as an agent elsewhere would."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from speculation import access
from speculation.models import AgentProfile, Session, ToolRecord, WorkerPool
from speculation.policy import decide, declare_reads_only, register_tool
from tools import catalog

TOOLS = ("get_record", "search_documents", "update_record")


def desk(name: str = "desk", **fields: Any) -> AgentProfile:
    """The agent, with its reading tools approved."""
    WorkerPool.objects.update_or_create(name="tools", defaults={"slots": 4, "reserved": 1})
    agent = AgentProfile.objects.create(name=name, model_kind="remote", world="support", mode="on", **fields)
    for tool in (register_tool("builtin", catalog.BUILTIN[name]) for name in TOOLS):
        agent.tools.add(tool)
        if tool.effect == "none":
            approve(tool)
    return agent


def stockroom(name: str) -> AgentProfile:
    """An agent with the tools that tests/mcp_server.py lists; of two of them an approver has said that they read."""
    WorkerPool.objects.update_or_create(name="tools", defaults={"slots": 4, "reserved": 1})
    agent = AgentProfile.objects.create(name=name, model_kind="remote", mode="on")
    for tool in ToolRecord.objects.filter(server="stock", name__in=["find_part", "look_at_shelf", "take_part", "show"]):
        agent.tools.add(tool)
        if tool.name in ("find_part", "look_at_shelf"):
            declare_reads_only(
                tool,
                who="tester",
                why="it looks up",
                expected_definition_hash=tool.definition_hash,
                expected_policy_version=tool.policy_version,
            )
            tool.refresh_from_db()
            approve(tool)
    return agent


def approve(tool: ToolRecord) -> None:
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


def key_text(*scopes: str) -> str:
    return access.create_key("an agent", scopes or (access.CALL,), who="tester")[1]


@asynccontextmanager
async def connected(url: str, key: str, mode: str = "auto", **headers: str) -> AsyncIterator[Client]:
    """`mode`: "legacy" shakes hands first, "auto" does not where the server need not be asked to."""
    sent = {"Authorization": f"Bearer {key}", **headers}
    async with (
        httpx2.AsyncClient(headers=sent, timeout=60, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


def wait_until(is_so: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, [(one.status, one.last_seq) for one in Session.objects.all()]
        time.sleep(0.02)


def wait_until_ended(count: int) -> list[Session]:
    """The sessions, oldest first, once so many have ended and been learned from."""
    ended = Session.objects.filter(ended_at__isnull=False).exclude(status="succeeded", mined_at=None)
    wait_until(lambda: ended.count() >= count)
    return list(Session.objects.order_by("created_at"))
