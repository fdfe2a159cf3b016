"""Sessions that ended long ago, each with a marker in whatever it holds, and where that marker still stands."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from psycopg import sql

from speculation import past_worlds
from speculation.models import Session, ToolJob, ToolRecord
from tests.paste_web.stored_sessions import store
from tests.speculation.written_log import WrittenLog
from tools.world import TEMPLATES, copy_files, load_records

MARKER = "zx9-marker-that-must-go"
LONG_AGO = timedelta(days=100)


def ninety_days_ago() -> datetime:
    return timezone.now() - timedelta(days=90)


def old_session(**fields: Any) -> Session:
    """Ended long ago; learned from, unless told otherwise."""
    log = WrittenLog().started().turn(1, 0.1, 2.0, "get_order")
    log.requested("1.0", "get_order", 2.0, 2.1, 3.0, arguments={"order": MARKER}).ended(4.0)
    fields = {"ended_at": timezone.now() - LONG_AGO, "mined_at": timezone.now() - LONG_AGO, **fields}
    session = store(log, task=f"Refund {MARKER}.", labels={"ticket": MARKER})
    Session.objects.filter(pk=session.pk).update(**fields)
    session.refresh_from_db()
    return session


def add_job(session: Session, tool: ToolRecord, **fields: Any) -> ToolJob:
    fields = {
        "status": "succeeded",
        "call_id": "1.0",
        "started_at": timezone.now(),
        "ended_at": timezone.now(),
        **fields,
    }
    given = {"arguments": {"order": MARKER}, "result": {"content": MARKER}, "error": MARKER}
    return ToolJob.objects.create(
        session=session, tool=tool, effect="none", epoch=0, fingerprint=MARKER, **given, **fields
    )


def give_world(session: Session) -> None:
    """A world as its tools left it: with the marker in a file, in a file's name and in its records."""
    folder, template = past_worlds.folder_of(session.pk) / "1", TEMPLATES / "support"
    copy_files(template, folder)
    with transaction.atomic():
        load_records(connection.connection, template, past_worlds.schema_of(session.pk))
    session.world = {"root": str(folder), "schema": past_worlds.schema_of(session.pk)}
    session.save(update_fields=["world"])
    (folder / "notes").mkdir()
    (folder / "notes" / f"{MARKER}.txt").write_text(MARKER)
    with connection.cursor() as cursor:
        schema = sql.Identifier(past_worlds.schema_of(session.pk))
        cursor.execute(sql.SQL("CREATE TABLE {}.letters AS SELECT %s AS body").format(schema), [MARKER])


def where_marker_stands() -> set[str]:
    """Every table of the database, ours or not, and every folder of worlds, that holds the marker anywhere."""
    found = set()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nspname, relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
            "WHERE relkind IN ('r', 'p', 'm') AND nspname NOT IN ('pg_catalog', 'information_schema')"
        )
        for schema, table in cursor.fetchall():
            name = sql.Identifier(schema, table)
            cursor.execute(
                sql.SQL("SELECT count(*) FROM {} AS line WHERE line::text LIKE %s").format(name), [f"%{MARKER}%"]
            )
            if cursor.fetchone()[0]:
                found.add(table)
    for path in settings.PASTE_WORLDS.rglob("*"):
        if MARKER in path.name or (path.is_file() and MARKER.encode() in path.read_bytes()):
            found.add("a file")
    return found


@contextmanager
def held_elsewhere(url: str, *statements: str) -> Iterator[None]:
    """Locks that another connection holds meanwhile; whatever of ours would wait for them fails."""
    with connection.cursor() as cursor, psycopg.connect(url) as other:
        cursor.execute("SET lock_timeout = '2s'")
        for statement in statements:
            other.execute(statement)
        try:
            yield
        finally:
            other.rollback()
            cursor.execute("SET lock_timeout TO DEFAULT")
