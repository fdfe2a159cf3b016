"""Results that no database likes reach their row and the agent all the same, cut and cleaned."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from speculation.models import AgentProfile, JobStatus, Session, WorkerPool
from speculation.toolbox import Toolbox
from tests.speculation.lost import (
    ask,
    fresh,
    make_box,
    run,
    with_tool,
)
from tools.base import SideEffect, Tool, ToolContext, ToolPolicy, ToolResult
from tools.running import MAX_CONTENT_CHARACTERS, MAX_STRUCTURED_CHARACTERS


@pytest.fixture
def box(
    tmp_path: Path,
    session: Session,
    agent: AgentProfile,
    pool: WorkerPool,
    broker_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Toolbox:
    return make_box(tmp_path, session, agent, monkeypatch)


class Poisonous(Tool):
    """Returns whatever the test puts into `results`."""

    name = "poison"
    description = "A tool that answers with what no database likes."
    parameters: Mapping[str, Any] = MappingProxyType(
        {
            "type": "object",
            "properties": {"which": {"type": "string"}},
            "required": ["which"],
            "additionalProperties": False,
        }
    )
    policy = ToolPolicy(effect=SideEffect.NONE, expected_seconds=0.1)

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        return RESULTS[arguments["which"]]


def nested(levels: int) -> Any:
    value: Any = "bottom"
    for _ in range(levels):
        value = [value]
    return value


RESULTS: Mapping[str, ToolResult] = {
    "huge text": ToolResult(True, "x" * 30_000_000),
    "huge value": ToolResult(True, "", {str(number): "y" * 1000 for number in range(20_000)}),
    "huge list": ToolResult(True, "", list(range(2_000_000))),
    "deep": ToolResult(True, "", nested(900)),
    "deep mapping": ToolResult(True, "", {"a": {"b": nested(500)}}),
    "nul": ToolResult(True, "a\0b", {"k\0": "v\0"}),
    "not a number": ToolResult(True, "", {"a": float("nan"), "b": [float("inf"), -float("inf")]}),
    "half a surrogate": ToolResult(True, "a\ud800b", {"\udc00": "\ud83d"}),
    "bytes that are no text": ToolResult(True, b"\xff\xfe".decode("utf-8", "surrogateescape"), b"\xff\xfe"),
    "no json at all": ToolResult(True, "", {"a": {1, 2}, "b": object(), 3: 4}),
    "huge number": ToolResult(True, "", {"a": 10**5000, "b": 1e308 * 10}),
    "an error": ToolResult(False, "\0\ud800" * 100_000),
}


@pytest.mark.parametrize("which", RESULTS)
def test_a_poisonous_result_reaches_its_row_and_the_agent_cut_and_cleaned(
    which: str, session: Session, agent: AgentProfile, box: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ask(session, with_tool(Poisonous(), agent, monkeypatch), "1.0", "poison", which=which)
    run(job)
    stored = fresh(job)
    assert (stored.status, stored.result["ok"]) == (JobStatus.SUCCEEDED, RESULTS[which].ok)
    assert len(stored.result["content"]) <= MAX_CONTENT_CHARACTERS + 100
    assert len(json.dumps(stored.result["structured"], allow_nan=False)) <= 2 * MAX_STRUCTURED_CHARACTERS
    told = json.dumps(stored.result, ensure_ascii=False)
    assert "\0" not in told and told.encode()
