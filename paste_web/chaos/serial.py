"""The truth: a demo agent's task done call by call in this process, without queue, workers, log or speculation."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from speculation.agent.demo import DemoAgent
from speculation.agent.types import Message, RequestedCall
from tools import catalog
from tools.base import SideEffect, ToolCall, ToolContext, ToolPolicy, ToolResult, without_volatile
from tools.running import execute
from tools.world import TEMPLATES, World, create_world, remove_world

MOST_TURNS = 60
LEFT_BY_BYTE_CODE = "__pycache__"

State = Mapping[str, str]
"""Every file and every table of a world, by name, as a digest of what it holds."""


@dataclass(frozen=True)
class Answer:
    """One call and what it gave, without what its tool declares volatile."""

    call: str
    """The fingerprint of all arguments."""
    ok: bool
    content: Any


@dataclass
class Truth:
    """What a task comes to when nothing else happens."""

    answers: dict[str, Answer] = field(default_factory=dict)
    """By call id, "turn.index"."""
    states: list[State] = field(default_factory=list)
    """The world at the beginning and after each call that may change it: the last is the final one."""
    answer: str = ""


def answer_of(tool: str, arguments: Mapping[str, Any], result: ToolResult) -> Answer:
    """What must be the same in every execution."""
    known = catalog.BUILTIN[tool]
    fingerprint = ToolCall(tool, arguments).fingerprint(ToolPolicy())
    steady = result.content if result.structured is None else without_volatile(result.structured, known.volatile)
    return Answer(fingerprint, result.ok, steady)


def state_of(root: Path, schema: str, connection: psycopg.Connection[Any]) -> State:
    """The world as it is. `connection` reads the records."""
    state = {f"file {path}": digest for path, digest in _files(root)}
    for (table,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema]).fetchall():
        rows = sql.SQL("SELECT md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) FROM {} AS t")
        row = connection.execute(rows.format(sql.Identifier(schema, table))).fetchone()
        state[f"table {table}"] = row[0] if row else ""
    return state


def _files(root: Path) -> list[tuple[str, str]]:
    paths = sorted(path for path in root.rglob("*") if path.is_file() and LEFT_BY_BYTE_CODE not in path.parts)
    return [(str(path.relative_to(root)), hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths]


def live(
    agent: DemoAgent, task: str, folder: Path, database_url: str, library_url: str, private_hosts: frozenset[str]
) -> Truth:
    """Do the task on a world of its own, which is removed again. Raises AssertionError where the script does not end."""
    world = World(folder, f"truth_{hashlib.sha256(task.encode()).hexdigest()[:16]}", database_url)
    create_world(TEMPLATES / agent.world, world.root, world.database_url, world.schema, {"library": library_url})
    context = ToolContext(world.root, database_url, world.schema, allowed_private_hosts=private_hosts)
    try:
        with psycopg.connect(database_url, autocommit=True) as connection:
            return _live(agent, task, context, connection)
    finally:
        remove_world(world)


def _live(agent: DemoAgent, task: str, context: ToolContext, connection: psycopg.Connection[Any]) -> Truth:
    truth = Truth(states=[state_of(context.root, context.schema, connection)])
    messages = [Message("user", task)]
    for turn in range(1, MOST_TURNS):
        said = agent.script(messages)
        if not said.calls:
            truth.answer = said.text
            return truth
        calls = _calls(turn, said.calls)
        messages.append(Message("assistant", said.text, calls=calls))
        for call in calls:
            messages.append(_answer(truth, call, context))
            if catalog.BUILTIN[call.tool].effect_of(call.arguments) != SideEffect.NONE:
                truth.states.append(state_of(context.root, context.schema, connection))
    raise AssertionError(f"{agent.name} did not come to an end: {task}")


def _calls(turn: int, calls: Sequence[ToolCall]) -> list[RequestedCall]:
    return [RequestedCall(f"{turn}.{index}", call.tool, call.arguments) for index, call in enumerate(calls)]


def _answer(truth: Truth, call: RequestedCall, context: ToolContext) -> Message:
    result = execute(catalog.BUILTIN[call.tool], call.arguments, context)
    truth.answers[call.call_id] = answer_of(call.tool, call.arguments, result)
    return Message(
        "tool", result.content, call_id=call.call_id, tool=call.tool, ok=result.ok, structured=result.structured
    )
