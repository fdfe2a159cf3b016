"""Commands that need our tables say so in one line where there are none yet."""

from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor


def require_tables() -> None:
    """Raises CommandError where a migration has not been applied."""
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise CommandError(
            "The database is not set up for this version. Run `python manage.py migrate` first.", returncode=2
        )
