import signal
import sys
import time
from pathlib import Path

import pytest

from paste_web.processes import ProcessEnded, Processes, Program


def script(name: str, source: str, **options: object) -> Program:
    return Program(name, [sys.executable, "-c", source], **options)  # type: ignore[arg-type]


def wait_for(path: Path, text: str) -> None:
    deadline = time.monotonic() + 20
    while not path.exists() or text not in path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_a_process_says_is_logged_and_its_errors_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Processes(tmp_path, tmp_path) as processes:
        processes.start(script("one", "print('2026 INFO fine'); print('2026 ERROR broken'); import time; time.sleep(60)"))
        wait_for(tmp_path / "one.log", "broken")
    assert (tmp_path / "one.log").read_text() == "2026 INFO fine\n2026 ERROR broken\n"
    assert capsys.readouterr().err == "one: 2026 ERROR broken\n"


def test_a_process_that_ends_is_reported_and_not_restarted(tmp_path: Path) -> None:
    with Processes(tmp_path, tmp_path) as processes:
        processes.start(script("one", "raise SystemExit(7)"))
        with pytest.raises(ProcessEnded, match=r"one ended with code 7.*one\.log"):
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                processes.check()
                time.sleep(0.02)


def test_the_last_started_is_stopped_first(tmp_path: Path) -> None:
    source = (
        "import signal, sys, time\n"
        "def stop(*_):\n"
        "    open('order', 'a').write(sys.argv[1]); sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop); print('up', flush=True); time.sleep(60)"
    )
    with Processes(tmp_path, tmp_path) as processes:
        for name in "abc":
            processes.start(Program(name, [sys.executable, "-c", source, name]))
            wait_for(tmp_path / f"{name}.log", "up")
    assert (tmp_path / "order").read_text() == "cba"


def test_a_deaf_process_is_killed_after_its_patience(tmp_path: Path) -> None:
    source = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    with Processes(tmp_path, tmp_path) as processes:
        processes.start(script("deaf", source, patience_seconds=0.2))
        wait_for(tmp_path / "deaf.log", "up")
        before = time.monotonic()
    assert time.monotonic() - before < 5


def test_a_second_interrupt_does_not_cut_the_stopping_short(tmp_path: Path) -> None:
    source = (
        "import os, signal, sys, time\n"
        "def stop(*_):\n"
        "    os.kill(os.getppid(), signal.SIGINT); time.sleep(0.3); open('stopped', 'w').close(); sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop); print('up', flush=True); time.sleep(60)"
    )
    with Processes(tmp_path, tmp_path) as processes:
        processes.start(script("slow", source))
        wait_for(tmp_path / "slow.log", "up")
    assert (tmp_path / "stopped").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
