"""Workers that are meant to be killed: each in a process group of its own, started again whenever it is gone."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from paste_web import child
from paste_web.processes import Program, agents_worker, tools_worker

ORPHAN_SECONDS = 3.0
UNRESTING = {"PASTE_REST_ABOVE_PERCENT": "100"}


@dataclass
class Member:
    """One program and the process that runs it now."""

    program: Program
    process: subprocess.Popen[bytes]
    started_at: float
    """By the monotonic clock, in seconds."""
    is_spared: bool = False

    @property
    def is_gone(self) -> bool:
        """Looks without reaping: until it is reaped, its group's number cannot belong to anyone else."""
        if self.process.returncode is not None:
            return True
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    @property
    def runs_tools(self) -> bool:
        return self.program.name.startswith("tools")

    def signal_all(self, what: signal.Signals) -> None:
        """To the worker and to what it forked, also after the worker itself has died."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, what)

    def signal_alone(self, what: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(what)

    def children(self) -> list[int]:
        """Process ids of what the worker forked: on Linux only, elsewhere none."""
        try:
            return [
                int(pid)
                for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            ]
        except OSError:
            return []

    def kill_child(self, pid: int) -> bool:
        """False if it is gone already; its number may be anybody's by then."""
        try:
            child_process = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        try:
            if pid not in self.children():
                return False
            signal.pidfd_send_signal(child_process, signal.SIGKILL)
        except ProcessLookupError:
            return False
        finally:
            os.close(child_process)
        return True


def _group(leader: int) -> list[int]:
    """Descriptors of the processes in a group, but for its leader: they stay valid whatever becomes of the numbers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            group = int(path.read_text().rpartition(")")[2].split()[2])
            if group == leader and int(path.parent.name) != leader:
                found.append(os.pidfd_open(int(path.parent.name)))
    return found


class Crew:
    """Start from the main thread: the kernel watches the thread that started a process."""

    def __init__(self, folder: Path, log_folder: Path) -> None:
        self._folder = folder
        self._log_folder = log_folder
        self._members: list[Member] = []
        self._left_behind: list[tuple[float, int]] = []

    @property
    def victims(self) -> list[Member]:
        return [member for member in self._members if not member.is_spared]

    def add(self, *programs: Program, is_spared: bool = False) -> None:
        for program in programs:
            self._members.append(Member(program, self._start(program), time.monotonic(), is_spared))

    def restart_the_gone(self) -> None:
        """What a dead worker left behind may finish for ORPHAN_SECONDS."""
        now = time.monotonic()
        for member in self._members:
            if member.is_gone:
                self._left_behind += [(now + ORPHAN_SECONDS, orphan) for orphan in _group(member.process.pid)]
                member.process.wait()
                member.process, member.started_at = self._start(member.program), now
        self._end_orphans(now)

    def _end_orphans(self, now: float) -> None:
        for orphan in [orphan for due_at, orphan in self._left_behind if due_at <= now]:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(orphan, signal.SIGKILL)
            os.close(orphan)
        self._left_behind = [one for one in self._left_behind if one[0] > now]

    def last_words(self, member: Member, lines: int) -> str:
        """The end of its log, which it goes on with when it is started again."""
        return "\n".join(self._log(member.program).read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        self._end_orphans(float("inf"))
        for member in reversed(self._members):
            member.signal_all(signal.SIGKILL)
            member.process.wait()

    def _start(self, program: Program) -> subprocess.Popen[bytes]:
        with self._log(program).open("ab") as log:
            return child.start(
                program.arguments,
                log,
                signal.SIGKILL,
                folder=str(self._folder),
                environment={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", **program.environment},
            )

    def _log(self, program: Program) -> Path:
        return self._log_folder / f"{program.name}.log"


def workers(agents: int, tools: int, sessions_each: int, slots_each: int) -> Sequence[Program]:
    """So many workers of each kind, under names of their own. Those of tools run calls and guesses alike: fewer start sooner.

    They guess however busy the processors are, which a storm keeps busy: guesses are what is to be shown to do no harm.
    """
    kinds = [("agents", agents, agents_worker(sessions_each)), ("tools", tools, tools_worker(slots_each, "tools,guesses"))]
    return [
        _named(program, f"{kind}-{number}", UNRESTING)
        for kind, count, program in kinds
        for number in range(1, count + 1)
    ]


def _named(program: Program, name: str, environment: Mapping[str, str]) -> Program:
    arguments = [*program.arguments, "-n", f"{name}@%h"]
    return replace(program, name=name, arguments=arguments, environment={**program.environment, **environment})


@contextmanager
def crew(folder: Path, log_folder: Path) -> Iterator[Crew]:
    """A crew that is gone at the end."""
    if sys.platform != "linux":
        raise OSError("chaos needs Linux: it finds and stops processes through /proc")
    log_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    hands = Crew(folder, log_folder)
    try:
        yield hands
    finally:
        hands.stop()
