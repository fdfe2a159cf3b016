"""Row locks whose waiters are not overtaken for ever."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from speculation import locks
from speculation.models import ResourceScope, ToolRecord

SHARERS = 5
HELD_SECONDS = 0.02


@contextmanager
def sharing(tool: ToolRecord) -> Iterator[None]:
    """Admissions without pause: the tool's row is shared at every moment."""
    stop = threading.Event()

    def share() -> None:
        try:
            while not stop.is_set():
                with transaction.atomic():
                    locks.share_tools([tool.pk])
                    time.sleep(HELD_SECONDS)
        finally:
            connection.close()

    sharers = [threading.Thread(target=share) for _ in range(SHARERS)]
    for sharer in sharers:
        sharer.start()
    try:
        yield
    finally:
        stop.set()
        for sharer in sharers:
            sharer.join()


def test_who_changes_a_policy_waits_for_those_who_share_it_now_but_not_for_those_who_come_later(
    read_tool: ToolRecord,
) -> None:
    waited = []
    with sharing(read_tool):
        time.sleep(0.2)
        for _ in range(5):
            began = time.monotonic()
            with transaction.atomic():
                held = locks.hold_tool(read_tool.pk)
                held.policy_version += 1
                held.save(update_fields=["policy_version"])
            waited.append(time.monotonic() - began)
            time.sleep(HELD_SECONDS)
    assert max(waited) < 1.0, waited
    assert ToolRecord.objects.get(pk=read_tool.pk).policy_version == 6, "each saw what the one before had done"


def test_a_tool_that_is_not_there_cannot_be_held(transactional_db: None) -> None:
    with pytest.raises(ToolRecord.DoesNotExist), transaction.atomic():
        locks.hold_tool(4711)


def test_a_shared_state_has_a_row_as_soon_as_somebody_locks_it(transactional_db: None) -> None:
    with transaction.atomic():
        assert locks.share_scopes(["board", "", "board"]) == {"board": 0}
    ResourceScope.objects.filter(pk="board").update(epoch=3)
    with transaction.atomic():
        assert locks.hold_scopes(["board", "ledger"]) == {"board": 3, "ledger": 0}
