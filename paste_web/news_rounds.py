"""News for all who watch, made in rounds: one statement reads what all their logs have gained, one thread says it to each.

A round is everybody's rows, then one of what costs ten times as much: a snapshot or another range that somebody waits for,
else the chart that is the longest overdue. So rows wait for one chart at most, whoever watches whatever; who gets no chart
in this round has his rows and comes again; and twenty watchers ask the database as often as one does.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async

from paste_web.session_view import SessionView
from speculation import queries
from speculation.models import EventRecord

Message = dict[str, Any] | None
Fresh = Mapping[UUID, Sequence[EventRecord]]


class Made(NamedTuple):
    """`cost_seconds`: of a processor. `waited_seconds`: from when it was asked for to when it was begun. `drawing`: the chart
    that comes after these rows, where it comes in the same round.
    """

    message: Message
    cost_seconds: float
    waited_seconds: float
    drawing: "asyncio.Future[Made] | None" = None


class _Asked(NamedTuple):
    made: "asyncio.Future[Made]"
    asked_at: float


class _Reader(NamedTuple):
    """Who waits for rows, and since when for a chart, if one is due."""

    view: SessionView
    rows: _Asked
    drawing: _Asked
    drawn_at: float | None

    def is_drawn(self, fresh: Fresh) -> bool:
        return self.drawn_at is not None and (self.view.owes_drawing or self.view.session.pk in fresh)


class Rounds:
    """Of one event loop, which it does not hold on to. A watcher asks for one thing at a time."""

    def __init__(self) -> None:
        self._readers: list[_Reader] = []
        self._costly: deque[tuple[Callable[[], Message], _Asked]] = deque()
        self._holding: asyncio.Task[None] | None = None

    async def rows(self, view: SessionView, drawn_at: float | None) -> Made:
        """The rows that the view's log has gained; no message where it has gained none. `drawn_at`: when the last chart was
        sent, by any clock that is everybody's; None while the next is not due.
        """
        reader = _Reader(view, _asked(), _asked(), drawn_at)
        self._readers.append(reader)
        return await self._answer(reader.rows)

    async def costly(self, make: Callable[[], Message]) -> Made:
        """What `make` returns, in the thread where views are read. Raises what it raises."""
        asked = _asked()
        self._costly.append((make, asked))
        return await self._answer(asked)

    async def _answer(self, asked: _Asked) -> Made:
        if self._holding is None:
            self._holding = asyncio.ensure_future(self._hold_rounds())
        return await asked.made

    async def _hold_rounds(self) -> None:
        """Until nobody waits. What fails for all fails each of them."""
        while self._readers or self._costly:
            readers, self._readers = self._readers, []
            costly = [self._costly.popleft()] if self._costly else []
            try:
                await database_sync_to_async(self._hold_one)(readers, costly)
            except Exception as problem:  # noqa: BLE001 - raised where each waits
                for asked in (*(reader.rows for reader in readers), *(asked for _, asked in costly)):
                    _settle(asked.made, problem)
        self._holding = None

    def _hold_one(self, readers: Sequence[_Reader], costly: Sequence[tuple[Callable[[], Message], _Asked]]) -> None:
        fresh = queries.events_after_each(
            (one.view.session.pk, one.view.story.last_seq) for one in readers if one.view.reads_on
        )
        waiting = [] if costly else [reader for reader in readers if reader.is_drawn(fresh)]
        chosen = min(waiting, key=lambda reader: reader.drawn_at or 0.0, default=None)
        for reader in readers:
            new = fresh.get(reader.view.session.pk, ())
            self._make(reader.rows, partial(reader.view.news, new), reader.drawing.made if reader is chosen else None)
        if chosen is not None:
            self._make(chosen.drawing, chosen.view.drawing)
        for make, asked in costly:
            self._make(asked, make)

    def _make(self, asked: _Asked, make: Callable[[], Message], drawing: "asyncio.Future[Made] | None" = None) -> None:
        waited, began = time.monotonic() - asked.asked_at, time.thread_time()
        try:
            made: Made | Exception = Made(make(), time.thread_time() - began, waited, drawing)
        except Exception as problem:  # noqa: BLE001 - raised where it is waited for
            made = problem
        with suppress(RuntimeError):  # the loop was closed meanwhile, and nobody waits
            asked.made.get_loop().call_soon_threadsafe(_settle, asked.made, made)


def _asked() -> _Asked:
    return _Asked(asyncio.get_running_loop().create_future(), time.monotonic())


def _settle(future: "asyncio.Future[Made]", made: Made | Exception) -> None:
    if future.done():
        return  # the browser went away
    if isinstance(made, Exception):
        future.set_exception(made)
    else:
        future.set_result(made)


_of_loop: "WeakKeyDictionary[asyncio.AbstractEventLoop, Rounds]" = WeakKeyDictionary()


def rounds() -> Rounds:
    """Those of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _of_loop.get(loop)
    if found is None:
        found = _of_loop[loop] = Rounds()
    return found
