"""Our own processes, side by side: start them, keep their logs, notice when one ends, stop them in reverse order."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from paste_web import child
from paste_web.progress import say

ROTATE_LOG_BYTES = 10_000_000
WORTH_SHOWING = re.compile(r"\b(ERROR|CRITICAL)\b|^Traceback|^\w*(Error|Exception):")


class ProcessEnded(Exception):
    """A process ended that should not have; nothing is restarted silently."""


@dataclass(frozen=True)
class Program:
    """What to run, under which name its log and its errors appear, and how to ask it to stop."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signals: Sequence[signal.Signals] = (signal.SIGTERM,)
    patience_seconds: float = 5.0


class Processes:
    """A context: whatever was started in it is stopped at its end, and nothing else. Start from the main thread."""

    def __init__(self, folder: Path, log_folder: Path) -> None:
        self._folder = folder
        self._log_folder = log_folder
        self._started: list[tuple[Program, subprocess.Popen[bytes], threading.Thread]] = []

    def __enter__(self) -> "Processes":
        self._log_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop_all()

    def start(self, program: Program) -> None:
        process = child.start(
            program.arguments,
            subprocess.PIPE,
            program.stop_signals[-1],
            folder=str(self._folder),
            environment={**os.environ, "PYTHONUNBUFFERED": "1", **program.environment},
        )
        log = self.log_path(program.name)
        if log.exists() and log.stat().st_size > ROTATE_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        reader = threading.Thread(target=_keep_log, args=(program.name, process, log), daemon=True)
        reader.start()
        self._started.append((program, process, reader))

    def log_path(self, name: str) -> Path:
        return self._log_folder / f"{name}.log"

    def check(self) -> None:
        """Raises ProcessEnded if one of them is gone."""
        for program, process, reader in self._started:
            if process.poll() is not None:
                reader.join(2)
                raise ProcessEnded(f"{program.name} ended with code {process.returncode}; see {self.log_path(program.name)}")

    def stop_all(self) -> None:
        """Last started, first stopped. A second Ctrl-C or kill meanwhile changes nothing."""
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            while self._started:
                program, process, reader = self._started.pop()
                child.stop(process, *program.stop_signals, patience_seconds=program.patience_seconds)
                reader.join(2)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _keep_log(name: str, process: subprocess.Popen[bytes], path: Path) -> None:
    """Copy what the process says to its log; what is an error also goes to our standard error."""
    assert process.stdout is not None
    with process.stdout, path.open("ab", buffering=0) as log:
        for line in process.stdout:
            log.write(line)
            text = line.decode(errors="replace").rstrip()
            if WORTH_SHOWING.search(text):
                say(f"{name}: {text}")


def daphne(host: str, port: int) -> Program:
    """The web server: pages, API and websockets."""
    arguments = [sys.executable, "-m", "daphne", "-b", host, "-p", str(port), "paste_web.asgi:application"]
    return Program("web", arguments)


def _worker(name: str, queues: str, pool: str, concurrency: int, *more: str) -> Program:
    options = ["-Q", queues, "-n", f"{name}@%h", "-P", pool, "-c", str(concurrency), "-l", "WARNING", *more]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    arguments = [sys.executable, "-m", "celery", "-A", "paste_web.celery", "worker", *options, *quiet]
    # Warm, then cold, which only processes can be; threads are killed with theirs. What is cut off is recovered from its
    # lease at the next start.
    politely = (signal.SIGTERM, signal.SIGQUIT) if pool == "prefork" else (signal.SIGTERM,)
    return Program(name, arguments, stop_signals=politely, patience_seconds=3.0)


def agents_worker(concurrency: int = 32) -> Program:
    """Runs sessions, which mostly wait: threads."""
    return _worker("agents", "agents", "threads", concurrency, "-I", "speculation.tasks")


def tools_worker(slots: int, queues: str = "tools") -> Program:
    """Runs the tools that agents have asked for: one process a slot. `queues`: "tools,guesses" for one that runs both."""
    return _worker("tools", queues, "prefork", slots)


def guesses_worker(slots: int) -> Program:
    """Runs guesses, in processes that no call waits for."""
    return _worker("guesses", "guesses", "prefork", slots)


def mcp_commands() -> Program:
    """Runs the MCP servers that are commands. Each of these is given some seconds to end."""
    return Program("mcp-commands", [sys.executable, "manage.py", "mcp_commands"], patience_seconds=10.0)


def beat() -> Program:
    """Says what is due each day. It keeps in PASTE_HOME when it last did; a second one would only say it twice."""
    options = ["-l", "WARNING", "--pidfile="]
    return Program("beat", [sys.executable, "-m", "celery", "-q", "-A", "paste_web.beat", "beat", *options])
