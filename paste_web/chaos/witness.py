"""A witness inside PostgreSQL that knows nothing of jobs: it notes each write to a session's records, and when."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg

_WATCH = """
CREATE SCHEMA chaos;
CREATE TABLE chaos.writes (world text NOT NULL, at timestamptz NOT NULL);
CREATE FUNCTION chaos.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos.writes VALUES (TG_TABLE_SCHEMA, clock_timestamp());
    RETURN NULL;
END $$;
CREATE FUNCTION chaos.watch() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE made record;
BEGIN
    FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE schema_name LIKE 'world\\_%' AND object_type = 'table' LOOP
        EXECUTE format('CREATE TRIGGER chaos_note AFTER UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION chaos.note()',
                       made.object_identity);
    END LOOP;
END $$;
CREATE EVENT TRIGGER chaos_watch ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION chaos.watch();
"""


def watch(connection: psycopg.Connection[Any]) -> None:
    """From here on every world that is made is watched. Needs a superuser, and leaves the schema `chaos`."""
    connection.execute(_WATCH)


def writes(connection: psycopg.Connection[Any]) -> Mapping[str, Sequence[datetime]]:
    """When records were changed, by the world's schema, in order."""
    rows = connection.execute("SELECT world, array_agg(at ORDER BY at) FROM chaos.writes GROUP BY world").fetchall()
    return dict(rows)
