"""Agents that stand for recorded ones: a profile, and the tools that were recorded with what they do to the world."""

from collections.abc import Iterable

from django.utils.text import slugify

from speculation import policy
from speculation.models import AgentProfile, ApprovalLevel, ModelKind, SpeculationMode, ToolRecord
from speculation.traces import Effects, TraceSession
from speculation.verdicts import newest_approval
from tools.catalog import RECORDED
from tools.recorded import RecordedTool, usual_seconds


def tool_names(traces: Iterable[TraceSession]) -> set[str]:
    """The tools that were called in these runs."""
    return {event["name"] for trace in traces for event in trace.events if event["type"] == "tool"}


def profile(name: str, mode: SpeculationMode) -> AgentProfile:
    """The agent of that name, made where there is none. `name` may be any text."""
    slug = slugify(name)[:50] or "recorded"
    return AgentProfile.objects.get_or_create(
        name=slug, defaults={"title": f"{name} (recorded)", "model_kind": ModelKind.RECORDED, "mode": mode}
    )[0]


def give_tools(
    agent: AgentProfile, source: str, names: Iterable[str], effects: Effects, *, time_scale: float = 1.0
) -> list[ToolRecord]:
    """Register the source's tools of these names and add them to the agent's. They answer `time_scale` times as fast."""
    records = []
    for name in sorted(names):
        tool = RecordedTool(name, effects.of_tool(source, name), usual_seconds(name) / time_scale)
        records.append(policy.register_tool(f"{RECORDED}{source}", tool))
    agent.tools.add(*records)
    return records


def approve_reads(agent: AgentProfile, *, who: str, why: str) -> None:
    """Let the agent's recorded tools run early where their effects say that some call of them only reads."""
    for record in agent.tools.filter(server__startswith=RECORDED):
        newest = newest_approval(record, agent)
        if not _reads(record) or (newest and newest.definition_hash == record.definition_hash and newest.agent_id):
            continue
        policy.decide(
            record,
            ApprovalLevel.FULL,
            agent=agent,
            who=who,
            why=why,
            expected_definition_hash=record.definition_hash,
            expected_policy_version=record.policy_version,
        )


def _reads(record: ToolRecord) -> bool:
    return record.definition["effects"]["kind"] in ("read", "shell", "by_argument")
