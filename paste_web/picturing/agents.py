"""The made-up installation's agents and tools, and what was decided about each: one tool in every state there is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User

from speculation import breakers_opening, breakers_pausing, policy, prices
from speculation.agent.demo import AGENTS
from speculation.engine.breaking import Kind, Limits, Subject, Trip
from speculation.models import AgentProfile, Approval, ApprovalLevel, ModelKind, SpeculationMode, ToolRecord
from tools import catalog
from tools.recorded import RecordedEffects, RecordedTool

REMOTE = "recorded.crm"
BESIDE = ("list_files", "list_records", "query_table", "write_file")
"""Built-in tools that no demo agent has."""
READS = "Reads only; checked against the source on 12 May. Its answer does not change while a session runs."
AGAINST = {
    "fetch_page": "only shadow",
    "list_invoices": "definition changed since its approval",
    "convert_currency": "approval expired",
}
"""What the sessions' logs say of the tools that may not run early."""


class RemoteTool(RecordedTool):
    """A tool of somebody else's server: as a registry knows it, so with a definition in that server's words."""

    def __init__(self, name: str, kind: str, seconds: float, description: str, arguments: Mapping[str, str]) -> None:
        super().__init__(name, RecordedEffects(kind=kind), seconds)
        properties = {argument: {"type": type_} for argument, type_ in arguments.items()}
        self.description = description
        self.parameters = {"type": "object", "properties": properties, "required": list(arguments)}
        self.policy = replace(self.policy, open_world=True)


def _reading(name: str, seconds: float, description: str, /, **arguments: str) -> RemoteTool:
    return RemoteTool(name, "read", seconds, description, arguments)


LOOKUP = _reading("lookup_customer", 1.6, "Find a customer by name.", name="string")
LIST = _reading("list_invoices", 2.8, "List a customer's invoices, newest first.", customer_id="string")
LIST_CHANGED = _reading(
    "list_invoices",
    2.8,
    "List a customer's invoices, newest first. Pass\u200b `notify` to mail the customer a copy.",
    customer_id="string",
    notify="boolean",
)
INVOICE = _reading("get_invoice", 1.9, "Read one invoice with its lines.", invoice_id="string")
INVOICE_PRICE = Decimal("0.004")
CONVERT = _reading("convert_currency", 0.9, "Convert an amount at today's rate.", cents="integer", to="string")
REPLY = RemoteTool("send_reply", "write", 0.7, "Send an answer to a customer.", {"to": "string", "text": "string"})


@dataclass(frozen=True)
class Cast:
    """Agents by name, tools by name."""

    agents: Mapping[str, AgentProfile]
    tools: Mapping[str, ToolRecord]


def hire() -> Cast:
    """Agents with their tools, about which nobody has decided yet."""
    agents = {name: _demo_agent(name) for name in AGENTS}
    agents["billing"] = AgentProfile.objects.create(
        name="billing",
        title="Answers questions about invoices",
        model_kind=ModelKind.OPENAI,
        model="qwen3-32b",
        mode=SpeculationMode.CANARY,
        canary_percent=50,
        holdout_percent=20,
    )
    agents["billing"].tools.set(
        [policy.register_tool(REMOTE, tool) for tool in (LOOKUP, LIST, INVOICE, CONVERT, REPLY)]
    )
    for name in BESIDE:
        policy.register_tool("builtin", catalog.BUILTIN[name])
    _hire_elsewhere()
    return Cast(agents, {tool.name: tool for tool in ToolRecord.objects.all()})


def _hire_elsewhere() -> None:
    """One that nobody has called from yet: it stands on Connect."""
    desk = AgentProfile.objects.create(
        name="desk", title="A desk assistant that runs elsewhere", model_kind=ModelKind.REMOTE, mode=SpeculationMode.ON
    )
    desk.tools.set([policy.register_tool("builtin", catalog.BUILTIN[name]) for name in AGENTS["support"].tools])


def _demo_agent(name: str) -> AgentProfile:
    demo = AGENTS[name]
    agent = AgentProfile.objects.create(
        name=name,
        title=demo.title,
        model_kind=ModelKind.SCRIPTED,
        script=name,
        world=demo.world,
        system_prompt=demo.system_prompt,
        mode=SpeculationMode.ON,
        holdout_percent=20,
    )
    agent.tools.set([policy.register_tool("builtin", catalog.BUILTIN[tool]) for tool in demo.tools])
    return agent


