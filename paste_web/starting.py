"""What `up` and `demo` share: get everything running, in the right order, and know that it answers."""

import fcntl
import hashlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from celery.exceptions import OperationalError
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from kombu.exceptions import OperationalError as BrokerError

from paste_web import celery_app
from paste_web.processes import Processes, agents_worker, daphne, guesses_worker, mcp_commands, tools_worker
from paste_web.progress import step
from speculation.models import WorkerPool
from tools.mcp_servers import BadServers, McpCommand, servers_in

READY_WITHIN_SECONDS = 60


@contextmanager
def only_one_here(name: str = "up", what: str = "PASTE already runs") -> Iterator[None]:
    """Two sets of workers under one home would share queues and confuse everybody. Raises CommandError.

    `name`: of the lock; `what` is said where another holds it.
    """
    folder = Path(settings.PASTE_HOME) / "run"
    folder.mkdir(exist_ok=True, mode=0o700)  # with servers of one's own, nobody has made it yet
    lock = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise CommandError(
            f"{what} under {settings.PASTE_HOME}. Stop it first, or set PASTE_HOME to another folder."
        ) from None
    finally:
        os.close(lock)


def address_of(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def check_port(port: int | None) -> None:
    """Raises CommandError for what is no port; None and 0 mean any free one."""
    if port is not None and not 0 <= port <= 65_535:
        raise CommandError(f"--port takes 0 to 65535, not {port}.", returncode=2)


def is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def prepare_tables() -> None:
    with step("Tables"):
        try:
            connection.ensure_connection()
        except DatabaseError as problem:
            raise CommandError(f"The database does not answer ({problem}). Where it was just being stopped, start again.") from None
        call_command("migrate", verbosity=0, interactive=False)
        size = {"slots": settings.PASTE_TOOL_SLOTS, "reserved": settings.PASTE_TOOL_RESERVED}
        WorkerPool.objects.update_or_create(name="tools", defaults=size)


def prepare() -> None:
    """Tables and static files as this version wants them."""
    prepare_tables()
    stamp, now = Path(settings.STATIC_ROOT).with_suffix(".stamp"), _static_fingerprint()
    if not stamp.exists() or stamp.read_text() != now:
        with step("Static files"):
            call_command("collectstatic", verbosity=0, interactive=False)
        stamp.write_text(now)


def _static_fingerprint() -> str:
    """Changes with any static file: compressing them all takes seconds, so it is done only then."""
    files = [storage.path(name) for finder in get_finders() for name, storage in finder.list([])]
    seen = sorted((path, Path(path).stat().st_mtime_ns, Path(path).stat().st_size) for path in files)
    return hashlib.sha256(repr(seen).encode()).hexdigest()


def _has_commands() -> bool:
    """Whether the file of MCP servers has some that are commands, and nobody else runs them."""
    if settings.PASTE_MCP_SERVERS is None or settings.PASTE_MCP_COMMANDS_URL:
        return False
    try:
        return any(isinstance(entry, McpCommand) for entry in servers_in(settings.PASTE_MCP_SERVERS).values())
    except BadServers:  # list_tools says what is wrong with it; once mended it may have some
        return True


def start_workers(processes: Processes) -> None:
    if _has_commands():
        processes.start(mcp_commands())
    processes.start(tools_worker(settings.PASTE_TOOL_SLOTS))
    processes.start(guesses_worker(settings.PASTE_TOOL_SLOTS))
    processes.start(agents_worker())


def start_web(processes: Processes, host: str, port: int) -> str:
    """Its address."""
    processes.start(daphne(host, port))
    return address_of(host, port)


def wait_for_workers(processes: Processes) -> None:
    with step("Workers"):
        wait_until(_workers_answer, processes, "the workers")


def wait_for_web(processes: Processes, address: str) -> None:
    with step("Web server"):
        wait_until(lambda: _web_answers(address), processes, "the web server")


def wait_until(is_ready: Callable[[], bool], processes: Processes, what: str) -> None:
    """Raises ProcessEnded if a process ends meanwhile, CommandError after READY_WITHIN_SECONDS."""
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while not is_ready():
        processes.check()
        if time.monotonic() > deadline:
            raise CommandError(f"{what} did not answer within {READY_WITHIN_SECONDS} s; see {settings.PASTE_HOME / 'log'}")
        time.sleep(0.05)


def _workers_answer() -> bool:
    try:
        answers = celery_app.control.broadcast("ping", reply=True, limit=3, timeout=1)
    except (OperationalError, BrokerError, OSError):
        return False
    names = {name.split("@")[0] for answer in answers for name in answer}
    return {"agents", "tools", "guesses"} <= names


def _web_answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}login/", timeout=5, trust_env=False).status_code < 500
    except httpx.HTTPError:
        return False
