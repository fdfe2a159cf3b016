"""How many of a pool's slots real calls have lately wanted, read from the jobs; asked of the database once a second at most."""

from urllib.parse import quote

from django.core.cache import cache
from django.db import connection

from speculation.engine.demand import WINDOW_SECONDS, slots_wanted
from speculation.ids import drawn_after
from speculation.jobs import POOL
from speculation.models import WorkerPool

KNOWN_FOR_SECONDS = 1.0
LONGEST_RUN_SECONDS = 60.0
"""A call that has run for longer is still counted as busy, but not any more once it has ended."""

_INTERVALS = """
SELECT extract(epoch FROM now() - coalesce(promoted_at, created_at))::float8,
    extract(epoch FROM now() - coalesce(ended_at, now()))::float8
FROM speculation_tooljob
WHERE id > %s AND pool_id = %s AND call_id IS NOT NULL AND (ended_at IS NULL OR ended_at > now() - %s * interval '1 second')
    AND (promoted_at IS NULL OR ended_at IS NULL OR promoted_at < ended_at)
"""


def lately_wanted(pool: WorkerPool) -> int:
    """Slots that were enough for the real calls in most of the last half minute."""
    known = cache.get_or_set(f"slots-lately-wanted-{quote(pool.pk)}", lambda: _read(pool), KNOWN_FOR_SECONDS)
    return int(known or 0)


def are_all_wanted() -> bool:
    """True while real calls want every slot of the pool: then no forecast could launch anything."""
    return bool(cache.get_or_set("slots-all-wanted", _look_at_the_pool, KNOWN_FOR_SECONDS))


def _look_at_the_pool() -> bool:
    pool = WorkerPool.objects.filter(name=POOL).first()
    return pool is not None and lately_wanted(pool) >= pool.slots


def _read(pool: WorkerPool) -> int:
    with connection.cursor() as cursor:
        since = drawn_after(WINDOW_SECONDS + LONGEST_RUN_SECONDS)
        cursor.execute(_INTERVALS, [since, pool.pk, WINDOW_SECONDS])
        return slots_wanted(cursor.fetchall())
