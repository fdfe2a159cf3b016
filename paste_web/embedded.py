"""The embedded PostgreSQL and broker: one owner a home folder, everybody else re-uses what it runs.

The owner holds a file lock for as long as its servers run. The kernel drops it with the process, however that ends,
so a run file without a held lock is a leftover and nothing else.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from paste_web import progress
from paste_web.postgres_server import ServerError, start_postgres
from paste_web.valkey_server import start_valkey

__all__ = ["Addresses", "ServerError", "running", "servers", "servers_in_environment"]

WAIT_FOR_ANOTHER_START_SECONDS = 120


@dataclass(frozen=True)
class Addresses:
    """Where the servers listen. Both hold what it takes to get in: never print them."""

    database_url: str
    broker_url: str


def _try_lock(path: Path, mode: int) -> int | None:
    """A descriptor that holds the lock, or None if another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _lock_within(path: Path, timeout_seconds: float, on_wait: Callable[[], None] = lambda: None) -> int | None:
    deadline = time.monotonic() + timeout_seconds
    while (descriptor := _try_lock(path, fcntl.LOCK_EX)) is None and time.monotonic() < deadline:
        on_wait()
        time.sleep(0.02)
    return descriptor


def running(home: Path) -> Addresses | None:
    """Addresses of the servers that run under `home` now, or None."""
    lock, run_file = home / "run" / "owner.lock", home / "run" / "servers.json"
    if not lock.exists():
        return None
    descriptor = _try_lock(lock, fcntl.LOCK_SH)
    if descriptor is not None:
        os.close(descriptor)
        return None
    try:
        return Addresses(**json.loads(run_file.read_text()))
    except FileNotFoundError:
        return None


def _write_run_file(path: Path, addresses: Addresses) -> None:
    """All of it or nothing, readable by us alone."""
    unfinished = path.with_suffix(".new")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(addresses), file)
    unfinished.replace(path)


def _start(home: Path, stack: ExitStack, is_throwaway: bool) -> Addresses:
    """Start both; whatever goes wrong, `stack` stops what had started."""
    log_folder = home / "log"
    log_folder.mkdir(exist_ok=True, mode=0o700)
    postgres = start_postgres(home, log_folder / "postgres.log", is_throwaway)
    stack.callback(postgres.stop)
    valkey = start_valkey(log_folder / "valkey.log")
    stack.callback(valkey.stop)
    return Addresses(postgres.url, valkey.url)


@contextmanager
def servers(home: Path, is_throwaway: bool = False) -> Iterator[Addresses]:
    """The servers under `home`: those that run, else new ones that are stopped at the end. Raises ServerError.

    Two starts at once: the second waits for the first, then re-uses its servers.
    """
    home = home.resolve()
    for folder in (home, home / "run"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    run_file = home / "run" / "servers.json"
    with ExitStack() as stack:
        starting = _lock_within(home / "run" / "start.lock", WAIT_FOR_ANOTHER_START_SECONDS)
        if starting is None:
            raise ServerError(f"Another start under {home} has been going on for {WAIT_FOR_ANOTHER_START_SECONDS} s.")
        try:
            # A reader holds the owner's lock for microseconds, a running owner for its life: half a second tells them apart.
            owner = _lock_within(home / "run" / "owner.lock", 0.5)
            if owner is not None:
                stack.callback(os.close, owner)
                run_file.unlink(missing_ok=True)
                addresses = _start(home, stack, is_throwaway)
                _write_run_file(run_file, addresses)
                stack.callback(run_file.unlink, missing_ok=True)
            else:
                addresses = Addresses(**json.loads(run_file.read_text()))
        finally:
            os.close(starting)
        yield addresses


@contextmanager
def servers_in_environment(home: Path) -> Iterator[None]:
    """DATABASE_URL and PASTE_BROKER_URL for this process and its children: those that are set, else embedded servers."""
    wanted = [name for name in ("DATABASE_URL", "PASTE_BROKER_URL") if not os.environ.get(name) and not os.environ.get(f"{name}_FILE")]
    if not wanted:
        yield
        return
    with ExitStack() as stack:
        with progress.step("PostgreSQL and broker", says_done=False):
            addresses = stack.enter_context(servers(home))
        offered = {"DATABASE_URL": addresses.database_url, "PASTE_BROKER_URL": addresses.broker_url}
        os.environ.update({name: offered[name] for name in wanted})
        yield
