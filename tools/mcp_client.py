"""Tools of an MCP server as our tools: defined as the server lists them, run by a call of it.

What such a tool does to the world is unknown: what its server says of it may suggest or veto, never grant, so nothing of it
runs early until an approver declares that it only reads. Its arguments reach an outside party, and its state is shared by
all sessions: a call that may change something ends what others have guessed of that server.
"""

import importlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from functools import cached_property
from typing import Any

from tools.base import SideEffect, Tool, ToolContext, ToolPolicy, ToolResult, ToolStopped, ToolTimeout, Unreachable
from tools.mcp_servers import BadServers, CommandHost, Entry, McpServer, servers_in

KIND = "mcp"
TIMEOUT_SECONDS = 120.0
LOOK_EVERY_SECONDS = 0.05


class McpTool(Tool):
    """One tool of a server, made from its definition as it is stored: without asking the server."""

    def __init__(self, server: str, definition: Mapping[str, Any], credentials: str = "") -> None:
        self.server, self._definition, self.credentials = server, definition, credentials
        self.name = str(definition["name"])
        self.description = str(definition["description"])
        self.parameters = definition["parameters"]
        self.policy = ToolPolicy(
            effect=SideEffect.UNKNOWN, open_world=True, scope=f"{KIND} {server}", timeout_seconds=TIMEOUT_SECONDS
        )

    @cached_property
    def definition(self) -> dict[str, Any]:
        return dict(self._definition)

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        lines = _lines()
        call = lines.start(lines.call(self._server(context), self.name, arguments))
        try:
            return result_of(_awaited(call, context, self.policy.timeout_seconds))
        finally:
            call.cancel()

    def _server(self, context: ToolContext) -> McpServer:
        try:
            known = servers_in(context.servers_file) if context.servers_file else {}
        except BadServers:  # its message names files of ours
            raise Unreachable("The file of MCP servers cannot be used; the operator's log says why.") from None
        if self.server not in known:
            raise Unreachable(f"There is no MCP server {self.server} any more.")
        return reached(known[self.server], context.commands)


def reached(entry: Entry, commands: CommandHost | None) -> McpServer:
    """Where the server is spoken to. Raises Unreachable where it is a command that nothing runs."""
    if isinstance(entry, McpServer):
        return entry
    server = commands.server_of(entry) if commands else None
    if server is None:
        raise Unreachable(
            f"The MCP server {entry.name} is a command, and nothing runs those now. Nothing was asked of it."
        )
    return server


def _awaited(call: "Future[Any]", context: ToolContext, timeout_seconds: float) -> Any:
    until = time.monotonic() + timeout_seconds
    while True:
        try:
            return call.result(LOOK_EVERY_SECONDS)
        except NotYet:
            if context.should_stop():
                raise ToolStopped from None
            if time.monotonic() > until:
                raise ToolTimeout(
                    f"No answer within {timeout_seconds:g} s. Whether it was carried out is unknown."
                ) from None


def result_of(answer: Any) -> ToolResult:
    """The server's answer as ours: its texts, its structure where it has one, and all of it where some of it is no text."""
    texts = [_text(block) for block in answer.content]
    has_others = any(block.type != "text" for block in answer.content)
    dumped = tuple([block.model_dump(mode="json", by_alias=True, exclude_none=True) for block in answer.content])
    return ToolResult(
        ok=not answer.is_error,
        content="\n".join(texts),
        structured=answer.structured_content,
        blocks=dumped if has_others else (),
    )


def _text(block: Any) -> str:
    """What a model that reads text alone is told of it."""
    if block.type == "text":
        return str(block.text)
    if block.type == "resource_link":
        return f"[{block.name}: {block.uri}]"
    inside = block.resource if block.type == "resource" else block
    if (text := getattr(inside, "text", None)) is not None:
        return str(text)
    encoded = getattr(inside, "data", None) or getattr(inside, "blob", None) or ""
    return f"[{inside.mime_type or block.type}, {len(encoded) * 3 // 4:,} bytes]"


def tools_of(entry: Entry, commands: CommandHost | None = None, timeout_seconds: float = 30.0) -> Sequence[McpTool]:
    """As the server lists them now. Raises ToolFailed."""
    server, lines = reached(entry, commands), _lines()
    listing = lines.start(lines.list_tools(server))
    try:
        listed = listing.result(timeout_seconds)
    except NotYet:
        raise ToolTimeout(
            f"The MCP server {server.name} has not listed its tools within {timeout_seconds:g} s."
        ) from None
    finally:
        listing.cancel()
    return [McpTool(entry.name, _defined(tool), entry.credentials) for tool in listed]


def _defined(tool: Any) -> dict[str, Any]:
    """What an approval pins: all that the server says of it."""
    annotations = tool.annotations.model_dump(by_alias=True, exclude_none=True) if tool.annotations else {}
    return {
        "kind": KIND,
        "name": tool.name,
        "description": tool.description or "",
        "parameters": tool.input_schema,
        "annotations": annotations,
    }


def _lines() -> Any:
    """Found when it is needed: the SDK that it imports takes a second, and most processes never call a server."""
    return importlib.import_module("tools.mcp_line").lines()
