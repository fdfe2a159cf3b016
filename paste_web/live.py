"""Websockets: a session's page and the list of sessions. The log is the truth; the channel layer only rings a bell.

A session's socket sends a `snapshot`, then a `delta` for each growth of the log, one with a chart now and then, a `tick` each second
in between, and `closed` once nothing more can come. It looks at the log on each tick, too, so a lost bell costs a second. What is
said is made in rounds, those of all sockets together (news_rounds.py). The browser acknowledges what it has drawn: one that falls
behind by more than MOST_UNDRAWN messages gets nothing until it has caught up, then a snapshot. It may ask for one itself
(`{"type": "resync"}`) when it sees a gap, and for another range or page (`{"type": "look", "sight": {...}}`, see sight.py),
which then holds for what follows.
"""

import asyncio
import contextlib
import json
import logging
import time
from typing import Any
from urllib.parse import parse_qs, parse_qsl

from autobahn.exception import Disconnected
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.urls import path

from paste_web.heartbeat import Heartbeat, LayerLost
from paste_web.news_rounds import Made, rounds
from paste_web.redaction import may_read_payloads
from paste_web.session_view import SessionView
from paste_web.sight import Sight
from speculation.models import Session

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
LEAST_PAUSE_SECONDS = 0.1
DRAWING_PAUSE_SECONDS, LONGEST_DRAWING_PAUSE_SECONDS = 0.35, 1.0
"""Between two charts; what comes sooner is the log's rows alone. A redraw takes a browser 70 ms and more."""
DRAWING_PAUSE_TIMES_WAIT = 25.0
"""Where news queue behind each other, charts make room for rows, which cost a tenth: 20 watchers of busy sessions heard p95 in
.24 s instead of .28 to .94."""
NEWEST_WAIT_SHARE = 0.3
PAUSE_TIMES_COST = 4.0
"""After a snapshot or a chart, times its processor seconds: a long session costs each reader at most a fifth of a core."""
MOST_UNDRAWN = 20  # more than a second of news
LETTING_GO_SECONDS = 5.0
LIST_PAUSE_SECONDS = 1.0

FAILED = 4011
"""An application's own code: the server's side of the protocol may send no 1011, and the socket would stay open, dead."""


class SessionConsumer(AsyncJsonWebsocketConsumer):
    """One browser that watches one session."""

    _pump: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        view = await self._open(self.scope["url_route"]["kwargs"]["session_id"])
        if view is None:
            await self.close()  # before it was accepted: the browser sees 403
            return
        self._view = view
        self._bell = asyncio.Event()
        self._undrawn = 0
        self._drawn_at = self._drawing_seconds = self._waited_seconds = 0.0
        self._snapshot_after: int | None = after_of(self.scope["query_string"])
        self._sight: Sight | None = None
        self._group = f"session.{view.session.pk.hex}"
        await self.accept()
        self._heartbeat = Heartbeat(self.channel_layer, self.channel_name, "session.echo")
        await self.channel_layer.group_add(self._group, self.channel_name)
        self._pump = asyncio.create_task(self._send_or_give_up())

    async def disconnect(self, code: int) -> None:
        if self._pump is not None:
            self._pump.cancel()
            await self.channel_layer.group_discard(self._group, self.channel_name)

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        kind = content.get("type") if isinstance(content, dict) else None
        if kind == "drawn":
            was_behind, self._undrawn = self._undrawn > MOST_UNDRAWN, 0
            if not was_behind:
                return  # or each message would bring the next
        if kind == "resync":
            self._undrawn, self._snapshot_after = 0, 0
        if kind == "look":
            self._sight = Sight.read(content.get("sight"))
        self._bell.set()

    async def session_echo(self, message: dict[str, Any]) -> None:
        self._heartbeat.heard()

    async def session_bell(self, message: dict[str, Any]) -> None:
        self._heartbeat.heard()  # where bells come late because there are many, the echo does too
        self._bell.set()

    @classmethod
    async def decode_json(cls, text_data: str) -> Any:
        try:
            return json.loads(text_data)
        except ValueError:
            return None  # not ours; ignored like any unknown message

    async def _send_or_give_up(self) -> None:
        """A reader that failed must not look alive: the browser then connects again."""
        try:
            await self._send_until_closed()
        except Disconnected:
            pass  # the browser went away while something was being said to it
        except LayerLost as problem:
            logger.warning("a watcher is sent away, to poll: %s", problem)
            await self.close(FAILED)
        except Exception:
            logger.exception("a session's watcher failed")
            await self.close(FAILED)

    async def _send_until_closed(self) -> None:
        ended_at = None
        while True:
            await self._heartbeat.beat()
            pause_seconds = await self._send_news()
            if self._view.story.has_ended:
                ended_at = ended_at or time.monotonic()
                if self._view.is_over or time.monotonic() - ended_at > LETTING_GO_SECONDS:
                    break
            await asyncio.sleep(max(LEAST_PAUSE_SECONDS, pause_seconds))
            await self._wait_for_bell()
        await self.send_json(self._view.closed())
        await self.close()

    async def _wait_for_bell(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._longest_wait()):  # unlike wait_for it makes no task
                await self._bell.wait()
        self._bell.clear()

    def _longest_wait(self) -> float:
        """Seconds until something is to be said whether or not the log grows."""
        return min(TICK_SECONDS, max(0.0, self._drawing_due_in())) if self._view.owes_drawing else TICK_SECONDS

    def _drawing_due_in(self) -> float:
        pause = max(pause_between_charts(self._waited_seconds), self._drawing_seconds * PAUSE_TIMES_COST)
        return self._drawn_at + pause - time.monotonic()

    async def _send_news(self) -> float:
        """How many seconds to pause for what that took; rows cost next to nothing, and what a chart does holds up no rows."""
        if self._undrawn > MOST_UNDRAWN:
            self._snapshot_after = 0
            return 0.0
        if self._snapshot_after is not None or self._sight is not None:
            return PAUSE_TIMES_COST * await self._say(await rounds().costly(self._asked_for))
        is_due = self._drawing_due_in() <= 0
        news = await rounds().rows(self._view, self._drawn_at if is_due else None)
        self._waited_seconds += NEWEST_WAIT_SHARE * (news.waited_seconds - self._waited_seconds)
        await self._say(news)
        if news.drawing is not None:
            self._drawing_seconds = await self._say(await news.drawing)
            self._drawn_at = time.monotonic()
        elif news.message is None and not self._view.owes_drawing:
            await self._say(await rounds().costly(self._view.tick))
        return 0.0

    async def _say(self, made: Made) -> float:
        """Processor seconds that it took: to wait behind other watchers costs nobody anything, and is no reason to pause."""
        if made.message is not None:
            self._undrawn += 1
            await self.send_json(made.message)
        return made.cost_seconds

    def _asked_for(self) -> dict[str, Any]:
        if self._snapshot_after is not None:
            after, self._snapshot_after = self._snapshot_after, None
            return self._view.snapshot(after)
        sight, self._sight = self._sight or Sight(), None
        return self._view.look(sight)

    @database_sync_to_async
    def _open(self, session_id: Any) -> SessionView | None:
        """None: not signed in, or no such session."""
        user = self.scope["user"]
        session = Session.objects.select_related("agent", "pair").filter(pk=session_id).first()
        if session is None or not user.is_authenticated:
            return None
        sight = Sight.read(dict(parse_qsl(self.scope["query_string"].decode(errors="replace"))))
        return SessionView(session, show_payloads=may_read_payloads(user), sight=sight)


