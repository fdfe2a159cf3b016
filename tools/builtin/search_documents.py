"""Full-text search over the world's documents."""

from collections.abc import Mapping
from typing import Any

from psycopg import Connection

from tools.base import SideEffect, Tool, ToolContext, ToolPolicy, ToolResult
from tools.records import transact
from tools.schema import arguments_schema, text, whole_number
from tools.waiting import stand_in_for_network

DEFAULT_LIMIT = 5

_QUERY = """
    SELECT d.id, d.title, d.url, ts_headline('english', d.body, q.any_word, 'MaxWords=35, MinWords=15, StartSel="", StopSel=""')
      FROM documents d, (SELECT replace(plainto_tsquery('english', %s)::text, '&', '|')::tsquery AS any_word) q
     WHERE d.search @@ q.any_word
     ORDER BY ts_rank(d.search, q.any_word, 1) DESC, d.id LIMIT %s"""
"""Any of the words counts and more of them rank higher: a model's question rarely stands in a document word by word."""


class SearchDocuments(Tool):
    """Stands for a search engine: adds the context's network latency, times 0.6 to 1.4 by the call."""

    name = "search_documents"
    description = "Search the document collection. Answers with the best hits: id, title, address and an excerpt."
    parameters = arguments_schema(
        required=["query"],
        query=text("Words to look for.", minLength=1, maxLength=1000),
        limit=whole_number(f"Default: {DEFAULT_LIMIT}.", minimum=1, maximum=20),
    )
    policy = ToolPolicy(
        effect=SideEffect.NONE, open_world=True, expected_seconds=0.8, timeout_seconds=20, ttl_seconds=300
    )

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        stand_in_for_network(self, arguments, context)
        limit = int(arguments.get("limit", DEFAULT_LIMIT))
        hits = transact(context, lambda connection: _search(connection, arguments["query"], limit), read_only=True)
        lines = [f"{rank}. {hit['title']}\n   {hit['url']}\n   {hit['snippet']}" for rank, hit in enumerate(hits, 1)]
        return ToolResult(True, "\n".join(lines) or "Nothing found; try other words.", {"hits": hits})


def _search(connection: Connection, query: str, limit: int) -> list[dict[str, Any]]:
    rows = connection.execute(_QUERY, (query, limit)).fetchall()
    return [
        {"id": identity, "title": title, "url": url, "snippet": " ".join(snippet.split())}
        for identity, title, url, snippet in rows
    ]
