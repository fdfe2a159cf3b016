"""Keeps the SDK's manager running: its tasks belong to a task of their own, since the web server has no word for the start of an
application. It begins with the first request, in the loop that serves it.
"""

import asyncio
from collections.abc import Callable

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager


class Running:
    """`make` is called once."""

    def __init__(self, make: Callable[[], StreamableHTTPSessionManager]) -> None:
        self._make = make
        self._manager: StreamableHTTPSessionManager | None = None
        self._task: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    async def manager(self) -> StreamableHTTPSessionManager:
        async with self._starting:
            if self._manager is None:
                manager, has_started = self._make(), asyncio.Event()
                self._task = asyncio.create_task(_run(manager, has_started))
                await has_started.wait()
                self._manager = manager
            return self._manager


async def _run(manager: StreamableHTTPSessionManager, has_started: asyncio.Event) -> None:
    async with manager.run():
        has_started.set()
        await asyncio.Event().wait()
