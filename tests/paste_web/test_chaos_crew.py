"""Programs that are killed are started again, what they leave behind is ended, and at the end nobody is left."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from paste_web.chaos import crew as crews
from paste_web.chaos.crew import Crew, Member, crew, workers
from paste_web.processes import Program

FORKS = "import os, time\nif os.fork() == 0:\n    time.sleep(60)\ntime.sleep(60)"


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def started(hands: Crew, code: str = FORKS) -> Member:
    hands.add(Program("sleeper", [sys.executable, "-c", code]))
    return hands.victims[0]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().split()[2]


def test_a_killed_program_runs_again_and_nobody_is_left_at_the_end(tmp_path: Path) -> None:
    with crew(tmp_path, tmp_path) as hands:
        member = started(hands)
        wait_for(lambda: len(member.children()) == 1)
        first, child = member.process.pid, member.children()[0]
        member.signal_all(signal.SIGKILL)
        wait_for(lambda: member.is_gone)
        wait_for(lambda: not is_alive(child))
        hands.restart_the_gone()
        assert member.process.pid != first and is_alive(member.process.pid)
        second = member.process.pid
    assert not is_alive(second)


def test_only_a_child_of_the_program_itself_is_killed_as_one(tmp_path: Path) -> None:
    with crew(tmp_path, tmp_path) as hands:
        member = started(hands)
        wait_for(lambda: len(member.children()) == 1)
        child = member.children()[0]
        assert not member.kill_child(os.getpid()) and not member.kill_child(member.process.pid)
        assert member.kill_child(child)
        wait_for(lambda: not is_alive(child))
        assert not member.is_gone


def test_what_a_killed_worker_leaves_behind_may_finish_for_a_while_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crews, "ORPHAN_SECONDS", 0.3)
    with crew(tmp_path, tmp_path) as hands:
        member = started(hands)
        wait_for(lambda: len(member.children()) == 1)
        orphan = member.children()[0]
        member.signal_alone(signal.SIGKILL)
        wait_for(lambda: member.is_gone)
        hands.restart_the_gone()
        assert is_alive(orphan)
        time.sleep(0.4)
        hands.restart_the_gone()
        wait_for(lambda: not is_alive(orphan))


def test_a_hung_program_hangs_with_its_children_and_goes_on(tmp_path: Path) -> None:
    with crew(tmp_path, tmp_path) as hands:
        member = started(hands)
        wait_for(lambda: len(member.children()) == 1)
        both = [member.process.pid, *member.children()]
        member.signal_all(signal.SIGSTOP)
        wait_for(lambda: [state_of(pid) for pid in both] == ["T", "T"])
        member.signal_all(signal.SIGCONT)
        wait_for(lambda: "T" not in [state_of(pid) for pid in both])


def test_what_is_spared_is_no_victim_and_what_hangs_is_gone_at_the_end_too(tmp_path: Path) -> None:
    with crew(tmp_path, tmp_path) as hands:
        hands.add(Program("library", [sys.executable, "-c", "import time; time.sleep(60)"]), is_spared=True)
        assert hands.victims == []
        hands.add(Program("tools-1", [sys.executable, "-c", FORKS]))
        (member,) = hands.victims
        assert member.runs_tools
        os.killpg(member.process.pid, signal.SIGSTOP)
    assert not is_alive(member.process.pid)


def test_workers_of_one_kind_have_names_of_their_own() -> None:
    programs = workers(agents=2, tools=1, sessions_each=8, slots_each=3)
    assert [program.name for program in programs] == ["agents-1", "agents-2", "tools-1"]
    assert [program.arguments[-2:] for program in programs] == [["-n", f"{program.name}@%h"] for program in programs]
