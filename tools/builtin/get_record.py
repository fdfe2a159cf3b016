"""One record by its key."""

from collections.abc import Mapping
from typing import Any

from tools.base import SideEffect, Tool, ToolContext, ToolPolicy, ToolResult
from tools.records import as_text, find_record, transact
from tools.schema import arguments_schema, key_value, text
from tools.waiting import stand_in_for_network


class GetRecord(Tool):
    """Stands for a remote system of records: adds the context's network latency, times 0.6 to 1.4 by the call."""

    name = "get_record"
    description = "All details of one record, by its key."
    parameters = arguments_schema(
        required=["table", "key"],
        table=text("Name of the table, such as 'orders'."),
        key=key_value("Value of the table's key column."),
    )
    policy = ToolPolicy(effect=SideEffect.NONE, expected_seconds=0.5, timeout_seconds=20, ttl_seconds=60)

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        stand_in_for_network(self, arguments, context)
        record = transact(
            context, lambda connection: find_record(connection, context.schema, arguments), read_only=True
        )
        return ToolResult(True, as_text(record), record)
