"""What keeps PASTE from starting is told in one line."""

import os
import subprocess
import sys
from pathlib import Path

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
