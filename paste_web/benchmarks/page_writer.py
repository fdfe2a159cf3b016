"""Writes the logs of sessions that run, so many entries a second each, in processes of their own: as workers do."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from random import Random
from uuid import UUID

import django
from django.db import connection

from paste_web.picturing.plots import long_plot
from paste_web.picturing.telling import Line, Terms, tell
from speculation import events

SESSIONS_A_PROCESS = 25
Committed = list[tuple[UUID, int, float]]
"""Session, seq, and when its transaction had been committed, by time.time()."""


def lines_for(seed: int, count: int) -> list[Line]:
    """At least so many entries of one session's log, which does not end."""
    told = tell(long_plot(Random(seed), count // 4), Terms(), Random(seed))
    return told[:count]


@contextmanager
def writers(sessions: Sequence[UUID]) -> Iterator["Writers"]:
    """Processes that are ready to write: starting them is not on anybody's clock. They set Django up before they import us."""
    count = -(-len(sessions) // SESSIONS_A_PROCESS)
    with ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=django.setup) as pool:
        list(pool.map(time.sleep, [0.1] * count))
        seeded = list(enumerate(sessions))
        yield Writers(pool, [seeded[k::count] for k in range(count)])


class Writers:
    def __init__(self, pool: ProcessPoolExecutor, shares: Sequence[Sequence[tuple[int, UUID]]]) -> None:
        self._pool, self._shares = pool, shares

    def start(self, written: int, rate: float, seconds: float) -> "list[Future[Committed]]":
        """Each session's log from its entry number `written` on."""
        return [self._pool.submit(_write, list(share), written, rate, seconds) for share in self._shares]


def _write(sessions: Sequence[tuple[int, UUID]], written: int, rate: float, seconds: float) -> Committed:
    """One entry of each session a beat, one session after the other over all of it: nothing makes agents write in step.

    Behind time it does not wait. `sessions`: seeds of logs, and ids.
    """
    beats = int(rate * seconds)
    logs = {session: lines_for(seed, written + beats)[written:] for seed, session in sessions}
    committed: Committed = []
    began_at = time.monotonic()
    for beat in range(beats):
        for number, (session, lines) in enumerate(logs.items()):
            time.sleep(max(0.0, began_at + (beat + number / len(logs)) / rate - time.monotonic()))
            seq = events.append(session, lines[beat].kind, **lines[beat].payload)
            committed.append((session, seq, time.time()))
    connection.close()
    return committed
