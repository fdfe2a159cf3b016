"""A world to work in: files for every test, records and documents for those that ask for them."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.base import ToolContext
from tools.world import World, create_world, remove_world

RECORDS = {
    "tables": {
        "customers": {
            "key": "id",
            "columns": {"id": "text", "name": "text", "joined": "date", "vip": "boolean"},
            "rows": [["c1", "Ada", "2024-03-01", True], ["c2", "Bo", "2025-01-15", False], ["c3", "Cy", None, False]],
        },
        "orders": {
            "key": "id",
            "columns": {"id": "integer", "customer": "text", "total": "numeric", "status": "text", "lines": "jsonb"},
            "rows": [
                [1, "c1", "19.90", "open", [{"item": "lamp", "count": 2}]],
                [2, "c1", "5", "sent", []],
                [3, "c2", "7.5", "open", None],
            ],
        },
    }
}
DOCUMENTS = [
    {"id": "d1", "title": "Granite", "url": "{library}/granite", "body": "Granite is a hard rock with {quartz} in it."},
    {"id": "d2", "title": "Basalt", "url": "{library}/basalt", "body": "Basalt is a dark rock from lava."},
    {"id": "d3", "title": "Butter", "url": "{library}/butter", "body": "Butter is made of cream."},
]


@pytest.fixture
def context(tmp_path: Path) -> ToolContext:
    """A world of files only."""
    root = tmp_path / "root"
    root.mkdir()
    return ToolContext(root=root)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    folder = tmp_path / "template"
    (folder / "files" / "notes").mkdir(parents=True)
    (folder / "files" / "notes" / "a.txt").write_text("first\n")
    (folder / "records.json").write_text(json.dumps(RECORDS))
    (folder / "documents.json").write_text(json.dumps(DOCUMENTS))
    return folder


@pytest.fixture
def world(template: Path, tmp_path: Path, database_url: str) -> Iterator[World]:
    schema = f"world_{uuid.uuid4().hex}"
    made = create_world(template, tmp_path / "world", database_url, schema, {"library": "http://library.test"})
    yield made
    remove_world(made)


@pytest.fixture
def records_context(world: World) -> ToolContext:
    return ToolContext(root=world.root, database_url=world.database_url, schema=world.schema)
