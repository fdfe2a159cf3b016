"""Recorded agent runs as JSON lines: read them, turn them into engine events, and know what their tools do to the world.

One session a line: {"session_id", "source", "family", "task_id", "task", "model", "meta", "events"}; events are of type
"user" {text}, "llm" {turn, text, duration_s} and "tool" {turn, name, arguments, result, ok, duration_s}. Pure: files in,
values out. A bad line is a value too, so a reader can report it and go on.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from speculation.engine.types import Event, EventKind, ToolTraits
from tools.base import SideEffect, ToolResult
from tools.recorded import RecordedEffects, usual_seconds
from tools.running import clean_text

THINKING_SECONDS = 3.0
"""How long a model turn took where the recording does not say."""
LONGEST_THINKING_SECONDS = 20.0

SOURCES_WITHOUT_TOOL_TIMES = frozenset({"tau2_bench"})
"""Their tools were stand-ins in memory: the recorded durations say nothing about a real tool."""

LONGEST_SOURCE = 80
LONGEST_TOOL_NAME = 200
_STRINGS = ("session_id", "source", "task_id", "task")
_UNSTORABLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


class NotATrace(ValueError):
    """A value that is no recorded session; the message says where it is wrong."""


@dataclass(frozen=True)
class BadLine:
    """A line that is no session, and why."""

    file: Path
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


@dataclass(frozen=True)
class TraceSession:
    """One recorded run. `events` are the line's own, checked."""

    session_id: str
    source: str
    family: str
    task_id: str
    task: str
    model: str
    meta: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]]

    def to_events(self, time_scale: float = 1.0) -> list[Event]:
        """The run as the engine sees it. Times are seconds since its start, one thing after the other, over the scale."""
        clock = 0.0
        found = []
        for event in self.opened_events():
            started_at, clock = clock, clock + _seconds(event, self.source) / time_scale
            found.append(_to_event(event, started_at, clock))
        return found

    def opened_events(self) -> Iterator[Mapping[str, Any]]:
        """The events, with the task as the user's first words where the recording begins with the model."""
        if self.events[0]["type"] != "user":
            yield {"type": "user", "text": self.task}
        yield from self.events


def _to_event(event: Mapping[str, Any], started_at: float, ended_at: float) -> Event:
    if event["type"] == "user":
        return Event(EventKind.USER, text=event["text"], started_at=started_at, ended_at=ended_at)
    if event["type"] == "llm":
        thinking = event.get("thinking") or ""
        return Event(EventKind.LLM, event["turn"], event["text"], thinking, started_at=started_at, ended_at=ended_at)
    return Event(
        EventKind.TOOL,
        turn=event["turn"],
        tool=event["name"],
        status="ok" if event["ok"] else "error",
        arguments=event["arguments"],
        result=event["result"],
        started_at=started_at,
        ended_at=ended_at,
    )


def result_of(ok: bool, value: Any) -> ToolResult:
    """A recorded result, text or JSON object, as a tool returns it."""
    if isinstance(value, str):
        return ToolResult(ok, value)
    return ToolResult(ok, json.dumps(value, ensure_ascii=False), value)


def _seconds(event: Mapping[str, Any], source: str) -> float:
    if event["type"] == "llm":
        return thinking_seconds(event)
    if event["type"] == "tool":
        recorded = tool_seconds(event, source)
        return usual_seconds(event["name"]) if recorded is None else recorded
    return 0.0


def thinking_seconds(event: Mapping[str, Any]) -> float:
    """A model turn's duration, stated where none was recorded, and cut where somebody was away."""
    recorded = event.get("duration_s")
    return THINKING_SECONDS if recorded is None else min(float(recorded), LONGEST_THINKING_SECONDS)


def tool_seconds(event: Mapping[str, Any], source: str) -> float | None:
    """A call's recorded duration, or None where there is none that means anything."""
    recorded = event.get("duration_s")
    return None if recorded is None or source in SOURCES_WITHOUT_TOOL_TIMES else float(recorded)


def read_lines(path: Path) -> Iterator[TraceSession | BadLine]:
    """Each line of a file, plain or gzipped. Raises OSError only where the file itself cannot be read."""
    with path.open("rb") as plain:
        is_compressed = plain.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if is_compressed else path.open("rb") as lines:
        number = 0
        try:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _read_line(path, number, line)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            yield BadLine(path, number + 1, f"the compressed file is damaged from here on ({error})")


def _read_line(path: Path, number: int, line: bytes) -> TraceSession | BadLine:
    try:
        value = json.loads(line, parse_constant=_refuse_constant)
        return parse(_cleaned(value) if _UNSTORABLE.search(line) else value)
    except (ValueError, RecursionError) as error:
        return BadLine(path, number, str(error) or type(error).__name__)


