"""Tools of MCP servers as operators know them: registered as listed, reviewed when they change."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError
from django.utils import timezone

from speculation import policy, tasks
from speculation.effects import effect_of_tool, needs_declaration
from speculation.models import AgentProfile, AuditEntry, ToolRecord, ToolServer
from speculation.tool_servers import Listed, failing_servers, keep, list_tools, problem_of_file
from speculation.toolbox import Toolbox
from speculation.verdicts import newest_approval
from tests.mcp_server import KEY, free_port, running
from tools import catalog

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def file(tmp_path: Path, settings: Any) -> Path:
    settings.PASTE_MCP_SERVERS = tmp_path / "servers.json"
    return settings.PASTE_MCP_SERVERS


def tell(file: Path, **urls: str) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    file.write_text(json.dumps({"mcpServers": {name: {"url": url, "headers": headers} for name, url in urls.items()}}))


def told() -> str:
    out = StringIO()
    call_command("list_tools", stdout=out)
    return out.getvalue()


def test_a_listed_tool_may_do_nothing_early_until_an_approver_has_said_that_it_reads(
    file: Path, tmp_path: Path
) -> None:
    with running(tmp_path) as url:
        tell(file, stock=url)
        assert "stock: 5 tools: find_part, look_at_shelf, take_part, think, show" in told()
        record = ToolRecord.objects.get(server="stock", name="find_part")
        assert (record.effect, record.open_world) == ("unknown", True) and needs_declaration(record)
        assert KEY not in repr(ToolRecord.objects.values()) and len(record.credentials_hash) == 64
        policy.declare_reads_only(
            record,
            who="approver",
            why="It looks up.",
            expected_definition_hash=record.definition_hash,
            expected_policy_version=record.policy_version,
        )
        record.refresh_from_db()
        assert effect_of_tool(record, catalog.find("stock", "find_part", record.definition)) == "none"
        agent = AgentProfile.objects.create(name="a", model_kind="remote")
        agent.tools.add(record)
        assert Toolbox.of(agent)["find_part"].spec_of({"name": "part-1"}).scope == "mcp stock"


def test_a_server_that_words_a_tool_otherwise_drops_what_was_decided(file: Path, tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, port) as url:
        tell(file, stock=url)
        told()
    record = ToolRecord.objects.get(server="stock", name="take_part")
    policy.decide(
        record,
        "never",
        who="approver",
        why="It takes.",
        expected_definition_hash=record.definition_hash,
        expected_policy_version=record.policy_version,
    )
    decided = newest_approval(record, None)
    assert decided is not None and decided.definition_hash == record.definition_hash
    with running(tmp_path, port, "changed"):
        assert "changed, so what was decided needs review: take_part" in told()
        assert "changed" not in told()
    record.refresh_from_db()
    assert decided.definition_hash != record.definition_hash
    assert AuditEntry.objects.filter(what="definition changed: stock/take_part").count() == 1


def test_a_server_that_is_away_keeps_its_tools_and_the_others_are_asked(file: Path, tmp_path: Path) -> None:
    ToolRecord.objects.create(server="stock", name="old_tool", definition={"kind": "mcp"})
    with running(tmp_path) as url:
        tell(file, stock=url)
        assert "no longer listed: old_tool" in told()
        tell(file, gone=f"http://127.0.0.1:{free_port()}/mcp", stock=url)
        with pytest.raises(CommandError, match="Not every server"):
            told()
        gone, stock = list_tools(file)
        assert "did not answer" in gone.problem and not gone.tools and len(stock.tools) == 5
        away, there = ToolServer.objects.all()
        assert away.problem == gone.problem and away.failing_since and away.answered_at is None
        assert (there.problem, there.failing_since, there.tools, there.gone) == ("", None, 5, ["old_tool"])
        tasks.list_tools()
    assert ToolRecord.objects.filter(server="stock").count() == 6


def test_without_a_file_or_with_a_bad_one_the_command_ends_with_one_line(file: Path, settings: Any) -> None:
    file.write_text("{")
    with pytest.raises(CommandError) as bad:
        told()
    assert bad.value.returncode == 2 and "no JSON" in str(bad.value)
    tasks.list_tools()  # says so in the log, and waits for a better one
    settings.PASTE_MCP_SERVERS = None
    with pytest.raises(CommandError) as none:
        told()
    assert none.value.returncode == 2 and "PASTE_MCP_SERVERS" in str(none.value)
    tasks.list_tools()


def test_how_long_a_server_cannot_be_asked_counts_from_the_first_time_and_ends_with_an_answer(file: Path) -> None:
    def state() -> ToolServer:
        return ToolServer.objects.get(name="stock")

    keep(Listed("stock", ["a", "b"]), is_command=True)
    answered = state()
    assert answered.is_command and answered.answered_at and failing_servers(timezone.now()) == []
    keep(Listed("stock", problem="It is away."), is_command=True)
    first = state()
    assert (first.problem, first.tools, first.answered_at) == ("It is away.", 2, answered.answered_at)
    keep(Listed("stock", problem="x" * 600), is_command=True)
    assert state().failing_since == first.failing_since and state().asked_at > first.asked_at and len(state().problem) == 500
    assert failing_servers(timezone.now()) == [], "it may just be starting"
    assert failing_servers(timezone.now() + timedelta(seconds=121)) == [first]
    keep(Listed("stock", ["a"], gone=["b"]), is_command=True)
    assert (state().failing_since, state().problem, state().gone) == (None, "", ["b"])


def test_a_server_that_the_file_tells_no_more_is_forgotten_and_its_tools_are_not(file: Path) -> None:
    keep(Listed("stock", ["a"]), is_command=False)
    ToolRecord.objects.create(server="stock", name="a", definition={"kind": "mcp"})
    tell(file)
    list_tools(file)
    assert not ToolServer.objects.exists() and ToolRecord.objects.filter(server="stock").count() == 1


def test_no_server_fails_without_a_reason() -> None:
    keep(Listed("stock", ["a"]), is_command=False)
    with pytest.raises(IntegrityError):
        ToolServer.objects.update(problem="It is away.")


def test_a_file_that_cannot_be_used_says_why(file: Path, settings: Any) -> None:
    tell(file)
    assert problem_of_file() == ""
    file.write_text("{")
    assert "no JSON" in problem_of_file()
    settings.PASTE_MCP_SERVERS = None
    assert problem_of_file() == ""