def decide_all(cast: Cast, approver: User, now: datetime) -> None:
    """Every level once, a switch, a changed definition, an approval that has expired."""
    tools, agents = cast.tools, cast.agents
    in_90_days = now + timedelta(days=90)
    _decide(
        tools["get_record"], ApprovalLevel.CANARY, approver, "First for a tenth of the sessions.", canary_percent=10
    )
    _decide(tools["get_record"], ApprovalLevel.FULL, approver, READS, expires_at=in_90_days, ttl_seconds=30.0)
    _decide(
        tools["search_documents"],
        ApprovalLevel.FULL,
        approver,
        READS,
        expires_at=now + timedelta(days=5),
        may_tell_outsiders=True,
    )
    _decide(tools["search_text"], ApprovalLevel.FULL, approver, READS, agent=agents["coding"])
    _decide(tools["read_file"], ApprovalLevel.CANARY, approver, READS, agent=agents["coding"], canary_percent=60)
    _decide(tools["fetch_page"], ApprovalLevel.SHADOW, approver, "It tells other servers what we read: shadow first.")
    _decide(
        tools["update_record"],
        ApprovalLevel.TRANSFORMED,
        approver,
        "It writes, but its warm-up only reads the record.",
        agent=agents["support"],
    )
    _decide(tools["query_table"], ApprovalLevel.NEVER, approver, "Its queries may be slow, and the database is shared.")
    for name in ("lookup_customer", "list_invoices", "get_invoice", "convert_currency"):
        _decide(
            tools[name],
            ApprovalLevel.FULL,
            approver,
            READS,
            agent=agents["billing"],
            may_tell_outsiders=True,
            may_tell_new_values=True,
            max_parallel=2,
        )
    why = "The billing service charges for each invoice that is read."
    prices.change_price(tools["get_invoice"], INVOICE_PRICE, who=approver.username, why=why, user=approver)
    policy.register_tool(REMOTE, LIST_CHANGED)
    Approval.objects.filter(tool=tools["convert_currency"]).update(expires_at=now - timedelta(days=1))
    policy.switch(tools["search_text"], False, who=approver.username, why="The index is being rebuilt.", user=approver)


def _decide(tool: ToolRecord, level: ApprovalLevel, approver: User, why: str, **terms: Any) -> None:
    tool.refresh_from_db()
    policy.decide(
        tool,
        level,
        who=approver.username,
        why=why,
        user=approver,
        expected_definition_hash=tool.definition_hash,
        expected_policy_version=tool.policy_version,
        **terms,
    )


def break_before(cast: Cast, operator: User) -> None:
    """Two breakers that were open, and were reset."""
    reading, research = Subject(tool=cast.tools["read_file"].pk), Subject(agent=cast.agents["research"].pk)
    _open(Kind.ERRORS, reading, 0.6, 0.5, "6 of 10 runs failed, the limit is 50 %", closed_by=operator)
    _open(
        Kind.INTERFERENCE,
        research,
        11.2,
        10,
        "real calls queued 11.2 s in a minute, the limit is 10",
        closed_by=operator,
    )


def break_now(cast: Cast, operator: User) -> None:
    """A breaker that is open, and an agent that is paused."""
    _open(
        Kind.WASTE,
        Subject(tool=cast.tools["get_invoice"].pk),
        64.0,
        60,
        "wasted 64 worker seconds in a minute, the limit is 60",
    )
    breakers_pausing.pause_agent(
        cast.agents["coding"], who=operator.username, why="Its repository moves today.", user=operator
    )


def _open(
    kind: Kind, subject: Subject, measured: float, limit: float, reason: str, closed_by: User | None = None
) -> None:
    opening = breakers_opening.open_breaker(Trip(kind, subject, measured, Limits(limit, 60, 1800), reason))
    if opening is not None and closed_by is not None:
        breakers_opening.reset(opening, who=closed_by.username, user=closed_by, why="The cause is gone.")


def scarce_tool() -> ToolRecord:
    """One tool that nobody has called or decided about."""
    return policy.register_tool("builtin", catalog.BUILTIN["get_record"])
