"""Ids that carry their time (UUIDv7), so that a table's newest rows are found by its primary key."""

import time
from uuid import UUID


def drawn_after(seconds: float) -> UUID:
    """The smallest id that was drawn within the last `seconds`, by this machine's clock."""
    return UUID(int=max(0, int((time.time() - seconds) * 1000)) << 80)
