"""Before a storm every worker has answered once: one that hangs or ends at its start says where, and is started again."""

import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from paste_web.chaos.crew import Crew, crew
from paste_web.chaos.roll_call import NoAnswer, wait_for_all
from paste_web.processes import Program

# Hangs, or ends, the first time; the second time a file says that it was there.
AT_FIRST = "import pathlib, sys, time\nmark = pathlib.Path(sys.argv[1])\n"
HANGS_AT_FIRST = (
    AT_FIRST
    + "first = not mark.exists()\nmark.touch()\ndef hang():\n    time.sleep(60)\nhang() if first else time.sleep(60)"
)
ENDS_AT_FIRST = AT_FIRST + "if not mark.exists():\n    mark.touch()\n    sys.exit('no such table')\ntime.sleep(60)"


def add(hands: Crew, name: str, code: str, *arguments: str) -> None:
    hands.add(Program(name, [sys.executable, "-c", code, *arguments]))


def test_the_slowest_start_is_told_and_nobody_who_answers_is_started_again(tmp_path: Path) -> None:
    rounds: list[Collection[str]] = [(), ("agents-1",), ("tools-1",)]
    with crew(tmp_path, tmp_path) as hands:
        add(hands, "agents-1", "import time; time.sleep(60)")
        add(hands, "tools-1", "import time; time.sleep(60)")
        pids = [member.process.pid for member in hands.victims]
        assert (
            0.5 <= wait_for_all(hands, ask=lambda: rounds.pop(0)) < 30
        )  # two looks of a quarter of a second lie between
        assert [member.process.pid for member in hands.victims] == pids and not rounds


@pytest.mark.parametrize(
    ("code", "why", "words"),
    [(HANGS_AT_FIRST, "said nothing for", "in hang"), (ENDS_AT_FIRST, "ended", "no such table")],
    ids=["one that hangs", "one that ends"],
)
def test_a_silent_worker_says_where_it_stands_and_is_started_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], code: str, why: str, words: str
) -> None:
    mark = tmp_path / "mark"
    with crew(tmp_path, tmp_path) as hands:
        add(hands, "tools-1", code, str(mark))
        first = hands.victims[0].process.pid

        def ask() -> Collection[str]:
            return ["tools-1"] if hands.victims[0].process.pid != first else []

        assert wait_for_all(hands, ask, patience_seconds=3.0) < 30
    told = capsys.readouterr().err
    assert f"tools-1 {why}" in told and words in told


def test_who_never_answers_is_named(tmp_path: Path) -> None:
    with crew(tmp_path, tmp_path) as hands:
        add(hands, "agents-1", "import time; time.sleep(60)")
        add(hands, "tools-1", "import time; time.sleep(60)")
        with pytest.raises(NoAnswer, match=r"No answer within 0.3 s from tools-1\."):
            wait_for_all(hands, ask=lambda: ["agents-1"], longest_seconds=0.3)
