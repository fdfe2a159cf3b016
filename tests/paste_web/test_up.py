import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
LONGEST_START_SECONDS = 120


class Up:
    """`manage.py up` on a home of its own."""

    def __init__(self, home: Path) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PASTE_HOME", "DATABASE_URL"))}
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", "0"],
            cwd=ROOT,
            env={**clean, "PASTE_HOME": str(home), "PASTE_TOOL_SLOTS": "1", "PASTE_TOOL_RESERVED": "0"},
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


def test_up_answers_stops_everything_it_started_and_starts_again(home: Path) -> None:
    stranger = subprocess.Popen(["sleep", "600"])
    for _ in range(2):
        up = Up(home)
        assert httpx.get(f"{up.address}login/", trust_env=False).status_code == 200
        assert httpx.get(f"{up.address}readyz", trust_env=False).status_code == 200
        names = " ".join(" ".join(process.cmdline()) for process in up.family)
        assert all(part in names for part in ("daphne", "-Q agents", "-Q tools", "postgres", "valkey"))
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(60) == 0
        assert up.all_gone() == []
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_killed_up_leaves_nothing_behind(home: Path) -> None:
    up = Up(home)
    up.process.send_signal(signal.SIGKILL)
    up.process.wait()
    assert up.all_gone(30) == []


def test_a_second_up_on_the_same_home_is_refused(home: Path) -> None:
    up = Up(home)
    try:
        second = subprocess.run(
            [sys.executable, "manage.py", "up", "--port", "0"],
            cwd=ROOT,
            env={**os.environ, "PASTE_HOME": str(home)},
            capture_output=True,
            text=True,
            timeout=LONGEST_START_SECONDS,
            check=False,
        )
        assert second.returncode == 1 and "already runs" in second.stderr and "Traceback" not in second.stderr
        time.sleep(0.5)
        assert up.process.poll() is None
        assert httpx.get(f"{up.address}login/", trust_env=False).status_code == 200
    finally:
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(60) == 0
        assert up.all_gone() == []
