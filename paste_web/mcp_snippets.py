"""The lines that point an agent's MCP client at us, for the clients that most have. The key is never in them."""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from paste_web.snippets import KEY_VARIABLE

CLAUDE_CODE = """claude mcp add --transport http paste {url} \\
  --header "Authorization: Bearer ${variable}\""""

TEST_CALL = """curl -sS {url} -H "Authorization: Bearer ${variable}" \\
  -H "Content-Type: application/json" -H "Accept: application/json, text/event-stream" \\
  -d '{{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}}\'"""

SDK = """import asyncio, os, httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

async def main():
    headers = {{"Authorization": f"Bearer {{os.environ['{variable}']}}"}}
    async with httpx2.AsyncClient(headers=headers, timeout=300) as http:
        async with Client(streamable_http_client({url}, http_client=http)) as client:
            print([tool.name for tool in (await client.list_tools()).tools])
            # print(await client.call_tool("a_tool", {{"an": "argument"}}, meta={{"paste/session": "ticket-4711"}}))

asyncio.run(main())"""

OPENAI_AGENTS = """import os
from agents import Agent
from agents.mcp import MCPServerStreamableHttp

headers = {{"Authorization": f"Bearer {{os.environ['{variable}']}}"}}
async with MCPServerStreamableHttp(name="paste", params={{"url": {url}, "headers": headers}}) as paste:
    agent = Agent(name="my agent", mcp_servers=[paste])"""

LANGCHAIN = """import os, uuid
from langchain_mcp_adapters.client import MultiServerMCPClient

headers = {{
    "Authorization": f"Bearer {{os.environ['{variable}']}}",
    "Paste-Session": uuid.uuid4().hex,  # it connects anew for each call: this holds one task's calls together
}}
client = MultiServerMCPClient({{"paste": {{"transport": "http", "url": {url}, "headers": headers}}}})
tools = await client.get_tools()"""


class Snippet(NamedTuple):
    """`slug` tells it apart on its page."""

    slug: str
    title: str
    text: str


def mcp_snippets(url: str) -> list[Snippet]:
    """url: the endpoint of one agent."""
    return [Snippet(slug, title, lines(url)) for slug, (title, lines) in _CLIENTS.items()]


def mcp_test_call(url: str) -> str:
    """A call that changes nothing: the agent's tools."""
    return TEST_CALL.format(url=url, variable=KEY_VARIABLE)


def _filled(template: str) -> Callable[[str], str]:
    return lambda url: template.format(url=json.dumps(url), variable=KEY_VARIABLE)


def _claude_code(url: str) -> str:
    return CLAUDE_CODE.format(url=url, variable=KEY_VARIABLE)


def _configured(variable: str) -> Callable[[str], str]:
    """A file of settings, as most clients of this kind read; they differ in how they name an environment variable."""

    def lines(url: str) -> str:
        entry = {"type": "http", "url": url, "headers": {"Authorization": f"Bearer {variable}"}}
        return json.dumps({"mcpServers": {"paste": entry}}, indent=2)

    return lines


_CLIENTS: Mapping[str, tuple[str, Callable[[str], str]]] = MappingProxyType(
    {
        "claude-code": ("Claude Code", _claude_code),
        "mcp-json": (".mcp.json of a project, for Claude Code", _configured(f"${{{KEY_VARIABLE}}}")),
        "cursor": (".cursor/mcp.json, for Cursor", _configured(f"${{env:{KEY_VARIABLE}}}")),
        "sdk": ("Python, with the official SDK", _filled(SDK)),
        "openai-agents": ("OpenAI Agents SDK", _filled(OPENAI_AGENTS)),
        "langchain": ("LangChain and LangGraph", _filled(LANGCHAIN)),
    }
)
