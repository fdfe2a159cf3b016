"""Ask the MCP servers of PASTE_MCP_SERVERS for their tools, and register them."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from speculation.tool_servers import Listed, list_tools
from tools.mcp_servers import BadServers


class Command(BaseCommand):
    help = "Registers the tools of the MCP servers in the file PASTE_MCP_SERVERS, as they list them now. `up` does so each minute."

    def handle(self, **options: Any) -> None:
        if settings.PASTE_MCP_SERVERS is None:
            raise CommandError("Set PASTE_MCP_SERVERS to a file of MCP servers first (docs/mcp.md).", returncode=2)
        try:
            listed = list_tools(settings.PASTE_MCP_SERVERS)
        except BadServers as problem:
            raise CommandError(str(problem), returncode=2) from None
        for server in listed:
            self.stdout.write(_line(server))
        if any(server.problem for server in listed):
            raise CommandError("Not every server could be asked; what was known of the others' tools stays.")


def _line(listed: Listed) -> str:
    if listed.problem:
        return f"{listed.server}: {listed.problem}"
    words = [f"{len(listed.tools)} tool{'' if len(listed.tools) == 1 else 's'}: {', '.join(listed.tools) or 'none'}"]
    words += [f"changed, so what was decided needs review: {', '.join(listed.changed)}"] if listed.changed else []
    words += [f"no longer listed: {', '.join(listed.gone)}"] if listed.gone else []
    return f"{listed.server}: {'; '.join(words)}"
