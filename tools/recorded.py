"""Tools of a recorded session, re-lived: they take their time and return what was recorded, in a world that changes.

The session's world is its folder: `recording.json` (the `answers`, one for each recorded call, with `seed` and
`time_scale`) and `changes`, a file that each changing call makes one byte longer. What a call returns depends on the
call, on how many changing calls came before it, and on which repeat of it this is. So a result kept past a change shows
as a wrong answer. A call that was never made takes a drawn time and fails, so that nobody can have asked for it.
"""

import json
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from tools.base import SideEffect, Tool, ToolCall, ToolContext, ToolPolicy, ToolResult, Unreachable
from tools.computing import compute
from tools.shell import is_read_only
from tools.waiting import pause

RECORDING_FILE = "recording.json"
CHANGES_FILE = "changes"
NOT_RECORDED = ToolResult(ok=False, content="not recorded")

DRAWN_SECONDS = {"search_pages": (1.0, 3.0), "read_section": (2.0, 8.0), "view_sections": (2.0, 8.0)}
OTHER_DRAWN_SECONDS = (0.3, 1.5)
"""Ranges of the time a call takes where the recording has none, or only that of a stand-in."""


@dataclass(frozen=True)
class RecordedEffects:
    """What a recorded tool does to the world: one tool's entry of effects.json, as JSON in its definition.

    `kind`: "read"; "local" (changes nothing that a read sees, never speculated); "shell" (reads only where the command
    line in `argument` does); "by_argument" (reads only where each of `values` allows its argument); else "write".
    """

    kind: str = "write"
    argument: str = ""
    values: Mapping[str, tuple[Any, ...]] | None = None
    cosmetic: frozenset[str] = frozenset()
    covers: frozenset[str] = frozenset()
    """A call without these arguments covers one with them. What a part's result was cannot be told from the whole's."""

    def to_json(self) -> dict[str, Any]:
        values = {name: list(allowed) for name, allowed in (self.values or {}).items()}
        told = {"kind": self.kind, "argument": self.argument, "values": values, "cosmetic": sorted(self.cosmetic)}
        return {**told, "covers": sorted(self.covers)} if self.covers else told

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "RecordedEffects":
        values = {str(name): tuple(allowed) for name, allowed in value.get("values", {}).items()}
        return RecordedEffects(
            kind=str(value.get("kind", "write")),
            argument=str(value.get("argument", "")),
            values=values,
            cosmetic=frozenset(value.get("cosmetic", ())),
            covers=frozenset(value.get("covers", ())),
        )

    @property
    def declared(self) -> SideEffect:
        """The effect of the tool as a whole, before a call is known."""
        if self.kind in ("read", "local"):
            return SideEffect.NONE
        return SideEffect.UNKNOWN if self.kind in ("shell", "by_argument") else SideEffect.WRITE

    @property
    def may_be_speculated(self) -> bool:
        """True if some call of it may run before it is asked for."""
        return self.kind in ("read", "shell", "by_argument")

    def effect_of(self, arguments: Mapping[str, Any]) -> SideEffect:
        return SideEffect.NONE if self.reads(arguments) else SideEffect.WRITE

    def reads(self, arguments: Mapping[str, Any]) -> bool:
        """True if this very call cannot change what another one sees."""
        match self.kind:
            case "read" | "local":
                return True
            case "shell":
                return is_read_only(arguments.get(self.argument, ""))
            case "by_argument":
                return bool(self.values) and all(
                    arguments.get(name) in allowed for name, allowed in (self.values or {}).items()
                )
        return False


def drawn_seconds(tool: str, fingerprint: str, seed: int) -> float:
    """How long this very call takes where no time was recorded: the same whenever it is drawn."""
    low, high = DRAWN_SECONDS.get(tool, OTHER_DRAWN_SECONDS)
    return random.Random(f"{seed} {fingerprint}").uniform(low, high)


def usual_seconds(tool: str) -> float:
    """The mean of the drawn times of a tool."""
    return sum(DRAWN_SECONDS.get(tool, OTHER_DRAWN_SECONDS)) / 2