def _refuse_constant(name: str) -> None:
    raise NotATrace(f"{name} is no JSON")


def _cleaned(value: Any) -> Any:
    """`value` without the characters that PostgreSQL cannot store."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return {clean_text(name): _cleaned(item) for name, item in value.items()}
    return value


def parse(value: Any) -> TraceSession:
    """A session out of its JSON. Raises NotATrace with what is wrong."""
    if not isinstance(value, dict):
        raise NotATrace("not a JSON object")
    for name in _STRINGS:
        if not isinstance(value.get(name), str):
            raise NotATrace(f"{name!r} is missing or not a string")
    if len(value["source"]) > LONGEST_SOURCE:
        raise NotATrace(f"'source' is longer than {LONGEST_SOURCE} characters")
    events = value.get("events")
    if not isinstance(events, list) or not events:
        raise NotATrace("'events' is missing, empty or not a list")
    if not isinstance(value.get("meta", {}), dict):
        raise NotATrace("'meta' is not an object")
    return TraceSession(
        session_id=value["session_id"],
        source=value["source"],
        family=str(value.get("family", "")),
        task_id=value["task_id"],
        task=value["task"],
        model=str(value.get("model", "")),
        meta=value.get("meta", {}),
        events=[_check_event(index, event) for index, event in enumerate(events)],
    )


_FIELDS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "user": {"text": (str,)},
    "llm": {"turn": (int,), "text": (str,)},
    "tool": {"turn": (int,), "name": (str,), "arguments": (dict,), "ok": (bool,)},
}


def _check_event(index: int, event: Any) -> dict[str, Any]:
    if not isinstance(event, dict) or not isinstance(kind := event.get("type"), str) or kind not in _FIELDS:
        raise NotATrace(f"event {index}: no object of type user, llm or tool")
    for name, types in _FIELDS[kind].items():
        if not isinstance(event.get(name), types):
            raise NotATrace(f"event {index} ({kind}): {name!r} is missing or not a {types[0].__name__}")
    if kind == "tool" and len(event["name"]) > LONGEST_TOOL_NAME:
        raise NotATrace(f"event {index} (tool): 'name' is longer than {LONGEST_TOOL_NAME} characters")
    if kind == "tool" and "result" not in event:
        raise NotATrace(f"event {index} (tool): 'result' is missing")
    duration = event.get("duration_s")
    if duration is not None and not (isinstance(duration, (int, float)) and 0 <= duration < 1e6):
        raise NotATrace(f"event {index} ({kind}): 'duration_s' is no number of seconds")
    return event


@dataclass(frozen=True)
class Effects:
    """What the recorded tools do to the world, by source: the content of effects.json."""

    by_source: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @staticmethod
    def read(path: Path) -> "Effects":
        """Raises OSError, or ValueError where it is no such file."""
        value = json.loads(path.read_text())
        if not isinstance(value, dict) or not all(isinstance(each, dict) for each in value.values()):
            raise NotATrace(f"{path} is no object of sources")
        return Effects(value)

    def of_tool(self, source: str, tool: str) -> RecordedEffects:
        """A tool's entry; one that is not listed changes the world."""
        entries = self.by_source.get(source, {})
        cosmetic = frozenset(entries.get("cosmetic", {}).get(tool, ()))
        effects = RecordedEffects(cosmetic=cosmetic, covers=self.covers(source, tool))
        for kind in ("read", "local"):
            if tool in entries.get(kind, ()):
                return replace(effects, kind=kind)
        if tool in entries.get("shell", {}):
            return replace(effects, kind="shell", argument=entries["shell"][tool])
        if tool in entries.get("by_argument", {}):
            values = {name: tuple(allowed) for name, allowed in entries["by_argument"][tool].items()}
            return replace(effects, kind="by_argument", values=values)
        return effects

    def effect_of(self, source: str, tool: str, arguments: Mapping[str, Any]) -> SideEffect:
        """The effect of this very call."""
        return self.of_tool(source, tool).effect_of(arguments)

    def covers(self, source: str, tool: str) -> frozenset[str]:
        """A call without these arguments (the whole) covers one with them (a part)."""
        return frozenset(self.by_source.get(source, {}).get("covers", {}).get(tool, ()))

    def traits(self, source: str, tool: str) -> ToolTraits:
        """The tool as the engine knows it."""
        effects = self.of_tool(source, tool)
        return ToolTraits(
            name=tool,
            reads_only=effects.may_be_speculated,
            changes_world=effects.kind not in ("read", "local"),
            expected_seconds=usual_seconds(tool),
            cosmetic_arguments=effects.cosmetic,
            covers=effects.covers,
            shell_argument=effects.argument,
            reads_call=effects.reads if effects.kind in ("shell", "by_argument") else None,
        )
