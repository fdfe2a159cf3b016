"""A world's tables in PostgreSQL: one short, bounded transaction a call, in the world's schema alone."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import Connection, sql
from psycopg.types.json import Jsonb

from tools.base import ToolContext, ToolError, ToolTimeout, Unreachable
from tools.waiting import pause, run_stoppable

T = TypeVar("T")

STATEMENT_TIMEOUT_SECONDS = 5.0
RECONNECT_AFTER_SECONDS = (0.2, 0.8, 2.0)
"""A server that restarts is back within seconds, and so is the rest of a call's time."""
DOCUMENTS = "documents"
"""The table that search_documents reads; the record tools do not list it."""


@dataclass(frozen=True)
class Table:
    """One table of records: its name, its key column, its columns in order."""

    name: str
    key: str
    columns: Sequence[str]


def transact(context: ToolContext, work: Callable[[Connection], T], *, read_only: bool) -> T:
    """Do `work` in one transaction whose search path is the world's schema; again where the connection was lost.

    Whether a transaction whose connection was lost had been committed is not known: `work` may only write what may be
    written twice. Raises ToolError with PostgreSQL's own first line, ToolTimeout, Unreachable, ToolStopped.
    """
    if not context.database_url or not context.schema:
        raise ToolError("This world has no records; only its files can be used.")
    for pause_seconds in RECONNECT_AFTER_SECONDS:
        try:
            return _transact_once(context, work, read_only)
        except psycopg.OperationalError:
            pause(pause_seconds, context)
    try:
        return _transact_once(context, work, read_only)
    except psycopg.OperationalError as error:
        raise Unreachable("The records cannot be reached; try again later.") from error


def _transact_once(context: ToolContext, work: Callable[[Connection], T], read_only: bool) -> T:
    """Raises psycopg.OperationalError where the server cannot be reached."""
    try:
        with psycopg.connect(context.database_url, autocommit=True, connect_timeout=5) as connection:
            _confine(connection, context.schema, read_only)
            return run_stoppable(
                lambda: _in_transaction(connection, work),
                context,
                limit_seconds=STATEMENT_TIMEOUT_SECONDS + 5,
                interrupt=connection.cancel_safe,
            )
    except psycopg.errors.QueryCanceled as error:
        raise ToolTimeout(f"Stopped after {STATEMENT_TIMEOUT_SECONDS:g} s; ask for less.") from error
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise ToolError(f"PostgreSQL refused it: {_first_line(error)}") from error


def _confine(connection: Connection, schema: str, read_only: bool) -> None:
    """For the whole connection, which serves one call."""
    settings = {
        "search_path": sql.Identifier(schema).as_string(connection),
        "statement_timeout": f"{int(STATEMENT_TIMEOUT_SECONDS * 1000)}",
        "default_transaction_read_only": "on" if read_only else "off",
        "standard_conforming_strings": "on",
    }
    calls = sql.SQL(", ").join(sql.SQL("set_config({}, {}, false)").format(*pair) for pair in settings.items())
    connection.execute(sql.SQL("SELECT {}").format(calls))


def _in_transaction(connection: Connection, work: Callable[[Connection], T]) -> T:
    with connection.transaction():
        return work(connection)


def _first_line(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).partition("\n")[0]


def find_table(connection: Connection, schema: str, name: str) -> Table:
    """Raises ToolError with the tables that there are."""
    rows = connection.execute(
        """SELECT c.relname, k.attname, array_agg(a.attname::text ORDER BY a.attnum)
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
             JOIN pg_attribute k ON k.attrelid = c.oid AND k.attnum = i.indkey[0]
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE n.nspname = %s AND c.relname <> %s GROUP BY 1, 2 ORDER BY 1""",
        (schema, DOCUMENTS),
    ).fetchall()
    tables = {row[0]: Table(*row) for row in rows}
    if name not in tables:
        raise ToolError(f"There is no table {name!r}; there are: {', '.join(tables) or 'none'}.")
    return tables[name]


def refuse_unknown_columns(table: Table, names: Mapping[str, Any]) -> None:
    for name in names:
        if name not in table.columns:
            raise ToolError(f"{table.name} has no column {name!r}; it has: {', '.join(table.columns)}.")


def parameter(value: Any) -> Any:
    """A JSON value in a form that PostgreSQL reads for a column of any type."""
    if isinstance(value, (Mapping, list)):
        return Jsonb(value)
    if isinstance(value, bool):
        return str(value).lower()
    return value if value is None else str(value)


def all_equal(values: Mapping[str, Any]) -> sql.Composable:
    """A condition with a placeholder a value: each column equals its value, where null means that it is empty."""
    if not values:
        return sql.SQL("true")
    condition = sql.SQL("{} IS NOT DISTINCT FROM {}")
    return sql.SQL(" AND ").join(condition.format(sql.Identifier(name), sql.Placeholder()) for name in values)


def as_text(record: Mapping[str, Any]) -> str:
    """A record as lines of `column: value`, for a model to read."""
    return "\n".join(f"{name}: {value_text(value)}" for name, value in record.items())


def value_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def fetch_record(connection: Connection, table: Table, key: Any) -> dict[str, Any]:
    """One record as a JSON object in the order of its columns. Raises ToolError where there is none."""
    query = sql.SQL("SELECT to_jsonb(r) FROM {} AS r WHERE {}").format(
        sql.Identifier(table.name), all_equal({table.key: key})
    )
    row = connection.execute(query, [parameter(key)]).fetchone()
    if row is None:
        raise ToolError(
            f"{table.name} has no record with {table.key} {key!r}; use list_records to see which there are."
        )
    return in_order(table, row[0])


def find_record(connection: Connection, schema: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The record that `table` and `key` name. Raises ToolError where there is none."""
    return fetch_record(connection, find_table(connection, schema, arguments["table"]), arguments["key"])


def in_order(table: Table, record: Mapping[str, Any]) -> dict[str, Any]:
    """jsonb forgets the order of columns."""
    return {name: record[name] for name in table.columns}
