"""`manage.py mcp_commands` for tests: as a process, with what is needed to ask its commands."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings

from speculation.tool_servers import command_host
from tests.mcp_server import PROJECT, command_of
from tools.base import ToolContext, ToolResult
from tools.mcp_client import McpTool, tools_of
from tools.mcp_servers import CommandHost, servers_in
from tools.running import execute


class Host:
    """The process in a home of its own under `folder`, and the file that it runs the commands of."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.key, self.file = folder, command_host().key, folder / "servers.json"
        self.url_file = folder / "home" / "run" / "mcp-commands.url"
        self.tell(stock=command_of(folder))
        self.process: subprocess.Popen[bytes]

    def tell(self, **entries: Any) -> None:
        self.file.write_text(json.dumps({"mcpServers": entries}))
        os.utime(self.file, ns=(time.time_ns(), time.time_ns()))

    def start(self) -> "Host":
        self.url_file.unlink(missing_ok=True)  # of one that was killed
        environment = {**os.environ, "PASTE_HOME": str(self.folder / "home"), "PASTE_SECRET_KEY": settings.SECRET_KEY}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "mcp_commands"],
                cwd=PROJECT,
                env={**environment, "PASTE_MCP_SERVERS": str(self.file)},
                stdout=log,
                stderr=log,
            )
        wait_until(self.url_file.exists)
        return self

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(15)

    @property
    def commands(self) -> CommandHost:
        return CommandHost(self.key, url_file=self.url_file)

    def context(self) -> ToolContext:
        return ToolContext(self.folder, servers_file=self.file, commands=self.commands)

    def tools(self, server: str = "stock") -> dict[str, McpTool]:
        return {tool.name: tool for tool in tools_of(servers_in(self.file)[server], self.commands)}

    def call(self, tool: McpTool, **arguments: Any) -> ToolResult:
        return execute(tool, arguments, self.context())

    def log(self) -> str:
        return (self.folder / "log").read_text()


def wait_until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)
