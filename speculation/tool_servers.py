"""The tools of MCP servers, kept as their servers list them now: a changed definition ends what its approval allowed."""

import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models.functions import Coalesce, Now

from speculation.models import ToolRecord, ToolServer
from speculation.policy import register_tool
from tools.base import ToolError
from tools.mcp_client import tools_of
from tools.mcp_servers import BadServers, CommandHost, Entry, McpCommand, servers_in

logger = logging.getLogger(__name__)

FAILS_AFTER_SECONDS = 120.0
"""A server that could not be asked once or twice may just be starting."""
MOST_OF_PROBLEM = 500


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
    servers = servers_in(path)
    listed = []
    for server in servers.values():
        listed.append(_list(server))
        keep(listed[-1], isinstance(server, McpCommand))
    ToolServer.objects.exclude(name__in=servers).delete()
    return listed


def keep(listed: Listed, is_command: bool) -> None:
    """How the server answered, for operators."""
    told: dict[str, Any] = {"is_command": is_command, "asked_at": Now(), "problem": listed.problem[:MOST_OF_PROBLEM]}
    if listed.problem:
        told["failing_since"] = Coalesce("failing_since", Now())
    else:
        told |= {"failing_since": None, "answered_at": Now(), "tools": len(listed.tools), "gone": list(listed.gone)}
    if not ToolServer.objects.filter(name=listed.server).update(**told):
        ToolServer.objects.bulk_create([ToolServer(name=listed.server, asked_at=Now())], ignore_conflicts=True)
        ToolServer.objects.filter(name=listed.server).update(**told)


def problem_of_file() -> str:
    """Why the file of servers cannot be used now, in one line; empty where it can, or where there is none."""
    try:
        if settings.PASTE_MCP_SERVERS is not None:
            servers_in(settings.PASTE_MCP_SERVERS)
    except BadServers as problem:
        return str(problem)
    return ""


def failing_servers(now: datetime) -> list[ToolServer]:
    """Those that could not be asked for longer than a server takes to be started anew, the longest first."""
    since = now - timedelta(seconds=FAILS_AFTER_SECONDS)
    return list(ToolServer.objects.filter(failing_since__lt=since).order_by("failing_since", "name"))


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
