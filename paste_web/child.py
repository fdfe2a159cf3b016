"""Start a server program as our child: it dies with us, and PostgreSQL never sees that we are root.

PostgreSQL refuses to run as root. An ordinary user runs it directly. Root runs it in a new user namespace, where the
server sees user 65534 while its files stay root's, so that a private parent folder does not matter. Where namespaces
are off, it becomes the user `nobody`, and its data has to live outside private folders.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
NOBODY = 65534

# Loaded here, since nothing may be imported or loaded between fork and exec.
_libc = ctypes.CDLL(None, use_errno=True)


def _check(return_code: int) -> None:
    if return_code != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _keep_identity() -> None:
    pass


def _enter_user_namespace() -> None:
    _check(_libc.unshare(CLONE_NEWUSER))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} 0 1")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} 0 1")


def _become_nobody() -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


@dataclass(frozen=True)
class Identity:
    """Who a child is. `files_owner` is None where the child can use our private folders."""

    name: str
    assume: Callable[[], None]
    files_owner: int | None = None


AS_WE_ARE = Identity("as we are", _keep_identity)
IN_NAMESPACE = Identity("in a user namespace", _enter_user_namespace)
AS_NOBODY = Identity("as the user nobody", _become_nobody, files_owner=NOBODY)


def identities_without_root() -> list[Identity]:
    """What may run a program that refuses root, best first."""
    return [IN_NAMESPACE, AS_NOBODY] if os.geteuid() == 0 else [AS_WE_ARE]


def can_run(program: Path, identity: Identity) -> bool:
    """True if `program --version` works as `identity`."""
    try:
        run_to_end([str(program), "--version"], identity)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def run_to_end(arguments: Sequence[str], identity: Identity = AS_WE_ARE, timeout_seconds: float = 60) -> str:
    """What the program printed. Raises CalledProcessError (with its output), TimeoutExpired or OSError."""
    done = subprocess.run(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
        cwd="/",
        timeout=timeout_seconds,
        preexec_fn=identity.assume,
    )
    return done.stdout


def start(
    arguments: Sequence[str],
    output: IO[bytes] | int,
    death_signal: signal.Signals,
    identity: Identity = AS_WE_ARE,
    config: str = "",
    folder: str = "/",
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """A child in its own session (Ctrl-C in our terminal is ours alone) that the kernel signals when we die.

    `config` is written to its standard input. `environment` is ours where it is None. The kernel watches the calling
    thread: start children from the main one.
    """
    parent = os.getpid()

    def prepare() -> None:
        identity.assume()
        if sys.platform == "linux":  # elsewhere the next start stops what is left over
            _check(_libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0))
            if identity is not IN_NAMESPACE and os.getppid() != parent:
                os._exit(1)

    process = subprocess.Popen(
        arguments,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=environment,
        start_new_session=True,
        preexec_fn=prepare,
    )
    # A program that ended at once is the business of whoever waits for it to be ready.
    with contextlib.suppress(BrokenPipeError), process.stdin or contextlib.nullcontext() as standard_input:
        if standard_input:
            standard_input.write(config.encode())
    return process


def stop(process: subprocess.Popen[bytes], *politely: signal.Signals, patience_seconds: float = 20) -> None:
    """Ask with each signal in turn, wait after each, and kill the group of what does not listen."""
    for how in politely:
        if process.poll() is None:
            process.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience_seconds)
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
