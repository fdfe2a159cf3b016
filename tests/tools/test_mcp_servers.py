"""The file of MCP servers: what it may say, and what is said of one that cannot be used."""

import json
from pathlib import Path
from typing import Any

import pytest

from tools.mcp_servers import BadServers, servers_in


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


@pytest.mark.parametrize(
    ("servers", "told"),
    [
        ("{", "no JSON"),
        ("[]", "mcpServers"),
        ('{"mcpServers": []}', "mcpServers"),
        ({"builtin": {"url": "http://h"}}, "none of ours"),
        ({"recorded.x": {"url": "http://h"}}, "none of ours"),
        ({"a b": {"url": "http://h"}}, "name is letters"),
        ({"x": {"command": "npx", "args": []}}, "not supported"),
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
