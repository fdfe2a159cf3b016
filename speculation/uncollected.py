"""Building what is large and lives long: Python's cycle collector would walk through all of it, over and over, for nothing."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for cycles within, in the whole process: for a second at most, and where no cycles are made.

    Of two threads within at once, the one that came first switches it on again as it leaves, which costs the other only time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
