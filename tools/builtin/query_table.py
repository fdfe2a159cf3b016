"""Read-only SQL over the world's records."""

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from psycopg import Connection, sql

from tools.base import SideEffect, Tool, ToolContext, ToolPolicy, ToolResult
from tools.records import transact, value_text
from tools.schema import arguments_schema, text
from tools.select_guard import refuse_foreign_relations, refuse_unsafe_text
from tools.waiting import stand_in_for_network

MAX_ROWS = 200


class QueryTable(Tool):
    """Stands for a remote database: adds the context's network latency, times 0.6 to 1.4 by the call."""

    name = "query_table"
    description = f"Run one SELECT (PostgreSQL) over the records. At most {MAX_ROWS} rows come back."
    parameters = arguments_schema(
        required=["query"],
        query=text("The SELECT, such as 'SELECT status, count(*) FROM orders GROUP BY status'.", maxLength=10_000),
    )
    policy = ToolPolicy(effect=SideEffect.NONE, expected_seconds=0.5, timeout_seconds=20, ttl_seconds=60)

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        query = refuse_unsafe_text(arguments["query"])
        stand_in_for_network(self, arguments, context)
        columns, rows = transact(context, lambda connection: _select(connection, query, context.schema), read_only=True)
        shown = rows[:MAX_ROWS]
        lines = [" | ".join(columns), *(" | ".join(map(value_text, row)) for row in shown)]
        if len(rows) > MAX_ROWS:
            lines.append(f"[cut after {MAX_ROWS} rows; add conditions, aggregate, or use LIMIT and OFFSET]")
        return ToolResult(True, "\n".join(lines), {"columns": columns, "rows": shown, "cut": len(rows) > MAX_ROWS})


def _select(connection: Connection, query: str, schema: str) -> tuple[list[str], list[list[Any]]]:
    """Column names, and one row more than may be shown."""
    refuse_foreign_relations(connection, query, schema)
    with connection.cursor(name="answer") as cursor:
        cursor.execute(sql.SQL(query))
        columns = [column.name for column in cursor.description or ()]
        return columns, [[_as_json(value) for value in row] for row in cursor.fetchmany(MAX_ROWS + 1)]


def _as_json(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str, dict, list)):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if isinstance(value, (date, datetime, time)) else str(value)
