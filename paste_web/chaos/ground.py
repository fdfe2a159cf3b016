"""Servers that chaos may kill: a PostgreSQL and a broker of its own, in a folder that is thrown away, never anybody else's.

Django, Celery and the channel layer of this process, and the environment of its children, point there from the start on.
"""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import redis
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from paste_web import celery_app, environment
from paste_web.postgres_server import PostgresServer, start_postgres
from paste_web.valkey_server import ValkeyServer, restart_valkey, start_valkey
from speculation.notices import stop_listening

T = TypeVar("T")

RIDE_OUT_SECONDS = 30.0


@dataclass
class Ground:
    """What chaos stands on."""

    home: Path
    log_folder: Path
    postgres: PostgresServer
    valkey: ValkeyServer

    def kill_database(self) -> None:
        """Immediate shutdown, as if the machine had failed, and a start on the same data."""
        self.postgres.process.send_signal(signal.SIGQUIT)
        self.postgres.process.wait()
        self.postgres = start_postgres(self.home, self.log_folder / "postgres.log")

    def kill_broker(self, away_seconds: float) -> None:
        """All its queues are lost, and the channel layer with them."""
        self.valkey.process.kill()
        self.valkey.process.wait()
        time.sleep(away_seconds)
        self.valkey = restart_valkey(self.valkey, self.log_folder / "valkey.log")

    def hang_broker(self, seconds: float) -> None:
        """It takes connections and answers nobody."""
        os.kill(self.valkey.process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(self.valkey.process.pid, signal.SIGCONT)

    def database(self) -> psycopg.Connection[Any]:
        """A connection of our own, outside Django's."""
        return psycopg.connect(self.postgres.url, autocommit=True, connect_timeout=10)

    def broker(self) -> redis.Redis:
        return redis.Redis.from_url(self.valkey.url, socket_timeout=10)

    def stop(self) -> None:
        stop_listening()
        connection.close()
        connection.close_pool()
        self.valkey.stop()
        self.postgres.stop()


def ride_out(ask: Callable[[], T]) -> T:
    """What `ask` returns, tried again while the database is away. Raises its last error after RIDE_OUT_SECONDS."""
    deadline = time.monotonic() + RIDE_OUT_SECONDS
    while True:
        try:
            return ask()
        except (DatabaseError, InterfaceError, psycopg.Error):
            connection.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@contextmanager
def own_ground() -> Iterator[Ground]:
    """Both servers, and everything in this process and its children turned to them. Raises ServerError."""
    home = Path(tempfile.mkdtemp(prefix="paste-chaos-"))  # short: a socket's path has to fit
    log_folder = Path(settings.PASTE_HOME) / "log" / "chaos"
    log_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        postgres = start_postgres(home, log_folder / "postgres.log")
        try:
            ground = Ground(home, log_folder, postgres, start_valkey(log_folder / "valkey.log"))
        except BaseException:
            postgres.stop()
            raise
        try:
            _turn_to(ground)
            yield ground
        finally:
            ground.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _turn_to(ground: Ground) -> None:
    worlds = ground.home / "worlds"
    worlds.mkdir(mode=0o700)
    addresses = {"DATABASE_URL": ground.postgres.url, "PASTE_LISTEN_URL": ground.postgres.url}
    addresses |= {"PASTE_BROKER_URL": ground.valkey.url, "PASTE_HOME": str(ground.home), "PASTE_WORLDS": str(worlds)}
    os.environ.update(addresses)
    settings.DATABASE_URL = settings.PASTE_LISTEN_URL = ground.postgres.url
    settings.PASTE_BROKER_URL = celery_app.conf.broker_url = ground.valkey.url
    settings.PASTE_HOME, settings.PASTE_WORLDS = ground.home, worlds
    settings.CHANNEL_LAYERS["default"]["CONFIG"]["hosts"] = [ground.valkey.url]
    # In place: Django's connections hold these very dictionaries.
    found = environment.database_from_url("DATABASE_URL", ground.postgres.url)
    connection.close()
    settings.DATABASES["default"].update({name: value for name, value in found.items() if name != "OPTIONS"})
