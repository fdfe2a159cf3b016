"""The section `mcp`: what a call costs an agent elsewhere, from its client to the answer.

Ours is the whole product: web server, agents worker, tools workers. Beside it, in the same rounds and in drawn order: a
bare server of the same SDK on the same web server, whose tool does nothing either.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
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
SECONDS = {"noop": 0.0, "wait_30ms": 0.03}
"""What each tool takes, here and on the bare server. The second is longer than what runs in place."""
TOOLS = {name: recorded.reading_tool(name, seconds + 0.0005) for name, seconds in SECONDS.items()}
WARM_UP_ROUNDS = 5
PAUSE_SECONDS = 0.03
"""Before each call: no model asks the moment it is answered, and what follows an answer is not the next call's wait."""
KINDS = {"noop": "a tool that does nothing, in place", "wait_30ms": "a tool that waits 30 ms, by a worker"}
OURS, BARE = "ours", "bare"


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
    return {
        "kinds": {tool: _summed_up(times[OURS, tool], times[BARE, tool]) for tool in TOOLS},
        "slots": settings.PASTE_TOOL_SLOTS,
    }


def _summed_up(ours: list[float], bare: list[float]) -> dict[str, Any]:
    added = [one - other for one, other in zip(ours, bare, strict=True)]
    return {OURS: milliseconds(ours), BARE: milliseconds(bare), "added": milliseconds(added)}


def _open_session(agent: AgentProfile, key: ApiKey, calls: int) -> None:
    """Before a worker is there, since what its tools answer has to stand in its world first."""
    root, numbers = stage.new_folder(), range(calls + WARM_UP_ROUNDS)
    answers = [
        recorded.answer(tool, {"number": number}, SECONDS[name]) for name, tool in TOOLS.items() for number in numbers
    ]
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


async def _measure(ours: str, bare: str, key: str, choices: LiveChoices) -> dict[tuple[str, str], list[float]]:
    """Seconds by side and tool, one of each in every round."""
    times: dict[tuple[str, str], list[float]] = {(side, tool): [] for side in (OURS, BARE) for tool in TOOLS}
    rng = random.Random(choices.seed)
    async with _connected(ours, key) as to_us, _connected(bare, key) as to_bare:
        clients = {OURS: to_us, BARE: to_bare}
        for number in range(choices.calls + WARM_UP_ROUNDS):
            for side, tool in rng.sample(sorted(times), len(times)):
                await asyncio.sleep(PAUSE_SECONDS)
                began_at = time.perf_counter()
                answer = await _call(clients[side], tool, number)
                seconds = time.perf_counter() - began_at
                if answer.is_error:
                    raise RuntimeError(f"{side}, {tool} answered: {answer.content}")
                if number >= WARM_UP_ROUNDS:
                    times[side, tool].append(seconds)
    return times


async def _call(client: Client, tool: str, number: int) -> Any:
    return await client.call_tool(tool, {"number": number}, meta={"paste/session": NAME})


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
    rows = [
        [f"{KINDS[kind]}: {side}", *_shown(figures, names)]
        for kind, sides in section["kinds"].items()
        for side, figures in sides.items()
    ]
    return "\n".join([head, text_table(["ms", *names, "of"], rows)])


def _shown(figures: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    return [*(f"{figures[name]:.2f}" for name in names), str(figures["count"])]
