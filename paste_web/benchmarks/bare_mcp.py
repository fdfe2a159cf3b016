"""The control of the section `mcp`: an MCP server of the same SDK, whose tools only wait, and no product behind it."""

import asyncio
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings

from paste_web.mcp_running import Running

SECONDS = {"noop": 0.0, "wait_30ms": 0.03}
NOTHING: dict[str, Any] = {"type": "object", "properties": {"number": {"type": "integer"}}}


async def list_tools(context: Any, params: Any) -> types.ListToolsResult:
    return types.ListToolsResult(tools=[types.Tool(name=name, input_schema=NOTHING) for name in SECONDS])


async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    await asyncio.sleep(SECONDS[params.name])
    return types.CallToolResult(content=[types.TextContent(type="text", text="done")])


_server: Server[Any] = Server(
    "bare", on_list_tools=list_tools, on_call_tool=call_tool, get_tool_input_schema=lambda name: None
)
_running = Running(
    lambda: StreamableHTTPSessionManager(
        _server, stateless=True, security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False)
    )
)


async def application(scope: Any, receive: Any, send: Any) -> None:
    manager = await _running.manager()
    await manager.handle_request(scope, receive, send)
