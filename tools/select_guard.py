"""Is this text one SELECT that reads tables of one schema and calls only harmless functions?

A read-only transaction alone is not enough: it still reads other schemas' tables, and functions such as
query_to_xml or pg_read_file read what their argument says. So the text may call listed functions only, and
PostgreSQL's own plan says which relations it would read.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from psycopg import Connection, sql

from tools.base import Forbidden, InvalidArguments

_TOKEN = re.compile(
    r"""(?P<string>'(?:[^']|'')*') | (?P<quoted>"(?:[^"]|"")*") | (?P<word>[A-Za-z_\u0080-\uffff][\w$]*)
      | (?P<number>\d+(?:\.\d+)?) | (?P<space>\s+) | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_WORDS_BEFORE_PARENTHESIS = """
    all and any as between by case cast distinct else except exists filter from group having in intersect is join lateral like
    ilike limit not offset on or order over partition select similar some then to union using values when where within with
    materialized recursive cross inner left right full outer natural interval escape row array"""
_HARMLESS_FUNCTIONS = """
    abs age array_agg array_length avg bool_and bool_or btrim cardinality ceil ceiling char_length coalesce concat concat_ws
    corr count cume_dist date date_part date_trunc dense_rank div every exp extract first_value floor format greatest initcap
    json_agg jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_object jsonb_each
    jsonb_each_text jsonb_object_agg jsonb_object_keys jsonb_typeof lag last_value lead least left length ln log lower
    ltrim make_date make_interval max min mod mode now ntile nth_value nullif numeric num_nonnulls octet_length overlay
    percent_rank percentile_cont percentile_disc position power rank regexp_count regexp_match regexp_matches regexp_replace
    regexp_split_to_array replace reverse right round row_number rtrim sign split_part sqrt stddev string_agg
    string_to_array strpos substr substring sum to_char to_date to_json to_jsonb to_number to_timestamp translate trim trunc
    unnest upper var_pop variance varchar char decimal timestamp timestamptz time generate_series"""
_BEFORE_PARENTHESIS = frozenset(_WORDS_BEFORE_PARENTHESIS.split())
_FUNCTIONS = frozenset(_HARMLESS_FUNCTIONS.split())


def refuse_unsafe_text(query: str) -> str:
    """The query without a last semicolon. Raises Forbidden or InvalidArguments, saying what to change."""
    query = query.strip().removesuffix(";").rstrip()
    tokens = [match for match in _TOKEN.finditer(query) if match.lastgroup != "space"]
    if not tokens or tokens[0].group().lower() not in ("select", "with", "values", "table"):
        raise Forbidden("Only one SELECT is allowed here; to change a record use update_record.")
    if "--" in query or "/*" in query or "\\" in query or "$" in query:
        raise Forbidden("Comments, backslashes and dollar signs are not allowed in a query.")
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        _refuse_token(token, following)
    return query


def _refuse_token(token: re.Match[str], following: re.Match[str] | None) -> None:
    text = token.group()
    next_text = following.group() if following else ""
    if text == ";":
        raise Forbidden("Only one statement a call; leave out the semicolon.")
    if text in ("'", '"'):
        raise InvalidArguments("A quote in the query is not closed.")
    is_prefixed = following is not None and following.start() == token.end() and next_text[0] in "'\""
    if is_prefixed and token.lastgroup == "word":
        raise Forbidden(f"Strings with the prefix {text} are not allowed in a query.")
    if text == "&" and next_text.startswith(("'", '"')):
        raise Forbidden("Strings with the prefix U& are not allowed in a query.")
    if next_text == "(" and token.lastgroup in ("word", "quoted"):
        name = text.strip('"').lower()
        if name not in _FUNCTIONS and (token.lastgroup == "quoted" or name not in _BEFORE_PARENTHESIS):
            raise Forbidden(f"The function {name} is not allowed in a query; plain SQL and common functions are.")


def refuse_foreign_relations(connection: Connection, query: str, schema: str) -> None:
    """Ask PostgreSQL's planner, which runs nothing, what the query would read. Raises Forbidden."""
    row = connection.execute(sql.SQL("EXPLAIN (VERBOSE, FORMAT JSON) {}").format(sql.SQL(query))).fetchone()
    assert row is not None
    for node in _nodes(row[0]):
        if "Relation Name" in node and node.get("Schema") != schema:
            raise Forbidden(f"{node['Relation Name']} is not one of this world's tables.")


def _nodes(plan: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(plan, Mapping):
        yield plan
        plan = list(plan.values())
    if isinstance(plan, list):
        for item in plan:
            yield from _nodes(item)
