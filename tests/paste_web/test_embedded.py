import psycopg
import psycopg.conninfo
import pytest
import redis
from django.db import connection


def test_the_test_database_is_a_real_postgresql(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        assert connection.info.server_version >= 150000


def test_the_broker_is_a_real_one(broker_url: str) -> None:
    with redis.Redis.from_url(broker_url) as client:
        assert client.set("key", "value") and client.get("key") == b"value"


@pytest.mark.django_db
def test_django_uses_the_same_database(database_url: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        assert cursor.fetchone() == (psycopg.conninfo.conninfo_to_dict(database_url)["dbname"],)
