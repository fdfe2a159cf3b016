"""The file of MCP servers: what it may say, and what is said of one that cannot be used."""

import json
from pathlib import Path
from typing import Any

import pytest

from tools.mcp_servers import BadServers, CommandHost, McpCommand, McpServer, servers_in


def written(folder: Path, servers: Any) -> Path:
    path = folder / "servers.json"
    path.write_text(servers if isinstance(servers, str) else json.dumps({"mcpServers": servers}))
    return path


def test_variables_are_taken_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCK_KEY", "s3cret")
    entry = {"type": "http", "url": "${STOCK_URL:-http://h}/mcp", "headers": {"Authorization": "Bearer ${STOCK_KEY}"}}
    (server,) = servers_in(written(tmp_path, {"stock": entry})).values()
    assert (server.name, server.url, server.headers) == ("stock", "http://h/mcp", {"Authorization": "Bearer s3cret"})
    assert len(server.credentials) == 64 and "s3cret" not in repr(server)
    (plain,) = servers_in(written(tmp_path, {"open": {"url": "https://h/mcp"}})).values()
    assert plain.credentials == "", "and a changed file is read again"


def test_a_command_is_started_with_what_its_entry_says_and_shows_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOCK_KEY", "s3cret")
    entry = {"type": "stdio", "command": "uvx", "args": ["stock", "${STOCK_KEY}"], "env": {"TOKEN": "${STOCK_KEY}"}}
    (command,) = servers_in(written(tmp_path, {"stock": entry})).values()
    assert command == McpCommand("stock", "uvx", ("stock", "s3cret"), {"TOKEN": "s3cret"})
    assert len(command.credentials) == 64 and "s3cret" not in repr(command)
    others = [{"command": "uvx"}, {**entry, "env": {}}, {**entry, "args": ["stock"]}, {**entry, "cwd": str(tmp_path)}]
    seen = {command.credentials}
    for number, other in enumerate(others):
        (tmp_path / str(number)).mkdir()
        (different,) = servers_in(written(tmp_path / str(number), {"stock": other})).values()
        seen.add(different.credentials)
    assert len(seen) == 1 + len(others), "what it is started with may be what it is allowed to"


def test_a_command_is_spoken_to_where_its_host_was_told_to_be_else_where_it_says_that_it_is(tmp_path: Path) -> None:
    command, url_file = McpCommand("stock", "uvx"), tmp_path / "url"
    host = CommandHost("k3y", url_file=url_file)
    assert host.server_of(command) is None and "k3y" not in repr(host)
    url_file.write_text("http://127.0.0.1:4000")
    found = McpServer("stock", "http://127.0.0.1:4000/stock", {"Authorization": "Bearer k3y"})
    assert host.server_of(command) == found
    assert CommandHost("k3y", "http://h", url_file).server_of(command) == McpServer("stock", "http://h/stock", found.headers)


@pytest.mark.parametrize(
    ("servers", "told"),
    [
        ("{", "no JSON"),
        ("[]", "mcpServers"),
        ('{"mcpServers": []}', "mcpServers"),
        ({"builtin": {"url": "http://h"}}, "none of ours"),
        ({"recorded.x": {"url": "http://h"}}, "none of ours"),
        ({"a b": {"url": "http://h"}}, "name is letters"),
        ({"x": {}}, 'either a "url" or a "command"'),
        ({"x": {"command": "npx", "url": "http://h"}}, 'either a "url" or a "command"'),
        ({"x": {"command": ["npx"]}}, '"command" is a text'),
        ({"x": {"command": ""}}, "name of a program"),
        ({"x": {"command": "npx", "args": "-y"}}, "list of texts"),
        ({"x": {"command": "npx", "args": [1]}}, "list of texts"),
        ({"x": {"command": "npx", "env": ["A"]}}, '"env" is an object of texts'),
        ({"x": {"command": "npx", "cwd": "/no/such/folder"}}, "folder that exists"),
        ({"x": {"command": "npx", "args": ["${NOT_THERE_AT_ALL}"]}}, "the environment has no NOT_THERE_AT_ALL"),
        ({"x": {"url": 7}}, '"url" is a text'),
        ({"x": {"url": "ftp://h"}}, "begins with http"),
        ({"x": {"url": "http://h", "headers": {"A": 1}}}, "texts"),
        (
            {"x": {"url": "http://h", "headers": {"A": "${NOT_THERE_AT_ALL}"}}},
            "the environment has no NOT_THERE_AT_ALL",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_line(tmp_path: Path, servers: Any, told: str) -> None:
    with pytest.raises(BadServers) as problem:
        servers_in(written(tmp_path, servers))
    assert told in str(problem.value) and "\n" not in str(problem.value) and "servers.json" in str(problem.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadServers, match="cannot be read"):
        servers_in(tmp_path / "absent.json")
