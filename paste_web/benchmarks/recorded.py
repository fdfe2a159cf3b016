"""Agents and tools of a benchmark: recorded ones (tools/recorded.py), whose answers, times and pace are written here."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from paste_web.benchmarks.stage import AGENT_PREFIX
from speculation.models import AgentProfile, ModelKind, SpeculationMode
from speculation.policy import register_tool
from speculation.recorded_agents import approve_reads
from tools.base import ToolCall
from tools.catalog import RECORDED
from tools.recorded import RECORDING_FILE, RecordedEffects, RecordedTool

SERVER = f"{RECORDED}benchmark"
READS = RecordedEffects(kind="read")
WHY = "A benchmark's own tool, which changes nothing."


def reading_tool(name: str, expected_seconds: float) -> RecordedTool:
    return RecordedTool(name, READS, expected_seconds)


def agent_with(name: str, tools: Iterable[RecordedTool]) -> AgentProfile:
    """The benchmark's agent of that name with these tools, approved for it alone."""
    agent, _ = AgentProfile.objects.update_or_create(
        name=f"{AGENT_PREFIX}{name}",
        defaults={"title": f"Benchmark: {name}", "model_kind": ModelKind.RECORDED, "mode": SpeculationMode.ON},
    )
    agent.tools.set([register_tool(SERVER, tool) for tool in tools])
    approve_reads(agent, who="benchmark", why=WHY)
    return agent


def answer(
    tool: RecordedTool, arguments: Mapping[str, Any], seconds: float, structured: Any = None, busy_seconds: float = 0.0
) -> dict[str, Any]:
    """What the tool will answer to this call after `seconds`, of which it computes for `busy_seconds`."""
    return {
        "fingerprint": ToolCall(tool.name, arguments).fingerprint(tool.policy),
        "changes": 0,
        "repeat": 0,
        "seconds": seconds,
        "busy_seconds": busy_seconds,
        "ok": True,
        "content": "done" if structured is None else json.dumps(structured),
        "structured": structured,
    }


def write_world(
    root: Path, answers: Sequence[Mapping[str, Any]], turns: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """The recording in its folder, and the session's `world` that points there."""
    root.mkdir(parents=True, exist_ok=True)
    recording = {"model": "benchmark", "seed": 1, "time_scale": 1.0, "turns": list(turns), "answers": list(answers)}
    (root / RECORDING_FILE).write_text(json.dumps(recording))
    return {"kind": "recorded", "recording": str(root / RECORDING_FILE), "root": str(root), "time_scale": 1.0}
