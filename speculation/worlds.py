"""Gives each session its own copy of its agent's world: a folder of files and a schema of records."""

from typing import Any

from django.conf import settings
from django.db import connection

from speculation.models import Session
from tools.world import TEMPLATES, World, create_world, remove_world


def prepare(session: Session) -> None:
    """Make the session's world, once. A copy that a crash left half made is made anew. Raises Django's database errors."""
    template = session.agent.world
    if not template or session.world.get("root"):
        return
    world = World(
        root=settings.PASTE_WORLDS / session.pk.hex,
        schema=f"world_{session.pk.hex}",
        database_url=settings.DATABASE_URL,
    )
    library = {"library": settings.PASTE_DEMO_LIBRARY_URL}
    with connection.wrap_database_errors:  # tools know nothing of Django: what they raise must look as lost as our own does
        remove_world(world)
        create_world(TEMPLATES / template, world.root, world.database_url, world.schema, library)
    session.world = {**session.world, **_as_json(world, template)}
    Session.objects.filter(pk=session.pk).update(world=session.world)


def _as_json(world: World, template: str) -> dict[str, Any]:
    return {
        "template": template,
        "root": str(world.root),
        "schema": world.schema,
        "network_latency_seconds": settings.PASTE_NETWORK_LATENCY_SECONDS,
    }
