"""Which MCP servers there are: a file in the form that most clients read, `{"mcpServers": {NAME: {"url", "headers"}}}`.

Texts may name environment variables, `${NAME}` or `${NAME:-instead}`, so that no secret need stand in the file.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from tools.canonical import canonical_json

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
OURS = ("builtin", "recorded.")
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<instead>:-[^}]*)?\}")


class BadServers(ValueError):
    """The file cannot be used; the message is one line that says where and what to do, and holds no value of it."""


@dataclass(frozen=True)
class McpServer:
    """Where a server is, and what it is signed in with."""

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    @property
    def credentials(self) -> str:
        """Hex SHA-256 of what is signed in with; empty without."""
        return hashlib.sha256(canonical_json(dict(self.headers)).encode()).hexdigest() if self.headers else ""


def servers_in(path: Path) -> Mapping[str, McpServer]:
    """The servers of the file by name, read again when it has changed. Raises BadServers."""
    try:
        changed_at = path.stat().st_mtime_ns
    except OSError as problem:
        raise BadServers(f"{path} cannot be read: {problem.strerror}.") from None
    return _read(path, changed_at)


@lru_cache(maxsize=8)
def _read(path: Path, changed_at: int) -> Mapping[str, McpServer]:
    try:
        document = json.loads(path.read_text())
    except OSError as problem:
        raise BadServers(f"{path} cannot be read: {problem.strerror}.") from None
    except ValueError:
        raise BadServers(f"{path} is no JSON.") from None
    entries = document.get("mcpServers") if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        raise BadServers(f'{path} needs an object "mcpServers", of servers by name.')
    return {name: _server(f"{path}: {name}", name, entry) for name, entry in entries.items()}


def _server(where: str, name: str, entry: Any) -> McpServer:
    if not NAME.fullmatch(name) or name.startswith(OURS):
        raise BadServers(
            f"{where}: a server's name is letters, digits, '.', '_' and '-', and none of ours ({', '.join(OURS)})."
        )
    if not isinstance(entry, dict) or not isinstance(entry.get("url"), str):
        raise BadServers(
            f'{where}: needs a "url". Servers that are started as a command are not supported: start it elsewhere, with HTTP.'
        )
    headers = entry.get("headers", {})
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise BadServers(f'{where}: "headers" is an object of texts.')
    url = _expanded(where, entry["url"])
    if not url.startswith(("http://", "https://")):
        raise BadServers(f'{where}: "url" begins with http:// or https://.')
    return McpServer(name, url, {key: _expanded(where, value) for key, value in headers.items()})


def _expanded(where: str, text: str) -> str:
    def value_of(found: re.Match[str]) -> str:
        instead = found["instead"]
        value = os.environ.get(found["name"], None if instead is None else instead[2:])
        if value is None:
            raise BadServers(f"{where}: the environment has no {found['name']}.")
        return value

    return _VARIABLE.sub(value_of, text)
