"""Lines to MCP servers: one a process and server, made with the first call, made anew after it broke.

The official SDK is asynchronous; its lines live on an event loop of their own, in a thread beside. Calls come from any
thread. Imported by whoever makes a call alone: the SDK takes the better part of a second.
"""

import asyncio
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, Tool

from tools.base import NotAuthorized, ToolFailed, Unreachable
from tools.mcp_servers import McpServer

T = TypeVar("T")

CONNECT_SECONDS = 10.0
LONGEST_SILENCE_SECONDS = 300.0
MOST_PAGES = 100
"""Of a server's list of tools."""
SESSION_IS_OVER = "Session terminated"
"""What the SDK says where a server no longer knows the connection: the request was not carried out."""


class Line(ABC):
    """One connection, kept open until it is closed. Entered and left by one task, as the SDK wants it."""

    OPENS_WITHIN_SECONDS = CONNECT_SECONDS

    def __init__(self) -> None:
        self._closing = asyncio.Event()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None
        self.client: Client

    @abstractmethod
    def connected(self) -> AbstractAsyncContextManager[Client]:
        """The connection itself."""

    async def open(self) -> None:
        """Raises whatever connecting raises. However many wait for it, it is opened once, and whoever leaves stops nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._keep())
        await asyncio.shield(self._ready)

    def close(self) -> None:
        """Says so; `closed` waits for it."""
        self._closing.set()
        if self._task is not None and not self._ready.done():
            self._task.cancel()

    async def closed(self) -> None:
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _keep(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(self.OPENS_WITHIN_SECONDS):
                    self.client = await stack.enter_async_context(self.connected())
                self._ready.set_result(None)
                await self._closing.wait()
        except BaseException as problem:  # noqa: BLE001 - told to whoever waits for the line; afterwards calls fail by themselves
            if not self._ready.done():
                self._ready.set_exception(problem if isinstance(problem, Exception) else Unreachable("closed"))
                self._ready.exception()  # seen, even where nobody waits any more


class HttpLine(Line):
    """`refused`: some answer of the server refused what we sign in with."""

    def __init__(self, server: McpServer) -> None:
        super().__init__()
        self._server = server
        self.refused = False

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Client]:
        timeout = httpx2.Timeout(CONNECT_SECONDS, read=LONGEST_SILENCE_SECONDS)
        hooks = {"response": [self._look_at]}
        async with (
            httpx2.AsyncClient(headers=dict(self._server.headers), timeout=timeout, event_hooks=hooks) as http,
            Client(streamable_http_client(self._server.url, http_client=http)) as client,
        ):
            yield client

    async def _look_at(self, response: httpx2.Response) -> None:
        self.refused = self.refused or response.status_code in (401, 403)


class Lines:
    """A process's lines, by server."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._lines: dict[McpServer, HttpLine] = {}
        self._opening: dict[McpServer, asyncio.Lock] = {}
        threading.Thread(target=self._loop.run_forever, name="mcp-lines", daemon=True).start()

    def start(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def call(self, server: McpServer, tool: str, arguments: Mapping[str, Any]) -> CallToolResult:
        """Raises ToolFailed. Once more where the server has forgotten the connection, since nothing was carried out then."""
        for is_last in (False, True):
            line = await self._line(server)
            try:
                return await line.client.call_tool(tool, dict(arguments))
            except asyncio.CancelledError:
                raise
            except Exception as problem:  # noqa: BLE001 - the SDK lets through whatever its transport raises
                self._drop(server, line)
                if is_last or SESSION_IS_OVER not in str(problem):
                    raise _failure(server, line, problem, "Whether the call was carried out is unknown.") from None
        raise AssertionError("the last try returns or raises")

    async def list_tools(self, server: McpServer) -> Sequence[Tool]:
        """Raises ToolFailed."""
        line = await self._line(server)
        tools: list[Tool] = []
        cursor = None
        try:
            for _ in range(MOST_PAGES):
                page = await line.client.list_tools(cursor=cursor)
                tools += page.tools
                if not (cursor := page.next_cursor):
                    return tools
        except Exception as problem:  # noqa: BLE001 - as above
            self._drop(server, line)
            raise _failure(server, line, problem, "Its tools could not be listed.") from None
        raise ToolFailed(f"{server.name} lists more than {MOST_PAGES} pages of tools.")

    async def _line(self, server: McpServer) -> HttpLine:
        async with self._opening.setdefault(server, asyncio.Lock()):
            if server not in self._lines:
                line = HttpLine(server)
                try:
                    await line.open()
                except Exception as problem:  # noqa: BLE001 - as above
                    line.close()
                    raise _failure(server, line, problem, "Nothing was asked of it.") from None
                self._lines[server] = line
            return self._lines[server]

    def _drop(self, server: McpServer, line: HttpLine) -> None:
        if self._lines.get(server) is line:
            del self._lines[server]
        line.close()


def _failure(server: McpServer, line: HttpLine, problem: Exception, so: str) -> ToolFailed:
    """What an agent may read of it: the server's name, never its address or its headers."""
    if line.refused:
        return NotAuthorized(f"The MCP server {server.name} refused what it is signed in with. {so}")
    said = f": {problem.error.message}" if isinstance(problem, MCPError) else ""
    return Unreachable(f"The MCP server {server.name} did not answer as it should{said}. {so}")


_all: dict[int, Lines] = {}
_making = threading.Lock()


def lines() -> Lines:
    """This process's; a forked one gets its own."""
    with _making:
        if os.getpid() not in _all:
            _all[os.getpid()] = Lines()
        return _all[os.getpid()]
