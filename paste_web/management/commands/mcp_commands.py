"""Run the MCP servers of PASTE_MCP_SERVERS that are commands, until Ctrl-C. `up` does so by itself."""

import os
import socket
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from paste_web.mcp_commands import application
from paste_web.starting import address_of, check_port, only_one_here
from speculation.tool_servers import command_host


class Command(BaseCommand):
    help = "Runs those MCP servers of the file PASTE_MCP_SERVERS that are commands, one process for all of our workers. `up` does so."

    requires_system_checks: Sequence[str] = []
    """They would load every page."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="default 127.0.0.1: for workers on this machine")
        parser.add_argument(
            "--port", type=int, default=0, help="default: a free one, told to workers of the same PASTE_HOME"
        )

    def handle(self, *, host: str, port: int, **options: Any) -> None:
        check_port(port)
        if settings.PASTE_MCP_SERVERS is None:
            raise CommandError("Set PASTE_MCP_SERVERS to a file of MCP servers first (docs/mcp.md).", returncode=2)
        commands = command_host()
        assert commands.url_file is not None
        app = application(settings.PASTE_MCP_SERVERS, commands.key)
        # two of them would each have a server's state
        with only_one_here("mcp-commands", "The MCP commands already run"), _listening(host, port) as listener:
            _say_where(commands.url_file, listener)
            try:
                uvicorn.Server(_config(app)).run(sockets=[listener])
            except KeyboardInterrupt:
                pass  # the signal that stopped it, once more
            finally:
                commands.url_file.unlink(missing_ok=True)


def _config(app: Any) -> uvicorn.Config:
    """Who still waits for an answer when we are stopped, is cut off after a second."""
    return uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, lifespan="on")


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """Raises CommandError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=128)
    except OSError as problem:
        reason = os.strerror(problem.errno) if (problem.errno or 0) > 0 else problem.strerror  # a name's errors are below 0
        raise CommandError(f"Port {port} on {host} cannot be had ({reason}). Try another, or 0 for a free one.") from None
    with listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio does not where it is handed a socket: 40 ms a call
        yield listener


def _say_where(url_file: Path, listener: socket.socket) -> None:
    """All of it or nothing."""
    written = url_file.with_suffix(".new")
    written.write_text(address_of(*listener.getsockname()[:2]).rstrip("/"))
    written.replace(url_file)
