"""Sessions of a made-up agent with known times: it looks up one entry after another, each named by the one before.

Every result names the `next` entry and some `others`, which nobody ever asks for. Whoever learns from sessions that go on
with `next` foresees every call; whoever learns from sessions that go on with `others` is sure of calls that never come.
Where `next` is left out as well, not even the first letters of a call tell the rest of it.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from paste_web.benchmarks import recorded
from speculation import learning
from speculation.engine.types import Event, EventKind
from speculation.models import AgentProfile, Arm, Origin, Session
from speculation.submission import submit_task
from speculation.toolbox import Toolbox
from tools.recorded import RecordedTool

TASK = "Look up the entries, one after another."
WORDS = "I read this entry in full, note what it says, and see from it where the matter goes on from here. " * 2
OTHERS = 3
LEARNING_SESSIONS = 30


@dataclass(frozen=True)
class Shape:
    """One session's times. Each turn but the last calls once."""

    calls: int = 6
    model_seconds: float = 0.5
    tool_seconds: float = 0.5
    busy_share: float = 0.0
    """Part of a tool's time in which it computes."""
    names_next: bool = True
    """False: no result says where the session goes on."""

    @property
    def tool(self) -> RecordedTool:
        return recorded.reading_tool("look_up", self.tool_seconds)

    @property
    def session_seconds(self) -> float:
        """Without speculation and without any cost of ours."""
        return self.calls * (self.model_seconds + self.tool_seconds) + self.model_seconds


def name_of(rng: random.Random) -> str:
    return f"e-{rng.getrandbits(48):012x}"


@dataclass(frozen=True)
class Entry:
    name: str
    result: dict[str, Any]
    seconds: float


def entries(shape: Shape, rng: random.Random) -> list[Entry]:
    """What one session looks up. Each call takes 0.6 to 1.4 times the shape's time."""
    names = [name_of(rng) for _ in range(shape.calls + 1)]
    return [
        Entry(
            name,
            _result(name, following if shape.names_next else None, rng),
            shape.tool_seconds * rng.uniform(0.6, 1.4),
        )
        for name, following in pairwise(names)
    ]


def _result(name: str, following: str | None, rng: random.Random) -> dict[str, Any]:
    result = {"entry": name, "others": [name_of(rng) for _ in range(OTHERS)]}
    return {**result, "next": following} if following else result


def make_agent(name: str, shape: Shape, *, foresees: str, seed: int) -> AgentProfile:
    """An agent that learned from sessions which went on with `next` or with `others`."""
    agent = recorded.agent_with(name, [shape.tool])
    rng = random.Random(f"learning {seed}")
    sessions = [list(_lived(entries(shape, rng), foresees)) for _ in range(LEARNING_SESSIONS)]
    learning.learn(agent, sessions, Toolbox.of(agent).traits())
    return agent


def _lived(looked_up: Sequence[Entry], foresees: str) -> Iterator[Event]:
    yield Event(EventKind.USER, text=TASK)
    asked = [looked_up[0].name]
    for turn, entry in enumerate(looked_up, start=1):
        yield Event(EventKind.LLM, turn=turn, text=WORDS)
        for name in asked:
            arguments = {"entry": name}
            yield Event(
                EventKind.TOOL, turn=turn, tool="look_up", status="ok", arguments=arguments, result=entry.result
            )
        asked = [entry.result["next"]] if foresees == "next" else entry.result["others"]
    yield Event(EventKind.LLM, turn=len(looked_up) + 1, text="That was all.")


def submit(agent: AgentProfile, shape: Shape, root: Path, rng: random.Random, arm: Arm) -> Session:
    """One session of the agent; the same draws give the same session."""
    looked_up = entries(shape, rng)
    answers = [
        recorded.answer(shape.tool, {"entry": name}, one.seconds, one.result, shape.busy_share * one.seconds)
        for one in looked_up
        for name in (one.name, *one.result["others"])
    ]
    world = recorded.write_world(root / f"{rng.getrandbits(64):016x}-{arm}", answers, list(_turns(shape, looked_up)))
    return submit_task(agent, TASK, speculation=str(arm), origin=Origin.REPLAY, world=world)


def _turns(shape: Shape, looked_up: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    for one in looked_up:
        calls = [{"tool": "look_up", "arguments": {"entry": one.name}}]
        yield {"text": WORDS, "seconds": shape.model_seconds, "calls": calls, "user": None}
    yield {"text": "That was all.", "seconds": shape.model_seconds, "calls": [], "user": None}
