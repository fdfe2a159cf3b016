"""The tools of MCP servers, kept as their servers list them now: a changed definition ends what its approval allowed."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from speculation.models import ToolRecord
from speculation.policy import register_tool
from tools.base import ToolError
from tools.mcp_client import tools_of
from tools.mcp_servers import McpServer, servers_in

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listed:
    """One server, asked for its tools. `gone`: tools that it had and has no more. `problem`: why it could not be asked."""

    server: str
    tools: Sequence[str] = ()
    changed: Sequence[str] = ()
    gone: Sequence[str] = ()
    problem: str = ""


def list_tools(path: Path) -> list[Listed]:
    """Ask every server of the file and register what it lists. Raises BadServers; a server that fails keeps its tools."""
    return [_list(server) for server in servers_in(path).values()]


def _list(server: McpServer) -> Listed:
    known = {record.name: record.definition_hash for record in ToolRecord.objects.filter(server=server.name)}
    try:
        tools = tools_of(server)
    except ToolError as problem:
        logger.warning("%s", problem)
        return Listed(server.name, problem=str(problem))
    hashes = {}
    for tool in tools:
        hashes[tool.name] = register_tool(server.name, tool).definition_hash
    changed = [name for name, definition_hash in hashes.items() if name in known and known[name] != definition_hash]
    return Listed(server.name, list(hashes), changed, sorted(known.keys() - hashes.keys()))
