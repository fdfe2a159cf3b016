"""MCP servers that are commands: run by a process beside the workers, for all of them. Real commands, real processes."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from django.conf import settings

from paste_web.mcp_commands import CommandLine
from tests.mcp_commands import Host, wait_until
from tests.mcp_server import PROJECT, asked, command_of
from tools.base import NotAuthorized, Unreachable
from tools.mcp_client import tools_of
from tools.mcp_servers import CommandHost, McpCommand, servers_in

pytestmark = pytest.mark.slow

MUTE = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
CALL_IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from tools.base import ToolContext
from tools.mcp_client import tools_of
from tools.mcp_servers import CommandHost, servers_in
file, url, key, tool, value = sys.argv[1:]
host = CommandHost(key, url)
found = {each.name: each for each in tools_of(servers_in(Path(file))["stock"], host)}
print(found[tool].run({"text": value}, ToolContext(Path("."), servers_file=Path(file), commands=host)).content)
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path).start()
    yield host
    host.stop()


def test_a_command_is_listed_and_called_as_any_other_server(host: Host) -> None:
    tools = host.tools()
    find_part = tools["find_part"]
    assert (find_part.description, find_part.definition["annotations"]) == ("Where a part is.", {"readOnlyHint": True})
    assert len(find_part.credentials) == 64
    found = host.call(find_part, name="part-1")
    assert found.ok and found.structured == {"name": "part-1", "shelf": "shelf-7"}
    absent = host.call(find_part, name="no-such-part")
    assert not absent.ok and absent.failure == "", "an error of the tool's, not of the server"
    assert host.call(tools["find_part"], name="part-2").ok, "and it goes on"


def test_all_processes_share_what_the_command_remembers(host: Host) -> None:
    assert host.call(host.tools()["note"], text="first").structured == {"result": ["first"]}
    told = [sys.executable, "-c", CALL_IN_ANOTHER_PROCESS, str(host.file), host.url_file.read_text(), host.key]
    done = subprocess.run([*told, "note", "second"], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "first" in done.stdout and "second" in done.stdout
    assert host.call(host.tools()["note"], text="third").structured == {"result": ["first", "second", "third"]}


def test_a_command_that_ends_is_told_to_have_and_started_again_by_the_next_call_and_nothing_runs_twice(
    host: Host,
) -> None:
    tools = host.tools()
    host.call(tools["note"], text="forgotten")
    ended = host.call(tools["end"])
    assert not ended.ok and ended.failure == "unreachable"
    assert "its command ended" in ended.content and "Whether the call was carried out is unknown" in ended.content
    assert host.call(tools["note"], text="new").structured == {"result": ["new"]}
    assert asked(host.folder) == ["end"]


def test_a_command_that_answers_with_an_error_goes_on_and_forgets_nothing(host: Host) -> None:
    tools = host.tools()
    host.call(tools["note"], text="kept")
    refused = host.call(tools["refuse"])
    assert not refused.ok and "no room" in refused.content
    assert host.call(tools["note"], text="more").structured == {"result": ["kept", "more"]}


def test_a_command_is_given_what_its_entry_says_and_nothing_else_of_ours(host: Host) -> None:
    host.tell(stock={**command_of(host.folder), "env": {"STOCK_TOKEN": "t0ken"}})
    see = host.tools()["see_variable"]
    assert host.call(see, name="STOCK_TOKEN").content == "t0ken"
    for ours in ("PASTE_SECRET_KEY", "DATABASE_URL", "PASTE_MCP_SERVERS"):
        assert host.call(see, name=ours).content == "none"
    assert "t0ken" not in host.log() + repr(servers_in(host.file)) and settings.SECRET_KEY not in host.log()


def test_another_entry_under_the_same_name_ends_the_old_command_and_needs_other_decisions(host: Host) -> None:
    before = host.tools()["take_part"]
    host.call(host.tools()["note"], text="old")
    host.tell(stock=command_of(host.folder, "changed"))
    after = host.tools()["take_part"]
    assert before.definition_hash != after.definition_hash and before.credentials != after.credentials
    assert host.call(host.tools()["note"], text="new").structured == {"result": ["new"]}
    wait_until(lambda: len(psutil.Process(host.process.pid).children()) == 1)
    host.tell(other=command_of(host.folder))
    host.tools("other")
    gone = host.call(after, name="a")
    wait_until(lambda: len(psutil.Process(host.process.pid).children()) == 1)
    assert gone.failure == "unreachable" and "no MCP server stock any more" in gone.content


def test_a_command_that_cannot_be_started_says_so_to_the_operator_and_tells_agents_no_more_than_that(
    host: Host,
) -> None:
    ends = {"command": sys.executable, "args": ["-c", "import sys; sys.exit('no room')"]}
    host.tell(
        stock=command_of(host.folder), away={"command": "no-such-program-at-all", "args": ["s3cret"]}, ends=ends
    )
    with pytest.raises(Unreachable) as problem:
        host.tools("away")
    assert "its command could not be started" in str(problem.value)
    assert "away could not be started: FileNotFoundError" in host.log()
    assert "s3cret" not in host.log() + str(problem.value)
    with pytest.raises(Unreachable):
        host.tools("ends")
    said, told = host.log().index("no room"), host.log().index("ends could not be started: it ended at once")
    assert said < told
    assert "find_part" in host.tools(), "and the others are there"


def test_who_lacks_the_key_learns_nothing(host: Host) -> None:
    url = host.url_file.read_text()
    for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Bearer wrong"}):
        for name in ("stock", "absent"):
            refused = httpx.post(f"{url}/{name}", headers=headers, json={}, trust_env=False)
            assert (refused.status_code, refused.text) == (401, "")
    ours = {"Authorization": f"Bearer {host.key}"}
    assert httpx.post(f"{url}/absent", headers=ours, json={}, trust_env=False).status_code == 404
    with pytest.raises(NotAuthorized):
        tools_of(servers_in(host.file)["stock"], CommandHost("wrong", url))


def test_a_second_one_is_refused_and_when_it_is_stopped_its_commands_are_too(host: Host) -> None:
    tools = host.tools()
    children = psutil.Process(host.process.pid).children(recursive=True)
    assert children
    again = subprocess.run(
        [sys.executable, "manage.py", "mcp_commands"],
        cwd=PROJECT,
        env={**os.environ, "PASTE_HOME": str(host.folder / "home"), "PASTE_MCP_SERVERS": str(host.file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 1 and "already run" in again.stderr and "Traceback" not in again.stderr
    host.stop()
    assert psutil.wait_procs(children, timeout=1)[1] == [] and not host.url_file.exists()
    assert "Traceback" not in host.log()
    away = host.call(tools["find_part"], name="part-1")
    assert away.failure == "unreachable" and "nothing runs those now" in away.content
    host.start()
    assert host.call(tools["find_part"], name="part-1").ok, "where it is now is looked up"


def test_one_that_is_killed_leaves_no_command_behind(host: Host) -> None:
    host.tools()
    children = psutil.Process(host.process.pid).children(recursive=True)
    host.process.kill()
    assert psutil.wait_procs(children, timeout=10)[1] == []
    host.process.wait()
    host.start()
    assert "find_part" in host.tools()


def test_one_that_ended_while_nobody_asked_is_found_so_by_the_next_list(host: Host) -> None:
    host.tools()
    (child,) = psutil.Process(host.process.pid).children()
    child.kill()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    assert "find_part" in host.tools()
    assert host.call(host.tools()["find_part"], name="part-1").ok


def test_one_that_never_answers_is_given_up_and_ended_and_whoever_left_before_stopped_nothing(tmp_path: Path) -> None:
    async def ask() -> tuple[list[str], float]:
        pid_file = tmp_path / "pid"
        command = McpCommand("mute", sys.executable, ("-c", MUTE, str(pid_file)))
        line = CommandLine(command)
        line.OPENS_WITHIN_SECONDS = 3.0
        said = []
        began_at = time.monotonic()
        try:
            await asyncio.wait_for(line.open(), 0.2)
        except TimeoutError:
            said.append("left")
        while not pid_file.exists():
            await asyncio.sleep(0.02)
        try:
            await line.open()
        except TimeoutError:
            said.append("given up")
        took = time.monotonic() - began_at
        await line.closed()
        said.append("running" if psutil.pid_exists(int(pid_file.read_text())) else "ended")
        return said, took

    said, took = asyncio.run(ask())
    assert said == ["left", "given up", "ended"] and took >= 3.0
