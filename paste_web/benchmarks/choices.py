"""What the live sections of a benchmark are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class LiveChoices:
    """Defaults are the full size; the tests take a small one."""

    calls: int = 300
    """Of each kind, timed at each level of the section `call`."""
    levels: Sequence[int] = (1, 8, 32, 50)
    """Concurrent sessions of the section `call`."""
    think_seconds: float = 0.5
    """Mean pause between two calls of one session, where more than one is concurrent; drawn, exponential."""
    concurrent: Sequence[int] = (1, 8, 32, 128)
    """Concurrent sessions of the section `throughput`."""
    seconds: int = 60
    """How long each arm of each level of `throughput` runs."""
    pairs: int = 30
    """Interleaved blocks of each arm of the section `harm`."""
    sessions: int = 20
    """Sessions that arrive in one block of `harm`."""
    session_calls: int = 6
    """Calls of one session, in `throughput` and `harm`."""
    slots: int = 3
    """Of the pool in `harm`, one of them never for guesses. Tools that compute half of their time keep seven twentieths of a
    processor busy for each at 70 % use: two processors bear three beside the product itself, with four they are full.
    """
    use: float = 0.7
    """Share of all slots that real calls use in `harm`."""
    rounds: int = 10
    """Tasks of each demo agent that each level of the section `throttle` is given."""
    throttles: Sequence[int] = (0, 50, 75, 90, 100)
    """Percent of the guesses worth running that the levels of `throttle` leave out, from light to heavy."""
    speed: int = 3
    """How many times as fast as in the demo the model writes and the network answers, in `throttle`."""
    preemptions: int = 50
    """Of each kind of tool, in the section `preemption`."""
    loads: int = 20
    """Of each page, in the section `pages`, and a quarter as many of the long session in a browser."""
    long_calls: int = 5000
    """Calls of that long session."""
    keys: int = 40
    """Pressed of each kind on its page."""
    watched: int = 10
    """Sessions that run, ten events a second each, in `pages`; the budget says 50."""
    viewers: int = 5
    """Who watch them; the budget says 20."""
    watch_seconds: int = 15
    """For how long."""
    seed: int = 1
