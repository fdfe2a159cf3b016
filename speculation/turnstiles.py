"""Where one transaction at a time goes through, in all processes: PostgreSQL's advisory locks, held until its end."""

from enum import IntEnum

from django.db import connection

LONGEST_STALL = "5s"
"""PostgreSQL ends the connection of a holder that stands still for so long, e.g. since its process is hung."""


class Turnstile(IntEnum):
    """What is decided by counting rows that others insert or change. Numbers are arbitrary, and ours alone."""

    SUBMIT = 7_104_001
    """Whoever counts the waiting sessions and adds one."""
    ADMIT = 7_104_002
    """Whoever counts the running sessions and starts one."""
    RETAIN = 7_104_004
    """Whoever deletes an old session, and so writes to the other half of its pair."""


def go_through(turnstile: Turnstile) -> None:
    """Wait until nobody else is in there; from then on we are, until our transaction ends."""
    end_if_stalled()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int(turnstile)])


def end_if_stalled() -> None:
    """For this transaction, which is about to hold what everybody else waits for."""
    assert connection.in_atomic_block, "it would hold for one statement only"
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('idle_in_transaction_session_timeout', %s, true)", [LONGEST_STALL])
