"""Whose turn it is, by counting alone."""

import random
from collections.abc import Callable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from speculation.engine.fair_share import AGEING_SECONDS, Line, in_turn


def line(party: str, running: int, waited: float = 0.0, unserved: float = 0.0, most: int | None = None) -> Line:
    return Line(party, running, waited, unserved, most)


def parties(*lines: Line) -> str:
    return "".join(each.party for each in in_turn(lines))


def test_who_has_the_fewest_running_goes_first() -> None:
    assert parties(line("a", 3), line("b", 0), line("c", 1)) == "bca"


def test_of_equals_the_one_whose_first_has_waited_longest_goes_first() -> None:
    assert parties(line("a", 1, waited=2.0), line("b", 1, waited=5.0), line("c", 1, waited=5.0)) == "bca"


def test_going_without_makes_up_for_running() -> None:
    hungry = line("b", 2, unserved=2 * AGEING_SECONDS + 1)
    assert parties(line("a", 0), hungry) == "ba"
    assert parties(line("a", 0), replace(hungry, unserved_seconds=2 * AGEING_SECONDS - 1)) == "ab"


def test_a_long_wait_in_a_line_that_is_served_makes_up_for_nothing() -> None:
    assert parties(line("a", 4, waited=3600.0, unserved=1.0), line("b", 3)) == "ba"


def test_a_party_at_its_limit_is_passed_over() -> None:
    assert parties(line("a", 2, unserved=9999.0, most=2), line("b", 7, most=8)) == "b"


@given(
    st.permutations([line("a", 0, 1.0, 1.0), line("b", 0, 1.0, 1.0), line("c", 2, 9.0, 130.0), line("d", 1, 3.0, 2.0)])
)
def test_the_order_of_the_rows_does_not_matter(lines: list[Line]) -> None:
    assert parties(*lines) == "cabd"


def test_two_lines_with_sessions_of_one_length_share_the_workers_equally_from_the_first_moment_on() -> None:
    """One has 60, another 5 a moment later, on four workers: of the next free ones each has two."""
    house = House(workers=4, seconds=lambda party: 10.0)
    house.join("a", 60)
    house.run(until=1.0)
    house.join("b", 5)
    house.run(until=40.0)
    assert "".join(house.started[:16]) == "aaaa" + "bbaa" + "aabb" + "aaba"
    assert house.started_at["b"] == [10.0, 10.0, 20.0, 20.0, 30.0]


def test_a_party_with_one_very_long_session_is_served_within_its_bound_while_fresh_parties_keep_coming() -> None:
    """Without ageing it would starve: the others never have one running when they come."""
    house = House(workers=3, seconds=lambda party: 10_000.0 if party == "long" else 1.0)
    house.join("long", 1)
    house.join("guest 0", 6)
    house.run(until=0.5)
    house.join("long", 1)
    for second in range(1, 200):
        house.join(f"guest {second}", 3)
        house.run(until=float(second + 1))
    waited = house.started_at["long"][1] - 0.5
    assert waited > AGEING_SECONDS * 0.5, "it has one running already: it does not push in"
    ahead = [party for party in house.waiting if len(house.started_at.get(party, [])) < 1]
    assert waited <= AGEING_SECONDS * 2 + len(ahead)


def test_in_any_mix_every_session_starts_and_a_party_is_served_once_it_has_gone_without_for_long_enough() -> None:
    for seed in range(20):
        rng = random.Random(seed)
        lengths = {party: rng.choice([1.0, 5.0, 120.0]) for party in "abcd"}
        house = House(workers=rng.choice([1, 2, 5]), seconds=lengths.__getitem__)
        wanted = {party: rng.randrange(1, 15) for party in "abcd"}
        for party, count in wanted.items():
            house.run(until=house.now + rng.random())
            house.join(party, count)
        house.run(until=1e6)
        assert {party: house.started.count(party) for party in "abcd"} == wanted


class House:
    """Workers that start whoever's turn it is; in seconds of its own."""

    def __init__(self, workers: int, seconds: Callable[[str], float]) -> None:
        self.workers, self.seconds, self.now = workers, seconds, 0.0
        self.waiting: dict[str, list[float]] = {}
        self.running: list[tuple[float, str]] = []
        self.started: list[str] = []
        self.started_at: dict[str, list[float]] = {}

    def join(self, party: str, count: int) -> None:
        self.waiting.setdefault(party, []).extend([self.now] * count)

    def run(self, until: float) -> None:
        self._start()
        while self.running and min(self.running)[0] <= until:
            ended = min(self.running)
            self.running.remove(ended)
            self.now = ended[0]
            self._start()
        self.now = until

    def _start(self) -> None:
        while len(self.running) < self.workers and (turn := in_turn(self._lines())):
            party = turn[0].party
            self.waiting[party].pop(0)
            self.running.append((self.now + self.seconds(party), party))
            self.started.append(party)
            self.started_at.setdefault(party, []).append(self.now)

    def _lines(self) -> list[Line]:
        return [self._line(party, since) for party, since in self.waiting.items() if since]

    def _line(self, party: str, since: list[float]) -> Line:
        waited = self.now - since[0]
        served = self.now - self.started_at[party][-1] if party in self.started_at else waited
        return Line(party, sum(one == party for _, one in self.running), waited, min(waited, served))
