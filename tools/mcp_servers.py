"""Which MCP servers there are: a file in the form that most clients read, `{"mcpServers": {NAME: ENTRY}}`.

An entry is an address, `{"url", "headers"}`, or a command that is started and speaks over its standard input and output,
`{"command", "args", "env", "cwd"}`. Texts may name environment variables, `${NAME}` or `${NAME:-instead}`, so that no secret
need stand in the file.
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
        return _hash_of(dict(self.headers)) if self.headers else ""


@dataclass(frozen=True)
class McpCommand:
    """A command that is a server. What it is given may hold secrets, so none of it is shown."""

    name: str
    command: str
    args: tuple[str, ...] = field(default=(), repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    """Beside the few variables that any program needs, such as PATH: nothing else of ours."""
    cwd: str | None = None

    @property
    def credentials(self) -> str:
        """Hex SHA-256 of all that it is started with: another program may do other things under the same names."""
        return _hash_of([self.command, *self.args, dict(self.env), self.cwd])


@dataclass(frozen=True)
class CommandHost:
    """The process that runs the commands (paste_web/mcp_commands.py): each is a server at an address of its, opened by a key.

    `url_file` is where it says its address, for those who were not told.
    """

    key: str = field(repr=False)
    url: str = ""
    url_file: Path | None = None

    def server_of(self, command: McpCommand) -> McpServer | None:
        """Where the command is spoken to; None where nothing says that the process runs."""
        try:
            url = self.url or (self.url_file.read_text().strip() if self.url_file else "")
        except OSError:
            url = ""
        return (
            McpServer(command.name, f"{url}/{command.name}", {"Authorization": f"Bearer {self.key}"}) if url else None
        )


Entry = McpServer | McpCommand


def _hash_of(value: Any) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def servers_in(path: Path) -> Mapping[str, Entry]:
    """The servers of the file by name, read again when it has changed. Raises BadServers."""
    try:
        changed_at = path.stat().st_mtime_ns
    except OSError as problem:
        raise BadServers(f"{path} cannot be read: {problem.strerror}.") from None
    return _read(path, changed_at)


@lru_cache(maxsize=8)
def _read(path: Path, changed_at: int) -> Mapping[str, Entry]:
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


def _server(where: str, name: str, entry: Any) -> Entry:
    if not NAME.fullmatch(name) or name.startswith(OURS):
        raise BadServers(
            f"{where}: a server's name is letters, digits, '.', '_' and '-', and none of ours ({', '.join(OURS)})."
        )
    if not isinstance(entry, dict) or ("url" in entry) == ("command" in entry):
        raise BadServers(f'{where}: needs either a "url" or a "command".')
    return _command(where, name, entry) if "command" in entry else _address(where, name, entry)


def _address(where: str, name: str, entry: Mapping[str, Any]) -> McpServer:
    url = _text(where, entry, "url")
    if not url.startswith(("http://", "https://")):
        raise BadServers(f'{where}: "url" begins with http:// or https://.')
    return McpServer(name, url, _texts_by_name(where, entry, "headers"))


def _command(where: str, name: str, entry: Mapping[str, Any]) -> McpCommand:
    command = _text(where, entry, "command")
    args = entry.get("args", [])
    if not command or not isinstance(args, list) or not all(isinstance(arg, str) for arg in args):
        raise BadServers(f'{where}: "command" is the name of a program, and "args" a list of texts.')
    expanded = tuple(_expanded(where, arg) for arg in args)
    cwd = _text(where, entry, "cwd") if "cwd" in entry else None
    if cwd is not None and not Path(cwd).is_dir():
        raise BadServers(f'{where}: "cwd" is a folder that exists.')
    return McpCommand(name, command, expanded, _texts_by_name(where, entry, "env"), cwd)


def _text(where: str, entry: Mapping[str, Any], key: str) -> str:
    if not isinstance(entry[key], str):
        raise BadServers(f'{where}: "{key}" is a text.')
    return _expanded(where, entry[key])


def _texts_by_name(where: str, entry: Mapping[str, Any], key: str) -> dict[str, str]:
    texts = entry.get(key, {})
    if not isinstance(texts, dict) or not all(isinstance(value, str) for value in texts.values()):
        raise BadServers(f'{where}: "{key}" is an object of texts.')
    return {name: _expanded(where, value) for name, value in texts.items()}


def _expanded(where: str, text: str) -> str:
    def value_of(found: re.Match[str]) -> str:
        instead = found["instead"]
        value = os.environ.get(found["name"], None if instead is None else instead[2:])
        if value is None:
            raise BadServers(f"{where}: the environment has no {found['name']}.")
        return value

    return _VARIABLE.sub(value_of, text)
