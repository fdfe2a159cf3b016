"""An installation in which nothing has happened, and the least that pages of one thing need to stand on."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.utils import timezone

from paste_web.picturing.agents import scarce_tool
from speculation.models import AgentProfile, ModelKind, PatternRecord, Session, ToolRecord


@dataclass(frozen=True)
class Scarce:
    """One session that has not begun, one tool that nobody has called, one pattern that nothing has come of."""

    operator: User
    sessions: Mapping[str, Session]
    tools: Mapping[str, ToolRecord]
    pattern: PatternRecord


def least(operator: User) -> Scarce:
    """Those three. Whoever wants pages without them looks at those first, and takes them away with `forget`."""
    agent = AgentProfile.objects.create(
        name="support", title="Support", model_kind=ModelKind.SCRIPTED, script="support"
    )
    tool = scarce_tool()
    agent.tools.add(tool)
    session = Session.objects.create(agent=agent, task="Refund the duplicate.", created_at=timezone.now())
    pattern = PatternRecord.objects.create(
        agent=agent, key="0" * 64, tool=tool.name, context=["user"], occurrences=4.0, support=3.0, probability=0.75
    )
    return Scarce(operator, {"on": session}, {tool.name: tool}, pattern)


def forget(house: Scarce) -> None:
    for row in (house.pattern, *house.sessions.values()):
        row.delete()
    AgentProfile.objects.all().delete()
    for tool in house.tools.values():
        tool.delete()
