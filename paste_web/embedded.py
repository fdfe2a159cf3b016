"""The embedded PostgreSQL and broker: one owner a home folder, everybody else re-uses what it runs (embedded_running.py)."""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from paste_web import progress
from paste_web.embedded_running import Addresses, running, try_lock
from paste_web.postgres_server import ServerError, start_postgres
from paste_web.valkey_server import start_valkey

__all__ = ["Addresses", "ServerError", "running", "servers", "servers_in_environment"]

WAIT_FOR_ANOTHER_START_SECONDS = 120


def _lock_within(path: Path, timeout_seconds: float, on_wait: Callable[[], None] = lambda: None) -> int | None:
    deadline = time.monotonic() + timeout_seconds
    while (descriptor := try_lock(path, fcntl.LOCK_EX)) is None and time.monotonic() < deadline:
        on_wait()
        time.sleep(0.02)
    return descriptor


def _become_owner(lock: Path, run_file: Path) -> int | None:
    """The owner's lock, or None where another's servers run. Raises ServerError where they never end to stop."""
    # A reader holds the lock for microseconds, a running owner for its life: half a second tells them apart.
    owner = _lock_within(lock, 0.5)
    if owner is None and not run_file.exists():  # which an owner that stops its servers removes first
        owner = _lock_within(lock, WAIT_FOR_ANOTHER_START_SECONDS)
        if owner is None and not run_file.exists():
            raise ServerError(f"The servers under {lock.parent.parent} have been stopping for {WAIT_FOR_ANOTHER_START_SECONDS} s.")
    return owner


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
            owner = _become_owner(home / "run" / "owner.lock", run_file)
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