@dataclass(frozen=True)
class RecordedAnswer:
    result: ToolResult
    seconds: float
    busy_seconds: float = 0.0
    """The part of them in which it computes: only made-up recordings have one."""


@dataclass(frozen=True)
class RecordedAnswers:
    """All answers of one recorded session: (fingerprint, changing calls before) -> repeat -> answer."""

    seed: int
    time_scale: float
    by_call: Mapping[tuple[str, int], Mapping[int, RecordedAnswer]]

    def find(self, fingerprint: str, changes: int, repeat: int) -> RecordedAnswer | None:
        """That repeat, else the last one recorded of the same call in the same state of the world, else None."""
        repeats = self.by_call.get((fingerprint, changes))
        return repeats.get(repeat, repeats[max(repeats)]) if repeats else None


class RecordedTool(Tool):
    """A tool that was recorded. `definition` carries its effects, so whoever pins it pins them too."""

    description = "Returns what was recorded of the real tool."
    parameters: Mapping[str, Any] = {"type": "object"}

    def __init__(self, name: str, effects: RecordedEffects, expected_seconds: float | None = None) -> None:
        self.name = name
        self.effects = effects
        self.policy = ToolPolicy(
            effect=effects.declared,
            cosmetic_arguments=effects.cosmetic,
            covers=effects.covers,
            shell_argument=effects.argument,
            expected_seconds=usual_seconds(name) if expected_seconds is None else expected_seconds,
            timeout_seconds=3600.0,
            max_parallel=64,
            ttl_seconds=3600.0,
        )

    def effect_of(self, arguments: Mapping[str, Any]) -> SideEffect:
        return self.effects.effect_of(arguments)

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        answers = read_answers(context.root / RECORDING_FILE)
        fingerprint = ToolCall(self.name, arguments).fingerprint(self.policy)
        answer = answers.find(fingerprint, count_changes(context.root), context.repeat)
        seconds = answer.seconds if answer else drawn_seconds(self.name, fingerprint, answers.seed)
        busy_seconds = answer.busy_seconds if answer else 0.0
        pause((seconds - busy_seconds) / answers.time_scale, context)
        compute(busy_seconds / answers.time_scale, context)
        if self.effect_of(arguments) is not SideEffect.NONE:
            _change(context.root)
        return answer.result if answer else NOT_RECORDED

    @cached_property
    def definition(self) -> dict[str, Any]:
        return {
            **super().definition,
            "effects": self.effects.to_json(),
            "expected_seconds": self.policy.expected_seconds,
        }


def from_definition(name: str, definition: Mapping[str, Any]) -> RecordedTool:
    """The tool that a stored definition describes; one without effects counts as changing the world."""
    effects = RecordedEffects.from_json(definition.get("effects", {}))
    return RecordedTool(name, effects, definition.get("expected_seconds"))


def count_changes(root: Path) -> int:
    """How many changing calls this world has seen."""
    try:
        return (root / CHANGES_FILE).stat().st_size
    except FileNotFoundError:
        return 0


def _change(root: Path) -> None:
    handle = os.open(root / CHANGES_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, b".")
    finally:
        os.close(handle)


def read_answers(path: Path) -> RecordedAnswers:
    """Raises Unreachable where the world has no recording."""
    try:
        return _parse_answers(path, path.stat().st_mtime_ns)
    except FileNotFoundError as error:
        raise Unreachable(f"This session's world has no {RECORDING_FILE}.") from error


@lru_cache(maxsize=64)
def _parse_answers(path: Path, modified_ns: int) -> RecordedAnswers:
    recording = json.loads(path.read_text())
    by_call: dict[tuple[str, int], dict[int, RecordedAnswer]] = {}
    for answer in recording["answers"]:
        repeats = by_call.setdefault((answer["fingerprint"], answer["changes"]), {})
        repeats[answer["repeat"]] = RecordedAnswer(
            ToolResult.from_json(answer), answer["seconds"], answer.get("busy_seconds", 0.0)
        )
    return RecordedAnswers(int(recording["seed"]), float(recording["time_scale"]), by_call)
