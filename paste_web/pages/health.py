"""For whoever watches the process: is it alive, and can it do its work?"""

from collections.abc import Callable

from celery import current_app
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from kombu.exceptions import OperationalError as BrokerError

QUEUES = ("agents", "tools")
BROKER_SECONDS = 2.0


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers; nothing else is looked at."""
    return JsonResponse({"ok": True})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 where the database and the broker answer and workers listen for sessions and calls; else 503 with what is missing.

    Without workers of guesses nothing runs early: that is said, but all else works.
    """
    checks = {"database": _check(_ask_database), "broker": _check(_ask_broker)}
    served = _served_queues() if checks["broker"] == "ok" else set()
    checks |= {f"workers of {queue}": "ok" if queue in served else "none seen" for queue in QUEUES}
    ready = set(checks.values()) == {"ok"}
    checks["workers of guesses"] = "ok" if "guesses" in served else "none seen"
    return JsonResponse({"ok": ready, "checks": checks}, status=200 if ready else 503)


def _check(ask: Callable[[], object]) -> str:
    """ "ok", or the kind of failure: never its text, which may name hosts."""
    try:
        ask()
    except (DatabaseError, BrokerError, OSError) as problem:
        return type(problem).__name__
    return "ok"


def _ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _ask_broker() -> None:
    with current_app.connection_for_read(connect_timeout=BROKER_SECONDS) as broker:
        broker.ensure_connection(max_retries=1, timeout=BROKER_SECONDS)


def _served_queues() -> set[str]:
    """Names of the queues that some worker answers for."""
    answers = current_app.control.inspect(timeout=1.0).active_queues() or {}
    return {queue["name"] for queues in answers.values() for queue in queues}
