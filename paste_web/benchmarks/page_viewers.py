"""Watchers of sessions that run: websockets as pages hold them, without the drawing. Each notes when it was told what."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol

from paste_web.picturing.browser import cookie_of
from paste_web.picturing.pages import House

RECONNECT_SECONDS = 0.5


@dataclass
class Viewer:
    """`told`: (when by time.time(), seq up to which), in order. `away`: from when to when it had no connection or had heard
    nothing over a new one yet, one for each time that it was cut or broke.
    """

    session: UUID
    told: list[tuple[float, int]] = field(default_factory=list)
    away: list[tuple[float, float]] = field(default_factory=list)
    lost_at: float | None = None
    bytes: int = 0
    socket: Any = None

    @property
    def seq(self) -> int:
        return self.told[-1][1] if self.told else 0

    def is_back(self, at: float) -> None:
        if self.lost_at is not None:
            self.away.append((self.lost_at, at))
            self.lost_at = None


class _Socket(WebSocketClientProtocol):
    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        message, viewer = json.loads(payload), self.factory.viewer
        viewer.bytes += len(payload)
        viewer.is_back(time.time())
        if "seq" in message:
            viewer.told.append((time.time(), message["seq"]))
        self.sendMessage(b'{"type": "drawn"}')

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.factory.viewer.lost_at = time.time()
        self.factory.gone.set()


class Viewers:
    """They live in a thread with an event loop of its own."""

    def __init__(self, address: str, house: House, sessions: Sequence[UUID], count: int) -> None:
        self.viewers = [Viewer(sessions[k % len(sessions)]) for k in range(count)]
        cookie = cookie_of(house.operator, address)
        self._headers = {"Cookie": f"{cookie['name']}={cookie['value']}"}
        self._address, self._loop, self._ending = address, asyncio.new_event_loop(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._watch_all(),), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def cut(self) -> None:
        """Break every connection now; each connects again, from where it was."""
        for viewer in self.viewers:
            if viewer.socket is not None:
                self._loop.call_soon_threadsafe(viewer.socket.transport.abort)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(15)

    async def _watch_all(self) -> None:
        await asyncio.gather(*(self._watch(viewer) for viewer in self.viewers))

    async def _watch(self, viewer: Viewer) -> None:
        ending = asyncio.ensure_future(self._ending.wait())
        while not self._ending.is_set():
            gone = await self._connect(viewer)
            waiting = asyncio.ensure_future(gone.wait())
            await asyncio.wait({ending, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if not self._ending.is_set():
                await asyncio.sleep(RECONNECT_SECONDS)
        viewer.socket.transport.abort()

    async def _connect(self, viewer: Viewer) -> asyncio.Event:
        place = urlsplit(self._address)
        url = f"ws://{place.netloc}/ws/sessions/{viewer.session}/?after={viewer.seq}"
        factory = WebSocketClientFactory(url, origin=self._address, headers=self._headers)
        factory.protocol, factory.viewer, factory.gone = _Socket, viewer, asyncio.Event()
        _, viewer.socket = await self._loop.create_connection(factory, place.hostname, place.port)
        return factory.gone


@contextmanager
def watching(address: str, house: House, sessions: Sequence[UUID], count: int) -> Iterator[Viewers]:
    viewers = Viewers(address, house, sessions, count)
    viewers.start()
    try:
        yield viewers
    finally:
        viewers.stop()
