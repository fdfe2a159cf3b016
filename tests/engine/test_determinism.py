"""What is predicted hangs on what was seen alone: not on the order in which a process happens to walk through a set."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TELL = """
from speculation.engine.prediction import Predictor
from tests.engine.sessions import TOOLS, coding, mine, research, support

learned = [
    make(name, [f"{name}{n}.py" for n in range(4)]) for make in (research, support, coding) for name in ("owls", "bats", "cats")
]
patterns = mine(*learned)
print(*patterns, sep="\\n")
session = Predictor(patterns, TOOLS).session()
for event in [*research("newts", ["e", "f"]), *coding("newts", ["a.py", "b.py"])]:
    session.observe(event)
    print(*session.predict(9), *session.sharpener(TOOLS).standing(9), sep="\\n")
"""


def _told(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run([sys.executable, "-c", TELL], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_predictions_and_patterns_are_the_same_whatever_the_seed_of_hashes() -> None:
    first = _told("1")
    assert "fetch" in first and "read_file" in first
    assert first == _told("2") == _told("3")
