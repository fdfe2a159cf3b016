"""A database of our own on the server that is there, and a web server on it; both are gone at the end.

The product's own database is never touched: whoever stands on the scratch database has turned Django to it, here and in
children started from here.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from psycopg import sql

from paste_web import starting
from paste_web.processes import Processes, daphne
from speculation.notices import stop_listening

NAME = "paste_scratch"
HOST = "127.0.0.1"


class NoScratch(Exception):
    """The server does not let us make a database; the message says why."""


@dataclass(frozen=True)
class Served:
    """Where the scratch database's web server answers, and the processes beside us."""

    address: str
    processes: Processes


@contextmanager
def scratch_database() -> Iterator[None]:
    """An empty, migrated database. Raises NoScratch."""
    name = f"{NAME}_{os.getpid()}"
    before = {"DATABASE_URL": settings.DATABASE_URL, "PASTE_LISTEN_URL": settings.PASTE_LISTEN_URL}
    product, environment = settings.DATABASES["default"]["NAME"], {key: os.environ.get(key) for key in before}
    _on_server(before["DATABASE_URL"], "CREATE DATABASE {}", name)
    try:
        url = _with_database(before["DATABASE_URL"], name)
        _turn_to(name, dict.fromkeys(before, url))
        os.environ.update(dict.fromkeys(before, url))
        starting.prepare()
        yield
    finally:
        _turn_to(product, before)
        _restore(environment)
        _on_server(before["DATABASE_URL"], "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


@contextmanager
def served() -> Iterator[Served]:
    """The pages of the database that Django is turned to. Raises CommandError, ProcessEnded."""
    with Processes(settings.BASE_DIR, settings.PASTE_HOME / "log") as processes:
        port = starting.free_port(HOST)
        processes.start(replace(daphne(HOST, port), name="scratch"))
        address = f"http://{HOST}:{port}/"
        starting.wait_for_web(processes, address)
        yield Served(address.rstrip("/"), processes)


def _on_server(url: str, statement: str, name: str) -> None:
    try:
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(sql.SQL(statement).format(sql.Identifier(name)))
    except psycopg.Error as problem:
        raise NoScratch(f"No database of our own: {str(problem).strip().splitlines()[0]}") from None


def _with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _turn_to(name: str, addresses: Mapping[str, str]) -> None:
    """Let go of every connection; the next ones go to this database."""
    stop_listening()
    connection.close()
    connection.close_pool()
    settings.DATABASES["default"]["NAME"] = name  # in place: Django's connections hold this very dictionary
    for key, url in addresses.items():
        setattr(settings, key, url)
    ContentType.objects.clear_cache()


def _restore(environment: Mapping[str, Any]) -> None:
    for key, value in environment.items():
        if value is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = value
