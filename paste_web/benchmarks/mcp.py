"""The section `mcp`: what a call costs an agent elsewhere, from its client to the answer.

Ours is the whole product: web server, agents worker, tools workers. Beside it, in the same rounds and in drawn order: a
bare server of the same SDK on the same web server, whose tool does nothing either.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from django.conf import settings
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from paste_web import starting
from paste_web.benchmarks import recorded, stage
from paste_web.benchmarks.choices import LiveChoices
from paste_web.benchmarks.quantities import milliseconds
from paste_web.mcp_address import mcp_path
from paste_web.processes import Processes, Program, daphne
from speculation import access, submission
from speculation.models import AgentProfile, ApiKey, ModelKind, Session, SpeculationMode
from speculation.remote_calls import Caller
from speculation.text_table import text_table

NAME = "benchmark"
"""Of the session, as its client names it."""
BARE = "bare"
TOOLS = {
    "in_place": recorded.reading_tool("noop", 0.0005),
    "by_worker": recorded.reading_tool("noop_by_worker", 1.0),
}
WARM_UP_ROUNDS = 5
PAUSE_SECONDS = 0.03
"""Before each call: no model asks the moment it is answered, and what follows an answer is not the next call's wait."""
KINDS = {
    BARE: "a bare MCP server, whose tool does nothing",
    "in_place": "ours, a tool that does nothing, known to be cheap",
    "by_worker": "ours, a tool that does nothing, not known to be cheap",
}


def mcp_document(choices: LiveChoices, tell: Callable[[str], object]) -> dict[str, Any]:
    with stage.ground() as processes:
        agent = recorded.agent_with("mcp", TOOLS.values())
        AgentProfile.objects.filter(pk=agent.pk).update(model_kind=ModelKind.REMOTE, mode=SpeculationMode.OFF)
        agent.refresh_from_db()
        key, text = access.create_key("benchmark", [access.CALL], who="benchmark")
        try:
            _open_session(agent, key, choices.calls)
            ours, bare = _start(processes, agent)
            tell(f"mcp: {choices.calls} calls of each kind")
            times = asyncio.run(_measure(ours, bare, text, choices))
            processes.check()
        finally:
            key.delete()
    added = {kind: [ours - bare for ours, bare in zip(times[kind], times[BARE], strict=True)] for kind in TOOLS}
    return {
        "kinds": {kind: milliseconds(seconds) for kind, seconds in times.items()},
        "added": {kind: milliseconds(seconds) for kind, seconds in added.items()},
        "slots": settings.PASTE_TOOL_SLOTS,
    }


def _open_session(agent: AgentProfile, key: ApiKey, calls: int) -> None:
    """Before a worker is there, since what its tools answer has to stand in its world first."""
    root, numbers = stage.new_folder(), range(calls + WARM_UP_ROUNDS)
    answers = [recorded.answer(tool, {"number": number}, 0.0) for tool in TOOLS.values() for number in numbers]
    world = recorded.write_world(root, answers)
    caller = Caller(key, agent, "").in_session(NAME)
    pk = submission.open_remote(agent, "", client="benchmark", client_session=caller.session_hash, submitted_by=key)
    Session.objects.filter(pk=pk).update(world=world)


def _start(processes: Processes, agent: AgentProfile) -> tuple[str, str]:
    """Where we are, and where the bare server is."""
    stage.size_pool(settings.PASTE_TOOL_SLOTS)
    stage.start_tools(processes, settings.PASTE_TOOL_SLOTS)
    stage.start_agents(processes, 4)
    address = starting.start_web(processes, "127.0.0.1", starting.free_port())
    starting.wait_for_web(processes, address)
    port = starting.free_port()
    bare = daphne("127.0.0.1", port).arguments[:-1]
    processes.start(Program(BARE, [*bare, "paste_web.benchmarks.bare_mcp:application"]))
    starting.wait_until(lambda: not starting.is_free("127.0.0.1", port), processes, "the bare MCP server")
    return f"{address.rstrip('/')}{mcp_path(agent.name)}", f"http://127.0.0.1:{port}/mcp"


async def _measure(ours: str, bare: str, key: str, choices: LiveChoices) -> dict[str, list[float]]:
    """Seconds by kind, one of each in every round."""
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    rng = random.Random(choices.seed)
    async with _connected(ours, key) as to_us, _connected(bare, key) as to_bare:
        for number in range(choices.calls + WARM_UP_ROUNDS):
            calls: dict[str, Callable[[], Awaitable[Any]]] = {
                kind: _call(to_us, tool.name, number) for kind, tool in TOOLS.items()
            }
            calls[BARE] = _call(to_bare, "noop", number)
            for kind in rng.sample(sorted(calls), len(calls)):
                await asyncio.sleep(PAUSE_SECONDS)
                began_at = time.perf_counter()
                answer = await calls[kind]()
                seconds = time.perf_counter() - began_at
                if answer.is_error:
                    raise RuntimeError(f"{kind} answered: {answer.content}")
                if number >= WARM_UP_ROUNDS:
                    times[kind].append(seconds)
    return times


def _call(client: Client, tool: str, number: int) -> Callable[[], Awaitable[Any]]:
    return lambda: client.call_tool(tool, {"number": number}, meta={"paste/session": NAME})


@asynccontextmanager
async def _connected(url: str, key: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client


def mcp_text(section: Mapping[str, Any]) -> str:
    names = ("p50", "p90", "p99", "mean", "max")
    head = (
        "From an MCP client to the answer, milliseconds, over one connection that stays open. Ours: web server, agents worker "
        f"and {section['slots']} tool slots, the official SDK at both ends, no speculation. Bare: a server of the same SDK on the same "
        f"web server. All of them once a round, in drawn order, {PAUSE_SECONDS * 1000:g} ms apart; added: ours minus bare, of the same round."
    )
    rows = [[KINDS[kind], *_shown(figures, names)] for kind, figures in section["kinds"].items()]
    rows += [[f"added: {KINDS[kind]}", *_shown(figures, names)] for kind, figures in section["added"].items()]
    return "\n".join([head, text_table(["ms", *names, "of"], rows)])


def _shown(figures: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    return [*(f"{figures[name]:.2f}" for name in names), str(figures["count"])]
