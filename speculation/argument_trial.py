"""Would this call be allowed, and which of the last calls would a rule refuse? Asks verdicts.py; stores nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from speculation.effects import effect_of_call
from speculation.models import Approval, ToolJob, ToolRecord
from speculation.shadow_savings import WINDOW
from speculation.verdicts import Verdict, is_speculable, meets
from speculation.worker import find_tool
from tools.arguments import validate
from tools.base import InvalidArguments, ToolError
from tools.commands import READ_ONLY

MOST_CALLS_TRIED = 500
MOST_REFUSED_SHOWN = 20


@dataclass(frozen=True)
class Trial:
    """`verdict` on the call under the typed decision. `against_schema`: why the tool itself would refuse the arguments."""

    verdict: Verdict
    against_schema: str = ""


@dataclass(frozen=True)
class RuleEffect:
    """`tried` of the last seven days' calls, `refused` of them; `shown`: the newest refused ones."""

    tried: int
    refused: int
    shown: Sequence[ToolJob] = ()


def try_call(tool: ToolRecord, decision: Approval, arguments: Mapping[str, Any], now: datetime) -> Trial:
    """May this call run early under this decision, stored or not? What is paused or broken at present is left out."""
    effect, against_schema = tool.effect, ""
    try:
        code = find_tool(tool)
        effect = effect_of_call(tool, code, arguments)
        validate(code, arguments)
    except InvalidArguments as problem:
        against_schema = str(problem)
    except ToolError:
        against_schema = ""  # a tool whose code is elsewhere: its schema is its server's business
    verdict = is_speculable(
        tool, decision, effect=effect, arguments=arguments, pool=None, canary_draw=0.0, now=now, broken=None
    )
    return Trial(verdict, against_schema)


def try_rule(
    tool: ToolRecord, argument_rule: Mapping[str, Any] | None, agent_id: int | None, now: datetime
) -> RuleEffect:
    """What the rule would have refused of the last calls, of one agent or of all."""
    calls = ToolJob.objects.filter(tool=tool, call_id__isnull=False, created_at__gte=now - WINDOW)
    if agent_id is not None:
        calls = calls.filter(session__agent=agent_id)
    last = list(calls.order_by("-created_at").defer("result").select_related("session")[:MOST_CALLS_TRIED])
    refused = [job for job in last if argument_rule is not None and not meets(argument_rule, job.arguments)]
    return RuleEffect(len(last), len(refused), refused[:MOST_REFUSED_SHOWN])


def programs_that_only_read(tool: ToolRecord) -> list[str]:
    """Of a tool that runs commands: those of which it is sure. Empty for every other tool."""
    try:
        return sorted(READ_ONLY) if find_tool(tool).policy.shell_argument and tool.server == "builtin" else []
    except ToolError:
        return []
