"""What the demonstration needs before anybody plays: agents, decisions, a login, a key, and a library to fetch from."""

import os
import secrets
import sys
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser

from paste_web.processes import Program
from speculation import access
from speculation.agent.demo import AGENTS, DemoAgent
from speculation.models import AgentProfile, ApiKey, ApprovalLevel, ModelKind, SpeculationMode, ToolRecord
from speculation.policy import decide, register_tool
from speculation.verdicts import WRITING, newest_approval
from tools import catalog

WHO = "demo"
WHY = "Demonstration: this tool only reads the demo's own bundled files, records and pages."
WHY_SHADOW = "Demonstration: left in shadow, so that you can approve it yourself and see what changes."
LEFT_TO_APPROVE = "fetch_page"
LATENCY_SECONDS = "2.5"
PASSWORD_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
SCOPES = (access.WRITE, access.READ_ALL, access.CALL)
ELSEWHERE, ITS_DESK = "desk", "support"
"""An agent that runs elsewhere, for whoever wants to point one at us: what it may call is the demo agent's of that name."""


def library(port: int) -> Program:
    """The web site that the research agent fetches from."""
    return Program("library", [sys.executable, "-m", "tools.worlds.site", "--port", str(port)])


def set_variables(library_port: int) -> None:
    """What the demo's processes are told, where nobody said otherwise. Only for children started after this."""
    private = [*settings.PASTE_ALLOWED_PRIVATE_HOSTS, f"127.0.0.1:{library_port}"]
    os.environ["PASTE_ALLOWED_PRIVATE_HOSTS"] = ",".join(private)
    os.environ["PASTE_DEMO_LIBRARY_URL"] = f"http://127.0.0.1:{library_port}"
    os.environ.setdefault("PASTE_NETWORK_LATENCY_SECONDS", LATENCY_SECONDS)


def load_agents(leaves_one_to_approve: bool) -> list[AgentProfile]:
    """The demo agents with their tools, each tool decided about by `demo`, with a reason."""
    return [_load(agent, leaves_one_to_approve) for agent in AGENTS.values()]


def _load(demo: DemoAgent, leaves_one_to_approve: bool) -> AgentProfile:
    agent, _ = AgentProfile.objects.update_or_create(
        name=demo.name,
        defaults={
            "title": demo.title,
            "model_kind": ModelKind.SCRIPTED,
            "script": demo.name,
            "world": demo.world,
            "system_prompt": demo.system_prompt,
        },
        create_defaults={
            "name": demo.name,
            "title": demo.title,
            "model_kind": ModelKind.SCRIPTED,
            "script": demo.name,
            "world": demo.world,
            "system_prompt": demo.system_prompt,
            "mode": SpeculationMode.ON,
        },
    )
    tools = [register_tool("builtin", catalog.BUILTIN[name]) for name in demo.tools]
    agent.tools.set(tools)
    for tool in tools:
        _approve(tool, leaves_one_to_approve)
    return agent


def load_agent_elsewhere() -> AgentProfile:
    """With tools that are decided about already: load the demo agents first."""
    told = {"title": "Your own agent, over MCP", "model_kind": ModelKind.REMOTE, "world": AGENTS[ITS_DESK].world}
    agent, _ = AgentProfile.objects.update_or_create(
        name=ELSEWHERE, defaults=told, create_defaults={"name": ELSEWHERE, **told, "mode": SpeculationMode.ON}
    )
    agent.tools.set(AgentProfile.objects.get(name=ITS_DESK).tools.all())
    return agent


def _approve(tool: ToolRecord, leaves_one_to_approve: bool) -> None:
    """Decide as `demo`. What a person decided stays; a tool that writes is never speculated and needs no decision."""
    if tool.effect in WRITING:
        return
    is_left = leaves_one_to_approve and tool.name == LEFT_TO_APPROVE
    level = ApprovalLevel.SHADOW if is_left else ApprovalLevel.FULL
    newest = newest_approval(tool, None)
    if newest is not None:
        is_as_wanted = (newest.level, newest.definition_hash) == (level, tool.definition_hash)
        is_as_wanted = is_as_wanted and newest.may_tell_new_values
        if newest.who != WHO or is_as_wanted:
            return
    decide(
        tool,
        level,
        who=WHO,
        why=WHY_SHADOW if is_left else WHY,
        expected_definition_hash=tool.definition_hash,
        expected_policy_version=tool.policy_version,
        may_tell_outsiders=True,
        may_tell_new_values=True,
    )


def make_login() -> str:
    """User `demo`, who may do everything here, with a password made for this start."""
    groups = ("".join(secrets.choice(PASSWORD_LETTERS) for _ in range(4)) for _ in range(3))
    password = "-".join(groups)
    user = _user()
    user.set_password(password)
    user.save()
    return password


def _user() -> AbstractBaseUser:
    user, _ = get_user_model().objects.get_or_create(username=WHO, defaults={"is_staff": True, "is_superuser": True})
    return user


def make_key() -> Path:
    """The file with the demo's API key, readable by us alone; the key that is there, while it is good."""
    path: Path = settings.PASTE_HOME / "demo-api-key"
    known = access.find_key(path.read_text().strip()) if path.exists() else None
    if known is not None and set(known.scopes) >= set(SCOPES):
        return path
    for old in ApiKey.objects.filter(name=WHO, revoked_at=None):
        access.revoke_key(old, who=WHO, why="Its file is gone, or it may less than the demonstration needs.")
    _, text = access.create_key(WHO, SCOPES, who=WHO, user=_user(), why="Demonstration.")
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{text}\n")
    return path
