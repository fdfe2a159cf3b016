"""After a test whose commits are real its rows are removed, and only these.

Django's own flush truncates every table and then makes permissions, content types and roles anew, which takes longer than
most tests. Here only tables that hold rows are emptied; those that migrating fills stay, unless a test has changed them.
"""

from collections.abc import Callable

from django.db import connection, transaction
from django.test import TransactionTestCase

KEPT = {"django_content_type", "auth_permission", "auth_group", "auth_group_permissions"}
"""What migrating fills, but for the record of the migrations themselves, which no test changes."""


class Clearing:
    """Made right after the migrations, when the kept tables are as they should be."""

    def __init__(self, flush: Callable[[TransactionTestCase], None]) -> None:
        self._flush = flush
        names = set(connection.introspection.table_names()) - {"django_migrations"}
        self._tables = sorted(names - KEPT)
        self._kept = self._digest()

    def clear(self, test: TransactionTestCase) -> None:
        if self._digest() != self._kept:
            self._flush(test)
            self._kept = self._digest()
            return
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT " + ", ".join(f'EXISTS (SELECT FROM "{name}")' for name in self._tables))
            filled = [name for name, holds in zip(self._tables, cursor.fetchone(), strict=True) if holds]
            # As a replica: rows go in any order, and no trigger minds.
            emptying = "".join(f'; DELETE FROM "{name}"' for name in filled)
            cursor.execute(f"SET LOCAL session_replication_role = replica{emptying}")

    def _digest(self) -> str:
        texts = (f'SELECT string_agg(row::text, chr(10) ORDER BY id) AS text FROM "{name}" AS row' for name in sorted(KEPT))
        rows = " UNION ALL ".join(texts)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT md5(string_agg(text, chr(10))) FROM ({rows}) AS rows")
            return str(cursor.fetchone()[0])
