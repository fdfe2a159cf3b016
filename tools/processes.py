"""Child processes that never outlive their call: own process group, limits, bounded output, killed as a group.

The child gets no shell, no standard input and none of this process's environment, which may hold secrets. Where
util-linux is installed, `prlimit` bounds it and `setpriv` makes the kernel kill it should its worker die. It is a
leash, not a sandbox: a program may still read what this user may read, and one that starts a session of its own
leaves the group. Run workers as a user that may not do harm.
"""

import os
import resource
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tools.base import InvalidArguments, ToolContext, ToolError, ToolStopped, ToolTimeout
from tools.jail import existing_root
from tools.waiting import POLL_SECONDS

SEARCH_PATH = os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"])
"""This Python's own programs first, so that an agent's tests run with what is installed here."""

_LIMITS = (("core", resource.RLIMIT_CORE, 0), ("fsize", resource.RLIMIT_FSIZE, 256 * 1024**2),
           ("data", resource.RLIMIT_DATA, 2 * 1024**3))  # fmt: skip
"""Bytes: no core dumps, no huge file, no more memory than a test run needs."""


@dataclass(frozen=True)
class Finished:
    """How a child ended. `output` is stdout and stderr as they came; `left_out` bytes are missing from its middle."""

    exit_code: int
    output: bytes
    left_out: int


def run_child(words: Sequence[str], context: ToolContext, *, timeout_seconds: float, max_output_bytes: int) -> Finished:
    """Run the program `words[0]` in `context.root`. Its whole group is gone when this returns or raises.

    Raises InvalidArguments, ToolError (no such program), ToolTimeout, ToolStopped.
    """
    if any("\0" in word for word in words):
        raise InvalidArguments("An argument of a program may not contain a NUL character.")
    if os.sep in words[0] or shutil.which(words[0], path=SEARCH_PATH) is None:
        raise ToolError(f"There is no program {words[0]!r}; give the bare name of an installed one.")
    root = existing_root(context.root)
    child = subprocess.Popen(
        [*_leash(timeout_seconds), *words],
        cwd=root,
        env=_environment(root),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    output = _Output(max_output_bytes)
    try:
        _watch(child, output, context, timeout_seconds)
    finally:
        _kill_group(child)
    return Finished(child.returncode, output.joined(), output.left_out)


def _leash(timeout_seconds: float) -> list[str]:
    words: list[str] = []
    if prlimit := shutil.which("prlimit", path=SEARCH_PATH):
        limits = (*_LIMITS, ("cpu", resource.RLIMIT_CPU, int(timeout_seconds) + 1))
        words += [prlimit, *(f"--{name}={_at_most_ours(kind, most)}" for name, kind, most in limits), "--"]
    if setpriv := shutil.which("setpriv", path=SEARCH_PATH):
        words += [setpriv, "--pdeathsig", "KILL", "--"]
    return words


def _at_most_ours(kind: int, most: int) -> int:
    """Raising a limit above our own would be refused, and the command with it."""
    own = resource.getrlimit(kind)[1]
    return most if own == resource.RLIM_INFINITY else min(most, own)


def _environment(root: Path) -> dict[str, str]:
    return {
        "PATH": SEARCH_PATH,
        "HOME": str(root),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",  # the same command must print the same in two copies of a world
    }


def _watch(child: subprocess.Popen[bytes], output: "_Output", context: ToolContext, timeout_seconds: float) -> None:
    """Drain the output until the child itself has ended; what it left behind in its group is not waited for."""
    assert child.stdout is not None
    descriptor = child.stdout.fileno()
    os.set_blocking(descriptor, False)
    deadline = time.monotonic() + timeout_seconds
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        is_open = True
        while True:
            has_ended = _has_ended(child.pid)
            if is_open:
                selector.select(0 if has_ended else POLL_SECONDS)
                is_open = output.drain(descriptor)
            if has_ended:
                return
            if not is_open:
                selector.close()
                time.sleep(POLL_SECONDS / 10)
            if context.should_stop():
                raise ToolStopped
            if time.monotonic() > deadline:
                raise ToolTimeout(f"Stopped after {timeout_seconds:g} s. Output so far:\n{output.text()}")


def _has_ended(pid: int) -> bool:
    """Looks without reaping: until it is reaped, its process group's number cannot belong to anyone else."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdout is not None:
        child.stdout.close()


class _Output:
    """Keeps the first and the last half of what fits: errors tend to stand at the end."""

    def __init__(self, max_bytes: int) -> None:
        self.half = max_bytes // 2
        self.head = bytearray()
        self.tail = bytearray()
        self.left_out = 0

    def drain(self, descriptor: int) -> bool:
        """Read all there is now; False once the other end is closed."""
        for _ in range(64):  # then look at the clock again: a child may write faster than we read
            try:
                piece = os.read(descriptor, 65536)
            except BlockingIOError:
                return True
            if not piece:
                return False
            self._keep(piece)
        return True

    def _keep(self, piece: bytes) -> None:
        room = self.half - len(self.head)
        self.head += piece[:room]
        self.tail += piece[room:]
        if (surplus := len(self.tail) - self.half) > 0:
            self.left_out += surplus
            del self.tail[:surplus]

    def joined(self) -> bytes:
        cut = f"\n[cut: {self.left_out} bytes left out here]\n".encode() if self.left_out else b""
        return bytes(self.head) + cut + bytes(self.tail)

    def text(self) -> str:
        return self.joined().decode("utf-8", "replace")
