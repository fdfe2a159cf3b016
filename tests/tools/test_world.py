"""Worlds are copied, stay apart, and vanish whole."""

import json
import time
import uuid
from pathlib import Path

import psycopg
import pytest

from tools.base import ToolContext
from tools.catalog import BUILTIN
from tools.running import execute
from tools.world import BadTemplate, World, create_world, remove_world


def test_a_world_has_its_own_files_records_and_documents(world: World, template: Path, tmp_path: Path) -> None:
    other = create_world(template, tmp_path / "other", world.database_url, f"world_{uuid.uuid4().hex}")
    try:
        for each, name in ((world, "Eve"), (other, "Mallory")):
            context = ToolContext(root=each.root, database_url=each.database_url, schema=each.schema)
            execute(BUILTIN["update_record"], {"table": "customers", "key": "c1", "values": {"name": name}}, context)
            execute(BUILTIN["write_file"], {"path": "notes/a.txt", "text": name}, context)
        for each, name in ((world, "Eve"), (other, "Mallory")):
            context = ToolContext(root=each.root, database_url=each.database_url, schema=each.schema)
            record = execute(BUILTIN["get_record"], {"table": "customers", "key": "c1"}, context)
            assert record.structured["name"] == name
            assert (each.root / "notes" / "a.txt").read_text() == name
        assert (template / "files" / "notes" / "a.txt").read_text() == "first\n"
    finally:
        remove_world(other)


def test_removing_a_world_leaves_nothing_and_may_be_repeated(template: Path, tmp_path: Path, database_url: str) -> None:
    world = create_world(template, tmp_path / "gone", database_url, "world_gone")
    remove_world(world)
    remove_world(world)
    assert not world.root.exists()
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'world_gone'").fetchone() is None


def test_making_a_world_again_starts_from_the_template(world: World, template: Path) -> None:
    (world.root / "left.txt").write_text("left over")
    again = create_world(template, world.root, world.database_url, world.schema)
    assert sorted(path.name for path in again.root.iterdir()) == ["notes"]


@pytest.mark.parametrize("schema", ["public", "pg_catalog", "information_schema", "", 'x"; DROP', "Upper", "a" * 64])
def test_a_schema_that_must_not_be_dropped_is_refused(
    template: Path, tmp_path: Path, database_url: str, schema: str
) -> None:
    with pytest.raises(ValueError, match="cannot be the schema"):
        create_world(template, tmp_path / "w", database_url, schema)
    assert not (tmp_path / "w").exists()


def test_a_broken_template_names_its_fault(template: Path, tmp_path: Path, database_url: str) -> None:
    (template / "records.json").write_text('{"tables": {')
    with pytest.raises(BadTemplate, match=r"records\.json"):
        create_world(template, tmp_path / "w", database_url, "world_bad")
    table = {"key": "id", "columns": {"id": "text); DROP SCHEMA public; --"}, "rows": []}
    (template / "records.json").write_text(json.dumps({"tables": {"t": table}}))
    with pytest.raises(BadTemplate, match="types among"):
        create_world(template, tmp_path / "w", database_url, "world_bad")


def test_a_world_of_files_needs_no_database(template: Path, tmp_path: Path) -> None:
    world = create_world(template, tmp_path / "files", "", "world_files")
    assert (world.root / "notes" / "a.txt").exists() and world.database_url == ""


def test_a_world_is_made_quickly(template: Path, tmp_path: Path, database_url: str) -> None:
    began_at = time.monotonic()
    for _ in range(5):
        remove_world(create_world(template, tmp_path / "fast", database_url, "world_fast"))
    assert (time.monotonic() - began_at) / 5 < 0.3
