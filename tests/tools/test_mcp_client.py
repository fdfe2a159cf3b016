"""Tools of an MCP server, against a real one in a process of its own."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mcp_server import KEY, asked, free_port, running
from tools.base import NotAuthorized, SideEffect, ToolContext, ToolResult, ToolStopped, Unreachable
from tools.catalog import find
from tools.mcp_client import McpTool, tools_of
from tools.mcp_servers import McpServer
from tools.running import execute

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mcp")


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    with running(folder) as url:
        yield url


def server_at(url: str, key: str = KEY) -> McpServer:
    return McpServer("stock", url, {"Authorization": f"Bearer {key}"})


def context_of(tmp_path: Path, url: str, **more: object) -> ToolContext:
    file = tmp_path / "servers.json"
    headers = {"Authorization": f"Bearer {KEY}"}
    file.write_text(json.dumps({"mcpServers": {"stock": {"url": url, "headers": headers}}}))
    return ToolContext(tmp_path, servers_file=file, **more)  # type: ignore[arg-type]


@pytest.fixture
def tools(url: str) -> dict[str, McpTool]:
    return {tool.name: tool for tool in tools_of(server_at(url))}


def test_tools_are_defined_as_their_server_lists_them_and_nothing_is_taken_for_harmless(
    tools: dict[str, McpTool],
) -> None:
    find_part = tools["find_part"]
    assert (find_part.description, find_part.definition["annotations"]) == ("Where a part is.", {"readOnlyHint": True})
    assert find_part.parameters["properties"]["name"]["type"] == "string"
    assert find_part.policy.effect == SideEffect.UNKNOWN and find_part.policy.open_world
    assert find_part.policy.scope == "mcp stock" and find_part.credentials
    again = find("stock", "find_part", find_part.definition)
    assert again.definition_hash == find_part.definition_hash and again.name == "find_part"


def test_a_call_returns_what_the_server_answered(tools: dict[str, McpTool], url: str, tmp_path: Path) -> None:
    context = context_of(tmp_path, url)
    found = execute(tools["find_part"], {"name": "part-1"}, context)
    assert found.ok and found.structured == {"name": "part-1", "shelf": "shelf-7"}
    assert json.loads(found.content) == found.structured
    shown = execute(tools["show"], {"name": "x"}, context)
    picture = {"type": "image", "data": "AAAA", "mimeType": "image/png"}
    assert shown == ToolResult(
        ok=True, content="x\n[image/png, 3 bytes]", blocks=({"type": "text", "text": "x"}, picture)
    )
    assert ToolResult.from_json(json.loads(json.dumps(shown.to_json()))).to_json() == shown.to_json()
    absent = execute(tools["find_part"], {"name": "no-such-part"}, context)
    assert not absent.ok and absent.failure == ""
    wrong = execute(tools["find_part"], {"nme": "part-1"}, context)
    assert not wrong.ok and "name" in wrong.content


def test_calls_of_several_threads_share_a_line_and_run_side_by_side(
    tools: dict[str, McpTool], url: str, tmp_path: Path
) -> None:
    context, answers = context_of(tmp_path, url), []
    execute(tools["take_part"], {"name": "first"}, context)
    threads = [
        threading.Thread(target=lambda: answers.append(execute(tools["think"], {"seconds": 0.5}, context)))
        for _ in range(4)
    ]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.content for one in answers] == ["thought"] * 4 and time.monotonic() - began < 1.5


def test_a_call_that_nobody_waits_for_is_left_at_once(tools: dict[str, McpTool], url: str, tmp_path: Path) -> None:
    stop = threading.Event()
    context = context_of(tmp_path, url, should_stop=stop.is_set)
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    with pytest.raises(ToolStopped):
        tools["think"].run({"seconds": 30}, context)
    assert time.monotonic() - began < 1.0
    assert execute(tools["think"], {"seconds": 0}, context_of(tmp_path, url)).ok, "the line is still good"


def test_a_server_that_is_away_or_refuses_us_is_told_apart_and_tells_no_secret(url: str, tmp_path: Path) -> None:
    with pytest.raises(NotAuthorized) as refused:
        tools_of(server_at(url, "wrong key"))
    with pytest.raises(Unreachable) as away:
        tools_of(server_at(f"http://127.0.0.1:{free_port()}/mcp"))
    for told in (str(refused.value), str(away.value), repr(server_at(url))):
        assert "wrong key" not in told and KEY not in told
    assert "127.0.0.1" not in str(away.value) and "Nothing was asked of it" in str(away.value)


def test_after_its_server_was_started_anew_a_tool_goes_on_and_nothing_ran_twice(tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path
    with running(folder, port) as url:
        take = next(tool for tool in tools_of(server_at(url)) if tool.name == "take_part")
        context = context_of(tmp_path, url)
        assert execute(take, {"name": "a"}, context).content == "took a"
    lost = execute(take, {"name": "b"}, context)
    assert not lost.ok and lost.failure == "unreachable"
    with running(folder, port):
        assert execute(take, {"name": "c"}, context).content == "took c"
    assert asked(folder) == ["take_part a", "take_part c"]


def test_a_tool_whose_server_is_no_longer_told_says_so(tools: dict[str, McpTool], url: str, tmp_path: Path) -> None:
    context = context_of(tmp_path, url)
    assert context.servers_file is not None
    context.servers_file.write_text('{"mcpServers": {}}')
    told = execute(tools["find_part"], {"name": "part-1"}, context)
    assert told.failure == "unreachable" and "no MCP server stock any more" in told.content
    context.servers_file.write_text("{")
    told = execute(tools["find_part"], {"name": "part-1"}, context)
    assert told.failure == "unreachable" and str(tmp_path) not in told.content
