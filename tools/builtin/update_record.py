"""Change one record."""

from collections.abc import Mapping
from typing import Any

from psycopg import Connection, sql

from tools.base import SideEffect, Tool, ToolContext, ToolError, ToolPolicy, ToolResult
from tools.records import (
    all_equal,
    as_text,
    fetch_record,
    find_record,
    find_table,
    parameter,
    refuse_unknown_columns,
    transact,
)
from tools.schema import arguments_schema, key_value, text, values_by_column


class UpdateRecord(Tool):
    name = "update_record"
    description = "Set columns of one record, by its key. Answers with the record as it is then."
    parameters = arguments_schema(
        required=["table", "key", "values"],
        table=text("Name of the table, such as 'orders'."),
        key=key_value("Value of the table's key column."),
        values=values_by_column("Column to its new value; null empties it.", minProperties=1),
    )
    policy = ToolPolicy(effect=SideEffect.IDEMPOTENT_WRITE, expected_seconds=0.05, timeout_seconds=20)
    warms_by = "Reads the record and locks nothing, so that PostgreSQL has its pages at hand."

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        record = transact(context, lambda connection: _update(connection, context.schema, arguments), read_only=False)
        return ToolResult(True, f"Updated.\n{as_text(record)}", record)

    def warm_up_of(self, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Whatever it is to be set to: guesses at other values share it."""
        return {"table": arguments["table"], "key": arguments["key"]}

    def warm_up(self, arguments: Mapping[str, Any], context: ToolContext) -> None:
        transact(context, lambda connection: find_record(connection, context.schema, arguments), read_only=True)


def _update(connection: Connection, schema: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    table = find_table(connection, schema, arguments["table"])
    key, values = arguments["key"], arguments["values"]
    refuse_unknown_columns(table, values)
    if table.key in values:
        raise ToolError(f"The key {table.key} of a record cannot be changed; leave it out of `values`.")
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder()) for name in values
    )
    query = sql.SQL("UPDATE {} SET {} WHERE {}").format(
        sql.Identifier(table.name), assignments, all_equal({table.key: key})
    )
    connection.execute(query, [*map(parameter, values.values()), parameter(key)])
    return fetch_record(connection, table, key)
