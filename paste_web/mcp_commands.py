"""The process that runs MCP servers which are commands: each is a server at an address of its own here, `/<name>`, to us alone.

One process has them all, because what a server remembers is shared by all sessions, and calls come from many processes. A command is
started with the first request for it, and anew when it ended or its entry in the file changed. Whatever it is asked is passed
on as it is.
"""

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import mcp_types as types
from anyio import BrokenResourceError, ClosedResourceError
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

from tools.mcp_line import LONGEST_SILENCE_SECONDS, Line
from tools.mcp_servers import BadServers, McpCommand, servers_in

logger = logging.getLogger(__name__)

T = TypeVar("T")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Context = ServerRequestContext[Any, Any]

STARTS_WITHIN_SECONDS = 60.0
"""A command may have to be fetched first."""
ENDED = types.ErrorData(code=types.CONNECTION_CLOSED, message="Connection closed")
"""What the SDK says where a command's output has ended. Commands give errors of this code too, and live."""
ASKED = "paste.command"
"""Where a request's scope says which command is asked."""


class CommandEnded(MCPError):
    """Whether it had carried out what it was asked is unknown."""


class CommandLine(Line):
    """A command that runs, and our line to it. What it says on its standard error is in our log."""

    OPENS_WITHIN_SECONDS = STARTS_WITHIN_SECONDS

    def __init__(self, command: McpCommand) -> None:
        super().__init__()
        self.command = command

    def connected(self) -> Client:
        command = self.command
        return Client(
            StdioServerParameters(command=command.command, args=[*command.args], env=dict(command.env), cwd=command.cwd)
        )


class Commands:
    """Those of the file that run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: dict[str, CommandLine] = {}

    def named(self, name: str) -> McpCommand | None:
        """As the file tells it now; None where it tells no such command. Those that it tells otherwise or no more are ended."""
        try:
            entries = servers_in(self._path)
        except BadServers as problem:
            logger.error("%s", problem)
            return None
        for line in list(self._lines.values()):
            if entries.get(line.command.name) != line.command:
                logger.warning("%s is told otherwise in the file of servers: ended.", line.command.name)
                self._drop(line)
        entry = entries.get(name)
        return entry if isinstance(entry, McpCommand) else None

    async def ask(self, command: McpCommand, question: Callable[[Client], Awaitable[T]]) -> T:
        """Raises MCPError, the command's own among them."""
        line = await self._line(command)
        try:
            async with asyncio.timeout(LONGEST_SILENCE_SECONDS):
                return await question(line.client)
        except (ClosedResourceError, BrokenResourceError):
            raise self._ended(line) from None
        except MCPError as problem:
            raise (self._ended(line) if problem.error == ENDED else problem) from None
        except TimeoutError:
            raise MCPError(types.REQUEST_TIMEOUT, f"it has said nothing for {LONGEST_SILENCE_SECONDS:g} s") from None

    async def close(self) -> None:
        """End all of them, side by side, and wait until they have ended."""
        lines, self._lines = list(self._lines.values()), {}
        for line in lines:
            line.close()
        for line in lines:
            await line.closed()

    async def _line(self, command: McpCommand) -> CommandLine:
        """Opened, unless it fails. Who asks first and leaves meanwhile leaves a start that goes on."""
        line = self._lines.get(command.name)
        if line is None:
            line = self._lines[command.name] = CommandLine(command)
        try:
            await line.open()
        except Exception as problem:  # noqa: BLE001 - the SDK lets through whatever starting raises
            self._drop(line)
            logger.error("%s could not be started: %s", command.name, _kind_of(problem))
            raise MCPError(types.INTERNAL_ERROR, "its command could not be started") from None
        return line

    def _ended(self, line: CommandLine) -> MCPError:
        self._drop(line)
        logger.error("%s ended; the next call starts it again.", line.command.name)
        return CommandEnded(types.INTERNAL_ERROR, "its command ended")

    def _drop(self, line: CommandLine) -> None:
        if self._lines.get(line.command.name) is line:
            del self._lines[line.command.name]
        line.close()


def _kind_of(problem: BaseException) -> str:
    """What may be logged of a failure: its texts may hold what the command was given."""
    if isinstance(problem, BaseExceptionGroup):
        return _kind_of(problem.exceptions[0])
    if isinstance(problem, MCPError) and problem.error == ENDED:
        return "it ended at once; what it said on its standard error stands above"
    if isinstance(problem, TimeoutError):
        return f"no answer within {STARTS_WITHIN_SECONDS:g} s"
    reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else ""
    return f"{type(problem).__name__} {reason}".strip()


async def _list_tools(context: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    """Once more where the command had ended before: a list may be asked for twice, a call not."""
    commands, command = context.request.scope[ASKED]
    cursor = params.cursor if params else None
    for is_last in (False, True):
        try:
            return await commands.ask(command, lambda client: client.list_tools(cursor=cursor, cache_mode="bypass"))
        except CommandEnded:
            if is_last:
                raise
    raise AssertionError("the last try returns or raises")


async def _call_tool(context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    commands, command = context.request.scope[ASKED]
    return await commands.ask(command, lambda client: client.call_tool(params.name, params.arguments or {}))


server: Server[Any] = Server(
    "paste commands",
    on_list_tools=_list_tools,
    on_call_tool=_call_tool,
    get_tool_input_schema=lambda name: None,  # nothing is taken from headers
)


def application(path: Path, key: str) -> Starlette:
    """The ASGI application. `path`: the file that tells the commands; `key`: who does not have it learns nothing."""
    commands = Commands(path)
    manager = StreamableHTTPSessionManager(
        server,
        stateless=True,
        json_response=True,
        security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # no page has the key
    )

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope["headers"]).get(b"authorization", b"")
        if not hmac.compare_digest(given, f"Bearer {key}".encode()):
            await PlainTextResponse("", 401)(scope, receive, send)
            return
        command = commands.named(scope["path"].strip("/"))
        if command is None:
            await PlainTextResponse("", 404)(scope, receive, send)
            return
        scope[ASKED] = commands, command
        await manager.handle_request(scope, receive, send)

    @asynccontextmanager
    async def running(app: Starlette) -> AsyncIterator[None]:
        async with manager.run():
            yield
        await commands.close()

    return Starlette(routes=[Mount("/", app=answer)], lifespan=running)
