"""A real PostgreSQL and a real broker for the tests that ask for them: one each a run, in a folder of the run's own.

Runs side by side share nothing, and a developer's own settings and running demo are out of reach.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from channels.layers import channel_layers
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test import TransactionTestCase
from pytest_django import DjangoDbBlocker

from paste_web import celery_app, environment
from paste_web.postgres_server import start_postgres
from paste_web.valkey_server import start_valkey
from speculation import resting
from speculation.notices import stop_listening
from tests.clearing import Clearing

pytest_plugins = ["tests.workers", "tests.browser"]

def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests in a browser come last: playwright leaves an event loop running in their thread, which async_to_sync refuses."""
    items.sort(key=lambda item: "chromium" in getattr(item, "fixturenames", ()))


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """What a page, or a forecast, keeps for some seconds belongs to the test before."""
    cache.clear()
    resting.of_this_process.found(free_slots=1)


HOME = Path(os.environ["PASTE_HOME"])  # set by tests/environment.py, before anything read the settings


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """URL of the run's test database, also Django's: migrated once a test uses Django's database fixtures."""
    server = start_postgres(HOME, HOME / "postgres.log", is_throwaway=True)
    with psycopg.connect(server.url, autocommit=True) as administrator:
        administrator.execute("CREATE DATABASE paste_test")
    url = server.url.replace("@/paste?", "@/paste_test?")
    default = settings.DATABASES["default"]
    # In place: Django's connections hold these very dictionaries.
    default.update({key: value for key, value in environment.database_from_url("DATABASE_URL", server.url).items() if key != "OPTIONS"})
    settings.DATABASE_URL = settings.PASTE_LISTEN_URL = url
    yield url
    stop_listening()
    connection.close()
    connection.close_pool()
    server.stop()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(database_url: str) -> None:
    """pytest-django asks for this before it prepares the test database."""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """After pytest-django's own: what a test commits is removed quickly."""
    with django_db_blocker.unblock():
        clearing = Clearing(TransactionTestCase._fixture_teardown)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda test: clearing.clear(test))
        yield


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Migrate the database that is there, since tests without Django may already use it; it goes with its server."""
    return True


@pytest.fixture(scope="session")
def broker_url() -> Iterator[str]:
    """URL of the run's own broker; Celery and the channel layer of this process use it from now on."""
    server = start_valkey(HOME / "valkey.log")
    settings.PASTE_BROKER_URL = server.url
    settings.CHANNEL_LAYERS["default"]["CONFIG"]["hosts"] = [server.url]
    channel_layers.backends.clear()  # a test before, which committed without a broker, has made one of another address
    celery_app.conf.broker_url = server.url
    yield server.url
    server.stop()
