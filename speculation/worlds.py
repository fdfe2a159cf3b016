"""Gives each session its own copy of its agent's world: a folder of files and a schema of records."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from speculation import events
from speculation.models import Session
from speculation.past_worlds import folder_of, schema_of
from tools.world import TEMPLATES, copy_files, load_records


def prepare(session: Session) -> None:
    """Make the session's world, once. A copy that a crash left half made is made anew. Raises Django's database errors.

    Raises SessionLost, and leaves the world alone, where another worker owns the session by now: whoever stood still may
    wake up at any time. The records are made in one transaction that holds the session's row under its attempt, so nobody
    can take the session over before they are there; files are in a folder of the attempt's own.
    """
    template = session.agent.world
    if not template or session.world.get("root"):
        return
    root, schema = folder_of(session.pk) / str(session.attempt), schema_of(session.pk)
    library = {"library": settings.PASTE_DEMO_LIBRARY_URL}
    copy_files(TEMPLATES / template, root)
    with events.writing(session.pk, attempt=session.attempt):
        with connection.wrap_database_errors:  # what the driver raises must look as lost as our own does
            load_records(connection.connection, TEMPLATES / template, schema, library)
        session.world = {**session.world, **_as_json(root, schema, template)}
        Session.objects.filter(pk=session.pk).update(world=session.world)


def _as_json(root: Path, schema: str, template: str) -> dict[str, Any]:
    return {
        "template": template,
        "root": str(root),
        "schema": schema,
        "network_latency_seconds": settings.PASTE_NETWORK_LATENCY_SECONDS,
    }
