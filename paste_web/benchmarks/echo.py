"""The control of the section `call`: the least that anything can cost that is done by a worker and waited for."""

from celery import shared_task
from django.db import connection

from speculation.events import NOTICE_CHANNEL

MODULE = __name__


@shared_task(name="benchmark.echo", ignore_result=True, acks_late=False)
def echo(key: str) -> None:
    """Do nothing, and say so by the same notice that tells of a job's end."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [NOTICE_CHANNEL, key])
