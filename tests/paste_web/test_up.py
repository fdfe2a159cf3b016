import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.mcp_server import command_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
LONGEST_START_SECONDS = 120


class Up:
    """`manage.py up` on a home of its own."""

    def __init__(self, home: Path, **environment: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PASTE_HOME", "DATABASE_URL"))}
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", "0"],
            cwd=ROOT,
            env={**clean, "PASTE_HOME": str(home), "PASTE_TOOL_SLOTS": "1", "PASTE_TOOL_RESERVED": "0", **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        with self.process.stdout:
            self.said = self.process.stdout.readline()
        found = re.search(r"http://\S+/", self.said)
        assert found, self.said
        self.address = found[0]
        self.family = psutil.Process(self.process.pid).children(recursive=True)

    def all_gone(self, timeout_seconds: float = 20) -> list[psutil.Process]:
        _, left = psutil.wait_procs(self.family, timeout=timeout_seconds)
        return left


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return tmp_path_factory.mktemp("up")


def run_second(home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "up", "--port", "0"],
        cwd=ROOT,
        env={**os.environ, "PASTE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=LONGEST_START_SECONDS,
        check=False,
    )


def tools_listed(home: Path, servers: Path) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", "list_tools"],
        cwd=ROOT,
        env={**os.environ, "PASTE_HOME": str(home), "PASTE_MCP_SERVERS": str(servers)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_up_answers_refuses_a_second_one_and_stops_exactly_what_it_started(home: Path) -> None:
    stranger = subprocess.Popen(["sleep", "600"])
    servers = home / "servers.json"
    servers.write_text(json.dumps({"mcpServers": {"stock": command_of(home)}}))
    up = Up(home, PASTE_MCP_SERVERS=str(servers))
    assert httpx.get(f"{up.address}readyz", trust_env=False).status_code == 200
    assert "stock: 9 tools: find_part, " in tools_listed(home, servers), "by hand, of the command that runs beside"
    up.family = psutil.Process(up.process.pid).children(recursive=True)
    names = " ".join(" ".join(process.cmdline()) for process in up.family)
    assert all(part in names for part in ("daphne", "-Q agents", "-Q tools", "-Q guesses", "paste_web.beat", "postgres", "valkey"))
    assert names.count("tests.mcp_server stdio") == 1

    second = run_second(home)
    assert second.returncode == 1 and "already runs" in second.stderr and "Traceback" not in second.stderr
    assert httpx.get(f"{up.address}login/", trust_env=False).status_code == 200

    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0
    assert up.all_gone() == []
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_up_starts_again_and_leaves_nothing_behind_when_it_is_killed(home: Path) -> None:
    up = Up(home)
    assert httpx.get(f"{up.address}login/", trust_env=False).status_code == 200
    up.process.send_signal(signal.SIGKILL)
    up.process.wait()
    assert up.all_gone(30) == []
