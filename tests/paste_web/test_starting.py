"""What keeps PASTE from starting is told in one line."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from paste_web import starting
from paste_web.processes import Program

ROOT = Path(__file__).resolve().parents[2]


def test_a_database_that_does_not_answer_is_told_in_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    nobody = {
        "DATABASE_URL": "postgresql://paste:secret-word@127.0.0.1:1/paste",
        "PASTE_BROKER_URL": "redis://127.0.0.1:1/0",
    }
    started = subprocess.run(
        [sys.executable, "manage.py", "up", "--port", "0"],
        cwd=ROOT,
        env={**os.environ, **nobody, "PASTE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = [line for line in started.stderr.splitlines() if "does not answer" in line]
    assert started.returncode == 1
    assert len(said) == 1 and "start again" in said[0]
    assert "Traceback" not in started.stderr
    assert "secret-word" not in started.stderr + started.stdout


@pytest.mark.parametrize(
    ("servers", "elsewhere", "is_run"),
    [
        (None, "", False),
        ({"a": {"url": "http://h"}}, "", False),
        ({"a": {"url": "http://h"}, "b": {"command": "uvx"}}, "", True),
        ({"b": {"command": "uvx"}}, "http://h:1", False),
        ("no such servers", "", True),
    ],
)
def test_what_runs_commands_is_started_where_there_are_some_that_nobody_runs_elsewhere(
    servers: Any, elsewhere: str, is_run: bool, tmp_path: Path, settings: Any
) -> None:
    class Started(list[str]):
        def start(self, program: Program) -> None:
            self.append(program.name)

    settings.PASTE_MCP_SERVERS, settings.PASTE_MCP_COMMANDS_URL = None, elsewhere
    if servers is not None:
        settings.PASTE_MCP_SERVERS = tmp_path / "servers.json"
        settings.PASTE_MCP_SERVERS.write_text(json.dumps({"mcpServers": servers}))
    started = Started()
    starting.start_workers(started)  # type: ignore[arg-type]
    assert ("mcp-commands" in started) == is_run and {"agents", "tools", "guesses"} <= set(started)
