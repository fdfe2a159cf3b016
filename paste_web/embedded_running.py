"""Where the embedded servers listen, if any run. Apart from what starts them, which loads the servers' libraries: every
process that reads the settings asks this.

The owner holds a file lock for as long as its servers run. The kernel drops it with the process, however that ends,
so a run file without a held lock is a leftover and nothing else.
"""

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Addresses:
    """Where the servers listen. Both hold what it takes to get in: never print them."""

    database_url: str
    broker_url: str


def try_lock(path: Path, mode: int) -> int | None:
    """A descriptor that holds the lock, or None if another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def running(home: Path) -> Addresses | None:
    """Addresses of the servers that run under `home` now, or None."""
    lock, run_file = home / "run" / "owner.lock", home / "run" / "servers.json"
    if not lock.exists():
        return None
    descriptor = try_lock(lock, fcntl.LOCK_SH)
    if descriptor is not None:
        os.close(descriptor)
        return None
    try:
        return Addresses(**json.loads(run_file.read_text()))
    except FileNotFoundError:
        return None
