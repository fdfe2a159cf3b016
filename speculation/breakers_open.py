"""What is switched off at present, and the first reason against one tool of one agent."""

from collections.abc import Iterable, Sequence

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from speculation.engine.scheduling import Refused
from speculation.models import BreakerKind, BreakerOpening, ToolRecord


def open_now() -> QuerySet[BreakerOpening]:
    """Openings that hold, by the database's clock, newest first."""
    return BreakerOpening.objects.filter(Q(open_until=None) | Q(open_until__gt=Now()), closed_at=None)


def first_against(openings: Iterable[BreakerOpening], tool_id: int, agent_id: int | None) -> BreakerOpening | None:
    """The opening that keeps the tool from running early for this agent: the tool's own before the agent's before all.

    `agent_id`: None asks about the tool as a whole, whatever is off for single agents.
    """
    concerning = [one for one in openings if one.tool_id in (None, tool_id) and one.agent_id in (None, agent_id)]
    return min(concerning, key=lambda one: (one.tool_id is None, one.agent_id is None), default=None)


def refusal(opening: BreakerOpening | None) -> Refused | None:
    """The typed reason, as verdicts, chips and pages say it."""
    if opening is None:
        return None
    return Refused.AGENT_PAUSED if opening.kind == BreakerKind.PAUSE else Refused(f"breaker open: {opening.kind}")


def refusals(tools: Sequence[ToolRecord], agent_id: int) -> dict[str, Refused]:
    """What refuses each of these tools now, by the tool's name; asked under the pool's lock, it stays so until that ends."""
    openings = list(open_now())
    if not openings:
        return {}
    found = {tool.name: refusal(first_against(openings, tool.pk, agent_id)) for tool in tools}
    return {name: refused for name, refused in found.items() if refused is not None}
