"""Records of one table that fit."""

from collections.abc import Mapping
from typing import Any

from psycopg import Connection, sql

from tools.base import SideEffect, Tool, ToolContext, ToolPolicy, ToolResult
from tools.records import all_equal, find_table, in_order, parameter, refuse_unknown_columns, transact, value_text
from tools.schema import arguments_schema, text, values_by_column, whole_number
from tools.waiting import stand_in_for_network

DEFAULT_LIMIT = 20
MAX_LIMIT = 200


class ListRecords(Tool):
    """Stands for a remote system of records: adds the context's network latency, times 0.6 to 1.4 by the call."""

    name = "list_records"
    description = "Records of a table, ordered by key, that have the given values in the given columns."
    parameters = arguments_schema(
        required=["table"],
        table=text("Name of the table, such as 'orders'."),
        where=values_by_column("Column to value; all must be equal. Default: every record."),
        limit=whole_number(f"Default: {DEFAULT_LIMIT}.", minimum=1, maximum=MAX_LIMIT),
    )
    policy = ToolPolicy(effect=SideEffect.NONE, expected_seconds=0.5, timeout_seconds=20, ttl_seconds=60)

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        stand_in_for_network(self, arguments, context)
        limit = int(arguments.get("limit", DEFAULT_LIMIT))
        records = transact(
            context, lambda connection: _select(connection, context.schema, arguments, limit + 1), read_only=True
        )
        shown = records[:limit]
        lines = ["; ".join(f"{name}: {value_text(value)}" for name, value in record.items()) for record in shown]
        if len(records) > limit:
            lines.append(f"[more than {limit} records fit; narrow `where` or raise `limit`]")
        return ToolResult(True, "\n".join(lines) or "No record fits.", {"records": shown, "cut": len(records) > limit})


def _select(connection: Connection, schema: str, arguments: Mapping[str, Any], limit: int) -> list[dict[str, Any]]:
    table = find_table(connection, schema, arguments["table"])
    where = arguments.get("where", {})
    refuse_unknown_columns(table, where)
    query = sql.SQL("SELECT to_jsonb(r) FROM {} AS r WHERE {} ORDER BY {} LIMIT {}").format(
        sql.Identifier(table.name), all_equal(where), sql.Identifier(table.key), limit
    )
    rows = connection.execute(query, [parameter(value) for value in where.values()]).fetchall()
    return [in_order(table, row[0]) for row in rows]
