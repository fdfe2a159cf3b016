"""Commands: read as words, judged before they run, and gone with all their children afterwards."""

import dataclasses
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tools.base import Forbidden, SideEffect, ToolContext, ToolResult, ToolStopped, ToolTimeout, without_volatile
from tools.catalog import BUILTIN
from tools.processes import run_child
from tools.running import execute

TOOL = BUILTIN["run_command"]

SPAWNER = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import subprocess,time; p = subprocess.Popen(['sleep', '60']);"
                          "open('pids', 'a').write(f'{p.pid} '); time.sleep(60)"])
open("pids", "a").write(f"{child.pid} ")
print("started", flush=True)
"""


def ask(context: ToolContext, command: str) -> ToolResult:
    return execute(TOOL, {"command": command}, context)


@pytest.mark.parametrize(
    "command",
    [
        "ls -la src",
        "cat a.txt b.txt",
        "grep -rn 'a|b' .",
        "find . -name '*.py'",
        "sort -u a",
        "wc -l a.txt",
        'head -n 3 "a b"',
    ],
)
def test_a_command_that_only_reads_has_no_effect(command: str) -> None:
    assert TOOL.effect_of({"command": command}) == SideEffect.NONE


@pytest.mark.parametrize(
    "command",
    [
        "rm a.txt", "python x.py", "./ls", "/bin/ls", "cat a > b", "cat a; rm b", "cat a && rm b", "cat $(rm b)", "cat `rm b`",
        'cat "$(rm b)"', "ls & rm b", "ls\nrm b", "find . -delete", "find . -exec rm x +", "find . -fprint f", "sort a -o b",
        "sort -uob a", "sort --output=b a", "sort --outp=b a", "sort --compress-program=rm a", "uniq a b", "git status",
        "sed -n p a", "env ls", "xargs rm", "tee a", "", "'open", "LS",
    ],
)  # fmt: skip
def test_whatever_may_write_is_unknown(command: str) -> None:
    assert TOOL.effect_of({"command": command}) == SideEffect.UNKNOWN


def test_the_effect_of_unread_arguments_is_unknown() -> None:
    assert TOOL.effect_of({}) == SideEffect.UNKNOWN
    assert TOOL.effect_of({"command": 3}) == SideEffect.UNKNOWN


def test_a_command_runs_in_the_root_and_says_how_it_ended(context: ToolContext) -> None:
    (context.root / "a.txt").write_text("hello\n")
    assert ask(context, "cat a.txt").structured["output"] == "hello\n"
    failed = ask(context, "cat none.txt")
    assert not failed.ok and failed.structured["exit_code"] == 1 and "No such file" in failed.content
    where = ask(context, "python -c 'import os; print(os.path.abspath(\"a.txt\"), os.getcwd())'")
    assert where.structured["output"] == "a.txt .\n"


@pytest.mark.parametrize(
    "command", ["ls | wc", "echo a > b", "echo $HOME", 'echo "$HOME"', "ls *.py", "a; b", "(ls)", "`ls`"]
)
def test_what_only_a_shell_understands_is_refused_with_advice(context: ToolContext, command: str) -> None:
    result = ask(context, command)
    assert not result.ok and "There is no shell" in result.content
    assert os.listdir(context.root) == []


def test_quoted_characters_reach_the_program(context: ToolContext) -> None:
    assert ask(context, "echo 'a|b' \"c;d\" e\\*f '$g'").structured["output"] == "a|b c;d e*f $g\n"


@pytest.mark.parametrize(
    "command", ["cat ../x", "ls ..", "grep --file=/etc/passwd x", "grep -f/etc/passwd x", "cat /etc/passwd"]
)
def test_words_that_lead_outside_are_refused(context: ToolContext, command: str) -> None:
    assert "outside the working directory" in ask(context, command).content


def test_an_unknown_or_local_program_is_refused(context: ToolContext) -> None:
    (context.root / "mine").write_text("#!/bin/sh\necho ran\n")
    (context.root / "mine").chmod(0o755)
    for command in ("mine", "./mine", "no-such-program"):
        assert "There is no program" in ask(context, command).content


def test_a_child_knows_no_secret_of_ours(context: ToolContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASTE_SECRET_KEY", "hush")
    output = ask(context, "env").structured["output"]
    assert "hush" not in output and "HOME=." in output


def test_a_long_output_keeps_its_beginning_and_its_end(context: ToolContext) -> None:
    result = ask(context, 'python -c \'print("a" * 500000 + "end")\'')
    output = result.structured["output"]
    assert output.startswith("aaa") and output.endswith("aend\n") and len(output) < 41_000
    assert result.structured["left_out_bytes"] == 500_004 - 40_000 and "bytes left out here" in output


def test_timings_are_no_part_of_what_must_be_equal(context: ToolContext) -> None:
    first, second = (ask(context, f"echo 3 passed in {seconds}") for seconds in ("0.02s", "1.7s"))
    assert first.structured["output"] != second.structured["output"]
    assert without_volatile(first.structured, TOOL.volatile) == without_volatile(second.structured, TOOL.volatile)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def _wait_for_pids(root: Path) -> list[int]:
    for _ in range(500):
        pids = (root / "pids").read_text().split() if (root / "pids").exists() else []
        if len(pids) == 2:
            return [int(pid) for pid in pids]
        time.sleep(0.01)
    raise AssertionError("the children did not start")


def _assert_gone(pids: list[int], within_seconds: float) -> None:
    deadline = time.monotonic() + within_seconds
    while any(map(_is_alive, pids)):
        assert time.monotonic() < deadline, "a child outlived its call"
        time.sleep(0.005)


def test_a_timeout_kills_grandchildren(context: ToolContext) -> None:
    with pytest.raises(ToolTimeout, match="started"):
        run_child(["python", "-c", SPAWNER + "time.sleep(60)"], context, timeout_seconds=2, max_output_bytes=1000)
    _assert_gone(_wait_for_pids(context.root), within_seconds=0.2)


def test_a_stop_kills_grandchildren_within_200_ms(context: ToolContext) -> None:
    stop = threading.Event()
    ended_at: list[float] = []

    def run() -> None:
        stoppable = dataclasses.replace(context, should_stop=stop.is_set)
        with pytest.raises(ToolStopped):
            run_child(
                ["python", "-c", SPAWNER + "time.sleep(60)"], stoppable, timeout_seconds=60, max_output_bytes=1000
            )
        ended_at.append(time.monotonic())

    thread = threading.Thread(target=run)
    thread.start()
    pids = _wait_for_pids(context.root)
    stopped_at = time.monotonic()
    stop.set()
    _assert_gone(pids, within_seconds=0.2)
    thread.join()
    assert ended_at[0] - stopped_at < 0.3


def test_an_ended_command_takes_what_it_left_behind_with_it(context: ToolContext) -> None:
    began_at = time.monotonic()
    waiting = SPAWNER + "\nwhile len(open('pids').read().split()) < 2: time.sleep(0.01)"
    finished = run_child(["python", "-c", waiting], context, timeout_seconds=30, max_output_bytes=1000)
    assert finished.exit_code == 0 and finished.output == b"started\n"
    assert time.monotonic() - began_at < 10
    _assert_gone(_wait_for_pids(context.root), within_seconds=0.2)


def test_a_child_that_closes_its_output_is_still_waited_for(context: ToolContext) -> None:
    program = "import os, time; os.close(1); os.close(2); time.sleep(0.3); os._exit(7)"
    assert run_child(["python", "-c", program], context, timeout_seconds=10, max_output_bytes=10).exit_code == 7


def test_a_child_that_writes_without_end_is_stopped_in_time(context: ToolContext) -> None:
    began_at = time.monotonic()
    with pytest.raises(ToolTimeout):
        run_child(["yes"], context, timeout_seconds=0.3, max_output_bytes=1000)
    assert time.monotonic() - began_at < 1


def test_a_command_dies_with_its_worker(context: ToolContext) -> None:
    program = (
        "import pathlib, sys; from tools.base import ToolContext; from tools.processes import run_child;"
        "run_child(['python', '-c', 'import os, time; open(\\'pid\\', \\'w\\').write(str(os.getpid())); time.sleep(60)'],"
        "ToolContext(root=pathlib.Path(sys.argv[1])), timeout_seconds=60, max_output_bytes=10)"
    )
    worker = subprocess.Popen([sys.executable, "-c", program, str(context.root)])
    pid_file = context.root / "pid"
    for _ in range(1000):
        if pid_file.exists() and pid_file.read_text():
            break
        time.sleep(0.01)
    worker.kill()
    worker.wait()
    _assert_gone([int(pid_file.read_text())], within_seconds=0.5)


def test_a_path_with_a_link_out_is_refused_before_anything_runs(context: ToolContext) -> None:
    (context.root / "out").symlink_to("/etc")
    with pytest.raises(Forbidden):
        TOOL.run({"command": "cat out/hostname"}, context)
