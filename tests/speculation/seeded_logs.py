"""Made-up session logs from a seed: parallel calls, joined and missed guesses, a write that invalidates, a holdout.

Every turn asks either only for reads, all at once, or for one write, so that a turn's critical path has a short SQL form.
"""

import random
from dataclasses import dataclass, field

from tests.speculation.written_log import WrittenLog, in_order

READS = ("get_user", "get_order", "get_payment", "search_policy")
PRICES = {"get_user": {"price": "0.01"}, "get_refund": {"price": "0.0025"}}
"""Of a tool whose guesses serve calls, and of one whose guesses nobody asks for; the others are free."""


@dataclass
class _Author:
    rng: random.Random
    arm: str
    log: WrittenLog = field(default_factory=WrittenLog)
    at: float = 0.0
    jobs: int = 0

    def pause(self, low: float, high: float) -> float:
        return round(self.rng.uniform(low, high), 3)

    def job(self) -> str:
        self.jobs += 1
        return f"job-{self.jobs}"

    def turn(self, number: int) -> None:
        start, decode = self.at, self.pause(0.8, 3.0)
        asked = round(start + decode, 3)
        if self.rng.random() < 0.25:
            self._write(number, start, asked)
            return
        tools = self.rng.sample(READS, self.rng.randint(1, 3))
        self.log.turn(number, start, asked, *tools)
        back = [self._read(f"{number}.{k}", tool, start, asked) for k, tool in enumerate(tools)]
        self._misses(start, asked)
        self.at = max(back)

    def _read(self, call_id: str, tool: str, start: float, asked: float) -> float:
        """Used, joined, or run when asked for, perhaps behind a guess that held its slot."""
        kind = self.rng.choice(["used", "joined", "requested"]) if self.arm == "on" else "requested"
        arguments = {"id": call_id}
        if kind == "requested":
            begins = round(asked + self.pause(0, 0.4), 3)
            ends = round(begins + self.pause(0.2, 2.0), 3)
            self.log.requested(call_id, tool, asked, begins, ends, arguments=arguments, job=self.job())
            return ends
        job, begins = self.job(), round(start + self.pause(0.05, 0.3), 3)
        ends = round(self.rng.uniform(begins + 0.1, asked) if kind == "used" else asked + self.pause(0.05, 1.5), 3)
        price = PRICES.get(tool, {})
        self.log.guess(job, begins, tool, arguments, start=begins, **price).asks(call_id, asked, tool, job, kind, arguments)
        self.log.ends(job, ends, speculative=kind == "used")
        back = max(asked, ends)
        self.log.returns(call_id, back, tool, job)
        return back

    def _misses(self, start: float, asked: float) -> None:
        for _ in range(self.rng.randint(0, 2) if self.arm == "on" else 0):
            job, begins = self.job(), round(start + self.pause(0.1, 0.5), 3)
            ends = round(begins + self.pause(0.2, 2.5), 3)
            self.log.guess(job, begins, "get_refund", {"id": job}, start=begins, **PRICES["get_refund"]).ends(job, ends)

    def _write(self, number: int, start: float, asked: float) -> None:
        self.log.turn(number, start, asked, "update_record")
        begins = round(asked + self.pause(0, 0.1), 3)
        ends = round(begins + self.pause(0.2, 1.0), 3)
        self.log.requested(f"{number}.0", "update_record", asked, begins, ends, effect="write", job=self.job())
        self.at = ends


def seeded_log(seed: int) -> WrittenLog:
    """One ended session; every fifth is of the holdout."""
    author = _Author(random.Random(seed), "holdout" if seed % 5 == 0 else "on")
    author.log.started(arm=author.arm)
    for number in range(1, author.rng.randint(3, 8)):
        author.turn(number)
    author.log.turn(99, author.at, round(author.at + 1.0, 3))
    latest = max((entry.at - author.log[0].at).total_seconds() - 0.2 for entry in author.log)
    return in_order(author.log.ended(round(max(latest, author.at + 1.0) + 0.01, 3)))
