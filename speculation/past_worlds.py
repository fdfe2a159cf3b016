"""The worlds that sessions leave behind: folders under PASTE_WORLDS and schemas, found and removed.

A session's world is known by its id alone, whatever its row says. `replay` and `benchmark` keep the worlds of one run in a
folder of their own, named by the nanosecond it began.
"""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import connection
from psycopg import sql

from speculation.models import Session

RUNS = ("replay", "benchmark")
LOCK_SECONDS = 3
"""How long a schema's removal waits for whoever reads in it; meanwhile later readers would wait behind it."""
_NAMED = re.compile(r"(?:world_)?([0-9a-f]{32})")
_EXISTING = r"SELECT nspname FROM pg_namespace WHERE nspname ~ '^world_[0-9a-f]{32}$'"


def folder_of(session_id: UUID) -> Path:
    return Path(settings.PASTE_WORLDS) / session_id.hex


def schema_of(session_id: UUID) -> str:
    return f"world_{session_id.hex}"


def bytes_in(folder: Path) -> int:
    """Of the files under it; 0 where there is none."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(where, name)).st_size
    return total


def remove_folder(folder: Path) -> bool:
    """False: there was none. Raises OSError where something of it is left. Another process may remove it meanwhile."""
    if not folder.exists():
        return False
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():  # a tool may have made folders that nobody may write to
        os.chmod(folder, 0o700)
        _open_up(folder)
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
    return True


def _open_up(folder: Path) -> None:
    """Never through a link: what that leads to is not ours."""
    for where, names, _ in os.walk(folder):
        for path in (where, *(os.path.join(where, name) for name in names)):
            if not os.path.islink(path):
                with suppress(OSError):
                    os.chmod(path, 0o700)


def has_schema(session_id: UUID) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema_of(session_id)])
        return cursor.fetchone() is not None


def drop_schema(session_id: UUID) -> bool:
    """False: there was none. Call it in a transaction. Raises OperationalError where somebody holds on to it."""
    if not has_schema(session_id):
        return False
    name = sql.Identifier(schema_of(session_id))
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(name))
        cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
    return True


def abandoned_schemas(before: datetime) -> list[UUID]:
    """Of sessions that are no longer there. Younger ids are left: they may be another installation's."""
    with connection.cursor() as cursor:
        cursor.execute(_EXISTING)
        names = [name for (name,) in cursor.fetchall()]
    return _without_session(_ids(names), before)


def abandoned_folders(before: datetime) -> list[Path]:
    """Of sessions that are no longer there, and of runs that none of the sessions left belongs to."""
    found = _without_session(_ids(_names(Path(settings.PASTE_WORLDS))), before)
    return [*map(folder_of, found), *_abandoned_runs(before)]


def _abandoned_runs(before: datetime) -> Iterator[Path]:
    for kind in RUNS:
        folder = Path(settings.PASTE_WORLDS) / kind
        for name in sorted(_names(folder)):
            is_old = name.isdecimal() and int(name) < before.timestamp() * 1e9
            if is_old and not Session.objects.filter(world__root__startswith=str(folder / name)).exists():
                yield folder / name


def _names(folder: Path) -> list[str]:
    try:
        return [one.name for one in os.scandir(folder) if one.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _ids(names: Iterable[str]) -> Iterator[UUID]:
    return (UUID(found[1]) for name in names if (found := _NAMED.fullmatch(name)))


def _without_session(ids: Iterable[UUID], before: datetime) -> list[UUID]:
    """Asked after the ids were found: a session is stored before its world is made, so one that has none is gone."""
    old = sorted(one for one in ids if _is_older(one, before))
    known = set(Session.objects.filter(pk__in=old).values_list("pk", flat=True))
    return [one for one in old if one not in known]


def _is_older(session_id: UUID, before: datetime) -> bool:
    """By the time that the id carries (UUIDv7); of other ids nobody knows."""
    return session_id.version == 7 and datetime.fromtimestamp((session_id.int >> 80) / 1000, UTC) < before
