"""Wrong command lines of the commands that start or hand out something: one line, exit code 2, nothing begun."""

import socket
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command, get_commands, load_command_class
from django.core.management.base import CommandError

from speculation.models import ApiKey


@pytest.mark.parametrize(
    ("command", "options", "says"),
    [
        ("up", {"port": 99_999}, "0 to 65535"),
        ("demo", {"port": -1}, "0 to 65535"),
        ("demo", {"pairs": 0}, "a whole number from 1"),
        ("mcp_commands", {"port": 99_999}, "0 to 65535"),
        ("mcp_commands", {"port": 8001}, "Set PASTE_MCP_SERVERS"),
    ],
)
def test_a_server_that_cannot_be_is_refused_before_anything_starts(
    command: str, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(CommandError, match=says) as refused:
        call_command(command, **options)
    assert refused.value.returncode == 2


def test_an_address_that_commands_cannot_be_served_at_is_told_in_one_line(tmp_path: Path, settings: Any) -> None:
    settings.PASTE_HOME, settings.PASTE_MCP_SERVERS = tmp_path, tmp_path / "servers.json"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=rf"Port {port} on 127.0.0.1 cannot be had \([^()]+\)\. Try another"):
            call_command("mcp_commands", port=port)
    with pytest.raises(CommandError, match=r"on no\.such\.host\.invalid cannot be had"):
        call_command("mcp_commands", host="no.such.host.invalid")


@pytest.mark.django_db
@pytest.mark.parametrize("options", [{"scopes": ["everything"]}, {"days": 0}])
def test_a_key_that_cannot_be_is_refused_and_none_is_made(options: dict[str, Any]) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("create_api_key", "mine", **options)
    assert refused.value.returncode == 2
    assert not ApiKey.objects.exists()


OURS = sorted((name, app) for name, app in get_commands().items() if app in ("paste_web", "speculation"))


@pytest.mark.parametrize(("name", "app"), OURS)
def test_every_command_says_how_it_is_called(name: str, app: str) -> None:
    assert f"{name} [-h]" in load_command_class(app, name).create_parser("manage.py", name).format_help()
