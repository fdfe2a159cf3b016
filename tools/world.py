"""A world is what one session's tools may touch: its own directory of files and its own schema of records.

It is copied from a template: `files/`, `records.json` ({"tables": {name: {"key": column, "columns": {column: type},
"rows": [[...]]}}}) and `documents.json` ([{"id", "title", "url", "body"}]); each of the three may be missing.
"""

import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg
from psycopg import Connection, sql

from tools.records import DOCUMENTS, parameter

TEMPLATES = Path(__file__).parent / "worlds"
"""One folder a template."""

_SCHEMA_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_COLUMN_TYPES = frozenset({"text", "integer", "bigint", "numeric", "boolean", "date", "timestamptz", "jsonb"})
_NO_VALUES: Mapping[str, str] = MappingProxyType({})


class BadTemplate(Exception):
    """A template's file does not have the form that this module's docstring states."""


@dataclass(frozen=True)
class World:
    """Where one session's tools work. `schema` is empty where there is no database."""

    root: Path
    schema: str
    database_url: str


def create_world(
    template: Path, root: Path, database_url: str, schema: str, values: Mapping[str, str] = _NO_VALUES
) -> World:
    """Copy `template` to `root` and `schema`, replacing what is there. "{name}" in a document becomes `values[name]`.

    Without a `database_url` only files are copied. Raises BadTemplate.
    """
    _check_schema(schema)
    copy_files(template, root)
    if not database_url:
        return World(root, "", "")
    with psycopg.connect(database_url) as connection:
        load_records(connection, template, schema, values)
    return World(root, schema, database_url)


def copy_files(template: Path, root: Path) -> None:
    """The files alone, replacing what is there."""
    shutil.rmtree(root, ignore_errors=True)
    if (template / "files").is_dir():
        shutil.copytree(template / "files", root, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    root.mkdir(parents=True, exist_ok=True)


def load_records(
    connection: Connection, template: Path, schema: str, values: Mapping[str, str] = _NO_VALUES
) -> None:
    """Records and documents, replacing the schema, in the transaction that the connection is in. Raises BadTemplate."""
    _check_schema(schema)
    records = _read_json(template / "records.json", {"tables": {}})
    documents = _read_json(template / "documents.json", [])
    _drop(connection, schema)
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    for name, table in records["tables"].items():
        _load_table(connection, sql.Identifier(schema, name), name, table)
    _load_documents(connection, schema, documents, values)


def remove_world(world: World) -> None:
    """Delete its files and its schema; not an error where they are gone already."""
    shutil.rmtree(world.root, ignore_errors=True)
    if world.database_url:
        with psycopg.connect(world.database_url) as connection:
            _drop(connection, world.schema)


def _check_schema(schema: str) -> None:
    """Refuses names that a `DROP SCHEMA` must never meet."""
    if not _SCHEMA_NAME.fullmatch(schema) or schema.startswith("pg_") or schema in ("public", "information_schema"):
        raise ValueError(f"{schema!r} cannot be the schema of a world: lower case letters, digits and _ only")


def _read_json(path: Path, default: Any) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else default
    except ValueError as error:
        raise BadTemplate(f"{path.parent.name}/{path.name}: {error}") from error


def _drop(connection: Connection, schema: str) -> None:
    connection.execute("SET LOCAL client_min_messages = warning")
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


def _load_table(connection: Connection, target: sql.Identifier, name: str, table: Mapping[str, Any]) -> None:
    columns, key = table["columns"], table["key"]
    if key not in columns or name == DOCUMENTS or not set(columns.values()) <= _COLUMN_TYPES:
        raise BadTemplate(f"table {name}: its key must be a column, its types among {', '.join(sorted(_COLUMN_TYPES))}")
    definitions = [sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(kind)) for column, kind in columns.items()]
    connection.execute(
        sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY ({}))").format(
            target, sql.SQL(", ").join(definitions), sql.Identifier(key)
        )
    )
    kinds = list(columns.values())
    _copy(
        connection,
        target,
        list(columns),
        ([_cell(*pair) for pair in zip(row, kinds, strict=True)] for row in table["rows"]),
    )


def _cell(value: Any, kind: str) -> Any:
    return json.dumps(value) if kind == "jsonb" and value is not None else parameter(value)


def _load_documents(
    connection: Connection, schema: str, documents: Sequence[Mapping[str, str]], values: Mapping[str, str]
) -> None:
    target = sql.Identifier(schema, DOCUMENTS)
    connection.execute(
        sql.SQL(
            """CREATE TABLE {} (id text PRIMARY KEY, title text NOT NULL, url text NOT NULL, body text NOT NULL,
                 search tsvector GENERATED ALWAYS AS (setweight(to_tsvector('english', title), 'A')
                                                      || to_tsvector('english', body)) STORED)"""
        ).format(target)
    )
    columns = ["id", "title", "url", "body"]
    _copy(
        connection,
        target,
        columns,
        ([_filled(document[column], values) for column in columns] for document in documents),
    )
    connection.execute(sql.SQL("CREATE INDEX ON {} USING gin (search)").format(target))


def _filled(text: str, values: Mapping[str, str]) -> str:
    """Not str.format: a document may hold any other braces."""
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _copy(
    connection: Connection, target: sql.Identifier, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    with connection.cursor().copy(sql.SQL("COPY {} ({}) FROM STDIN").format(target, names)) as copy:
        for row in rows:
            copy.write_row(row)