class SessionsConsumer(AsyncJsonWebsocketConsumer):
    """One browser that watches the list: told which sessions changed, at most once a second."""

    _pump: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        if not self.scope["user"].is_authenticated:
            await self.close()
            return
        self._changed: set[str] = set()
        await self.accept()
        self._heartbeat = Heartbeat(self.channel_layer, self.channel_name, "sessions.echo")
        await self.channel_layer.group_add("sessions", self.channel_name)
        self._pump = asyncio.create_task(self._send_changes_until_gone())

    async def disconnect(self, code: int) -> None:
        if self._pump is not None:
            self._pump.cancel()
            await self.channel_layer.group_discard("sessions", self.channel_name)

    async def sessions_echo(self, message: dict[str, Any]) -> None:
        self._heartbeat.heard()

    async def sessions_bell(self, message: dict[str, Any]) -> None:
        self._heartbeat.heard()
        self._changed.update(message["sessions"])

    async def _send_changes_until_gone(self) -> None:
        with contextlib.suppress(Disconnected):
            try:
                await self._send_changes()
            except LayerLost as problem:
                logger.warning("a watcher of the list is sent away, to poll: %s", problem)
                await self.close(FAILED)

    async def _send_changes(self) -> None:
        while True:
            await self._heartbeat.beat()
            changed, self._changed = self._changed, set()
            await self.send_json({"type": "changed" if changed else "tick", "sessions": sorted(changed)})
            await asyncio.sleep(LIST_PAUSE_SECONDS)


def pause_between_charts(waited_seconds: float) -> float:
    """`waited_seconds`: how long news of late waited for those of other watchers."""
    return min(LONGEST_DRAWING_PAUSE_SECONDS, max(DRAWING_PAUSE_SECONDS, DRAWING_PAUSE_TIMES_WAIT * waited_seconds))


def after_of(query: bytes) -> int:
    """The `after` of a query string; 0 where there is none or it is no number."""
    value = parse_qs(query.decode(errors="replace")).get("after", ["0"])[0]
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else 0


websocket_urlpatterns = [
    path("ws/sessions/", SessionsConsumer.as_asgi()),
    path("ws/sessions/<uuid:session_id>/", SessionConsumer.as_asgi()),
]
