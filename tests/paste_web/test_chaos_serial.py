"""Serial execution, the measure of everything: the same each time, and it sees what a task changes."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from paste_web.chaos import serial, witness
from speculation.agent.demo import AGENTS
from tools.base import ToolContext
from tools.builtin.update_record import UpdateRecord
from tools.running import execute
from tools.world import TEMPLATES, World, create_world, remove_world

SUPPORT = AGENTS["support"]


def live(database_url: str, folder: Path, number: int = 0) -> serial.Truth:
    return serial.live(SUPPORT, SUPPORT.tasks[number], folder, database_url, "http://127.0.0.1:1", frozenset())


def test_serial_execution_is_the_same_twice_and_leaves_nothing_behind(database_url: str, tmp_path: Path) -> None:
    first, second = live(database_url, tmp_path / "a"), live(database_url, tmp_path / "b")
    assert first == second
    assert first.answer and len(first.answers) >= 5
    assert not (tmp_path / "a").exists()
    with psycopg.connect(database_url) as connection:
        assert not connection.execute("SELECT 1 FROM pg_namespace WHERE nspname LIKE 'truth%'").fetchall()


def test_a_task_that_writes_has_a_state_before_and_one_after(database_url: str, tmp_path: Path) -> None:
    before, after = live(database_url, tmp_path / "a").states
    assert [name for name in before if before[name] != after[name]] == ["table refunds"]


def test_other_tasks_have_other_truths(database_url: str, tmp_path: Path) -> None:
    first, second = live(database_url, tmp_path / "a"), live(database_url, tmp_path / "b", 1)
    assert (
        first.answers != second.answers
        and first.states[0] == second.states[0]
        and first.states[-1] != second.states[-1]
    )


@pytest.fixture
def watched(database_url: str, tmp_path: Path) -> Iterator[tuple[psycopg.Connection[object], World]]:
    """A world that was made after the witness came."""
    world = World(tmp_path / "world", f"world_{uuid.uuid4().hex}", database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        witness.watch(connection)
        create_world(TEMPLATES / "support", world.root, world.database_url, world.schema)
        yield connection, world
        remove_world(world)
        connection.execute("DROP EVENT TRIGGER chaos_watch")
        connection.execute("DROP SCHEMA chaos CASCADE")


def test_the_witness_notes_each_write_that_was_committed_and_no_other(
    watched: tuple[psycopg.Connection[object], World],
) -> None:
    connection, world = watched
    assert witness.writes(connection) == {}, "making a world is no write"
    context = ToolContext(world.root, world.database_url, world.schema)
    key = connection.execute(f"SELECT refund_id FROM {world.schema}.refunds ORDER BY 1").fetchone()
    assert key
    change = {"table": "refunds", "key": key[0], "values": {"status": "approved"}}  # type: ignore[index]
    assert execute(UpdateRecord(), change, context).ok
    assert execute(UpdateRecord(), change, context).ok
    assert not execute(UpdateRecord(), {**change, "values": {"status": "approved", "no_such": 1}}, context).ok
    with pytest.raises(ZeroDivisionError), connection.transaction():
        connection.execute(f"UPDATE {world.schema}.refunds SET status = 'x'")
        raise ZeroDivisionError
    assert [len(moments) for moments in witness.writes(connection).values()] == [2]
