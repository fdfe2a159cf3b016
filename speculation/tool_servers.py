"""The tools of MCP servers, kept as their servers list them now: a changed definition ends what its approval allowed."""

import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from speculation.models import ToolRecord
from speculation.policy import register_tool
from tools.base import ToolError
from tools.mcp_client import tools_of
from tools.mcp_servers import CommandHost, Entry, servers_in

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listed:
    """One server, asked for its tools. `gone`: tools that it had and has no more. `problem`: why it could not be asked."""

    server: str
    tools: Sequence[str] = ()
    changed: Sequence[str] = ()
    gone: Sequence[str] = ()
    problem: str = ""


def command_host() -> CommandHost:
    """What runs the servers that are commands: where it is told to be, else where it says that it is."""
    key = hmac.digest(settings.SECRET_KEY.encode(), b"paste mcp commands", "sha256").hex()
    return CommandHost(key, settings.PASTE_MCP_COMMANDS_URL, settings.PASTE_HOME / "run" / "mcp-commands.url")


def list_tools(path: Path) -> list[Listed]:
    """Ask every server of the file and register what it lists. Raises BadServers; a server that fails keeps its tools."""
    return [_list(server) for server in servers_in(path).values()]


def _list(server: Entry) -> Listed:
    known = {record.name: record.definition_hash for record in ToolRecord.objects.filter(server=server.name)}
    try:
        tools = tools_of(server, command_host())
    except ToolError as problem:
        logger.warning("%s", problem)
        return Listed(server.name, problem=str(problem))
    hashes = {}
    for tool in tools:
        hashes[tool.name] = register_tool(server.name, tool).definition_hash
    changed = [name for name, definition_hash in hashes.items() if name in known and known[name] != definition_hash]
    return Listed(server.name, list(hashes), changed, sorted(known.keys() - hashes.keys()))
