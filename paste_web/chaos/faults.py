"""What goes wrong and when, drawn from a seed: pure, so that the same seed gives the same plan."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    KILL_WORKER = "workers killed"
    ORPHAN_CHILDREN = "workers killed without their children"
    KILL_CHILD = "children of workers killed"
    HANG_WORKER = "workers hung for longer than a lease"
    CUT_DATABASE = "database connections cut"
    CUT_BROKER = "broker connections cut"
    RESTART_BROKER = "broker killed"
    HANG_BROKER = "broker hung"
    RESTART_DATABASE = "database killed"
    DELIVER_AGAIN = "messages delivered again"


DECK: tuple[Fault, ...] = (
    Fault.DELIVER_AGAIN,
    Fault.KILL_CHILD,
    Fault.CUT_DATABASE,
    Fault.KILL_WORKER,
    Fault.DELIVER_AGAIN,
    Fault.RESTART_BROKER,
    Fault.KILL_CHILD,
    Fault.HANG_WORKER,
    Fault.CUT_BROKER,
    Fault.ORPHAN_CHILDREN,
    Fault.CUT_DATABASE,
    Fault.HANG_BROKER,
    Fault.KILL_CHILD,
    Fault.RESTART_DATABASE,
)
"""One round of faults; the first comes in this order, so that a short run meets each kind, later ones are shuffled."""


@dataclass(frozen=True)
class Strike:
    """One fault, so many seconds after the one before; `draw` decides whom and how hard."""

    pause_seconds: float
    fault: Fault
    draw: random.Random


def plan(seed: int, mean_pause_seconds: float) -> Iterator[Strike]:
    """Strikes without end. Pauses are between a third and five thirds of the mean. The database dies once."""
    chance = random.Random(seed)
    deck = list(DECK)
    while True:
        for fault in deck:
            pause_seconds = mean_pause_seconds * chance.uniform(1 / 3, 5 / 3)
            yield Strike(pause_seconds, fault, random.Random(chance.getrandbits(64)))
        deck = [fault for fault in DECK if fault != Fault.RESTART_DATABASE]
        chance.shuffle(deck)
