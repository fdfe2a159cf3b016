"""A plot as the log of a session: what the product would have written, with or without speculation. Pure; drawn from a seed.

Moments are seconds since the session started. Guesses come true, come too late, are beside the point, are overtaken by
a write, or hold a slot that a real call needs, as often as the terms say.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any
from uuid import UUID

from paste_web.picturing.plots import WRITES, Plot, Wish
from speculation.engine.evidence import REFUTED
from speculation.offers import WARMED_UP

HOP_SECONDS = 0.04
"""From asking for a run to its start, where a slot is free."""
STRAY_TIMES = 1.5
"""What nobody asks for runs so many times as long: some of it is in the way."""


WARMED: Mapping[str, Sequence[str]] = {"update_record": ("table", "key")}
"""Tools whose calls are warmed up for, and the arguments of the warm-up."""


@dataclass(frozen=True)
class Line:
    """One entry of a log, before it has a number."""

    at: float
    kind: str
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Terms:
    """How a session goes. `foreseen`: the share of calls that are predicted exactly.

    `against`: the first reason against running a tool early, by its name. `patterns`: those that may name a tool next.
    `origin_ms`: when the session started, since 1970; ids carry it. `breaks_off_after`: the turn after which it fails.
    """

    arm: str = "on"
    model: str = "scripted"
    is_scripted: bool = True
    foreseen: float = 0.75
    stray: float = 0.45
    against: Mapping[str, str] = field(default_factory=dict)
    patterns: Mapping[str, Sequence[int]] = field(default_factory=dict)
    origin_ms: int = 0
    breaks_off_after: int | None = None


@dataclass(frozen=True)
class _Guess:
    job: str
    wish: Wish
    ends_at: float


def tell(plot: Plot, terms: Terms, rng: Random) -> list[Line]:
    """The whole log, in order."""
    return _Telling(plot, terms, rng).told()


class _Telling:
    def __init__(self, plot: Plot, terms: Terms, rng: Random) -> None:
        self.plot, self.terms, self.rng = plot, terms, rng
        self.lines: list[Line] = []
        self.clock = 0.1
        self.epoch = 0
        self.idle: list[_Guess] = []
        """Guesses beside the point that are running or held."""
        self.overtaken: set[str] = set()
        """Calls whose guess a write overtook, as text."""
        self.tried: set[tuple[int, str]] = set()
        """Calls guessed, each once an epoch."""
        self.finished: set[str] = set()

    def told(self) -> list[Line]:
        plot, terms = self.plot, self.terms
        facts = {"agent": plot.agent, "arm": terms.arm, "model": terms.model, "scripted": terms.is_scripted}
        self.say(-self.rng.uniform(0.05, 0.4), "session_queued", task=plot.task, **facts)
        self.say(0.0, "session_started", attempt=1, owner="agents@made-up")
        self.say(0.0, "user_said", text=plot.task)
        turns = [*plot.turns, ()][: terms.breaks_off_after]
        for number, wishes in enumerate(turns, 1):
            self.turn(number, wishes)
        self.end()
        return sorted(self.lines, key=lambda line: line.at)

    def end(self) -> None:
        for guess in list(self.idle):
            if guess.ends_at > self.clock:
                self.give_up(guess, self.clock, "session_ended")
            else:
                self.finish(guess.job, guess.wish, guess.ends_at, speculative=True)
                self.say(self.clock, "job_discarded", job=guess.job, reason="session_ended")
        is_over = self.terms.breaks_off_after is None
        error = None if is_over else "The model's endpoint answered 503 three times."
        answer = self.plot.answer if is_over else None
        status = "succeeded" if is_over else "failed"
        self.say(self.clock + 0.02, "session_ended", status=status, answer=answer, error=error)

    def say(self, at: float, kind: str, **payload: Any) -> None:
        self.lines.append(Line(at, kind, payload))

    def new_id(self, at: float) -> str:
        """A UUIDv7, as ids of jobs are."""
        moment = max(0, self.terms.origin_ms + int(at * 1000))
        return str(
            UUID(int=moment << 80 | 7 << 76 | self.rng.getrandbits(12) << 64 | 2 << 62 | self.rng.getrandbits(62))
        )

    def turn(self, number: int, wishes: Sequence[Wish]) -> None:
        start, took = self.clock, self.rng.uniform(1.6, 3.8)
        end = start + took
        self.say(start, "turn_started", turn=number, attempt=1)
        self.say(start + min(0.3, took / 4), "first_token", turn=number)
        guesses = self.guess(number, wishes, start + 0.08) if number <= len(self.plot.turns) else {}
        calls = []
        for index, wish in enumerate(wishes):
            sealed = start + took * (0.6 + 0.35 * (index + 1) / len(wishes))
            self.say(sealed - took * 0.12, "tool_named", turn=number, index=index, tool=wish.tool)
            call_id = f"{number}.{index}"
            self.say(sealed, "arguments_sealed", turn=number, index=index, call_id=call_id, tool=wish.tool)
            calls.append({"call_id": call_id, "tool": wish.tool, "arguments": wish.arguments})
        text = f"I look at {wishes[0].tool} next." if wishes else self.plot.answer
        finish = "tool_calls" if wishes else "stop"
        self.say(end, "turn_ended", turn=number, text=text, calls=calls, finish_reason=finish, usage={})
        self.refute(end)
        ends = [self.call(f"{number}.{index}", wish, end, guesses.get(index)) for index, wish in enumerate(wishes)]
        self.clock = max(ends, default=end)

    # guesses

    def guess(self, number: int, wishes: Sequence[Wish], at: float) -> dict[int, _Guess]:
        """What is predicted as a turn begins; returns the guesses that will be asked for, by the call's index."""
        rng, made, candidates = self.rng, {}, []
        for index, wish in enumerate(wishes):
            if rng.random() < self.terms.foreseen:
                candidate, guess = self.launch(wish, at, rng.uniform(0.55, 0.96))
                candidates.append(candidate)
                if guess is not None:
                    made[index] = guess
        if self.plot.strays and rng.random() < self.terms.stray:
            candidate, guess = self.launch(rng.choice(self.plot.strays), at, rng.uniform(0.2, 0.5), STRAY_TIMES)
            candidates.append(candidate)
            self.idle += [guess] if guess is not None else []
        abstained = (
            [] if candidates else [{"tool": wish.tool, "reason": "no source for an argument"} for wish in wishes]
        )
        if candidates or abstained:
            self.say(at, "predicted", turn=number, candidates=candidates, abstained=abstained)
        return made

    def launch(
        self, wish: Wish, at: float, probability: float, times: float = 1.0
    ) -> tuple[dict[str, Any], _Guess | None]:
        """The candidate as the log has it, and its run, unless something is against that."""
        known = self.terms.patterns.get(wish.tool)
        pattern = self.rng.choice(known) if known else None
        against = self.against(wish) or ("already held" if (self.epoch, _text(wish)) in self.tried else "")
        candidate: dict[str, Any] = {
            "tool": wish.tool,
            "arguments": wish.arguments,
            "probability": round(probability, 3),
        }
        candidate |= {"utility": None if against else wish.seconds * probability, "pattern": pattern, "job": None}
        candidate["verdict"] = against or "admitted"
        if against and self.terms.arm == "on" and (warming := WARMED.get(wish.tool)):
            return {**candidate, "verdict": WARMED_UP, "job": self.warm_up(wish, warming, at, probability)}, None
        if against:
            return candidate, None
        self.tried.add((self.epoch, _text(wish)))
        job, start = self.new_id(at), at + HOP_SECONDS
        ends_at = start + times * wish.seconds * self.rng.uniform(0.75, 1.35)
        sources = {name: f"result of an earlier call, {name}" for name in wish.arguments}
        more = {"probability": candidate["probability"], "utility": candidate["utility"], "sources": sources}
        self.queue(job, wish, at, speculative=True, call_id=None, pattern=pattern, **more)
        self.say(start, "job_started", job=job, attempt=1)
        return {**candidate, "job": job}, _Guess(job, wish, ends_at)

    def warm_up(self, wish: Wish, names: Sequence[str], at: float, probability: float) -> str:
        """What makes a foreseen change quicker. Returns its job."""
        job, seconds = self.new_id(at), self.rng.uniform(0.1, 0.3)
        warming = replace(wish, arguments={name: wish.arguments[name] for name in names}, effect="none", seconds=seconds)
        more = {"probability": round(probability, 3), "utility": probability * seconds, "warm_up": True}
        self.queue(job, warming, at, speculative=True, call_id=None, pattern=None, **more)
        self.say(at + HOP_SECONDS, "job_started", job=job, attempt=1)
        self.finish(job, warming, at + HOP_SECONDS + seconds, speculative=True)
        return job

    def against(self, wish: Wish) -> str:
        if wish.effect != "none":
            return "writes: not eligible" if wish.effect == WRITES else "effect unknown: not eligible"
        if self.terms.arm != "on":
            return self.terms.against.get(wish.tool, f"{self.terms.arm}: nothing runs early")
        return self.terms.against.get(wish.tool, "")

    def queue(self, job: str, wish: Wish, at: float, **payload: Any) -> None:
        work = {"tool": wish.tool, "arguments": wish.arguments, "effect": wish.effect, "epoch": self.epoch}
        self.say(at, "job_queued", job=job, **work, **payload)

    def refute(self, at: float) -> None:
        """The turn is written: idle guesses have finished by now, are stopped, or run on."""
        for guess in list(self.idle):
            if guess.ends_at <= at:
                self.finish(guess.job, guess.wish, guess.ends_at, speculative=True)
            elif self.rng.random() < 0.35:
                self.give_up(guess, at, REFUTED)

    def give_up(self, guess: _Guess, at: float, reason: str, lets_go_after: float = 0.08) -> None:
        self.idle.remove(guess)
        self.say(at, "job_preempted", job=guess.job, reason=reason)
        self.say(at + lets_go_after, "job_released", job=guess.job)

    def finish(self, job: str, wish: Wish, at: float, *, speculative: bool) -> None:
        if job not in self.finished:
            self.finished.add(job)
            took = round(wish.seconds, 3)
            self.say(at, "job_ended", job=job, status="succeeded", ok=True, run_seconds=took, speculative=speculative)

    # real calls

    def call(self, call_id: str, wish: Wish, at: float, guess: _Guess | None) -> float:
        """Asked for at `at`; returns when it was answered."""
        if guess is None:
            return self.run(call_id, wish, at)
        returned = max(at, guess.ends_at)
        self.finish(guess.job, wish, guess.ends_at, speculative=guess.ends_at <= at)
        self.ask(call_id, wish, at, guess.job, "used" if guess.ends_at <= at else "joined", "")
        self.answer(call_id, wish, returned, guess.job)
        return returned

    def run(self, call_id: str, wish: Wish, at: float) -> float:
        job = self.new_id(at)
        start = at + self.wait_for_slot(at)
        end = start + wish.seconds * self.rng.uniform(0.75, 1.35)
        self.queue(job, wish, at, speculative=False, call_id=call_id, pattern=None)
        self.ask(call_id, wish, at, job, "requested", self.why_not(wish))
        self.say(start, "job_started", job=job, attempt=1)
        if wish.effect == WRITES:
            self.change(call_id, start, end)
        self.finish(job, wish, end, speculative=False)
        self.answer(call_id, wish, end, job)
        return end

    def wait_for_slot(self, at: float) -> float:
        """Now and then an idle guess is in the way, until its worker has let go."""
        running = [guess for guess in self.idle if guess.ends_at > at]
        if not running or self.rng.random() < 0.2:
            return HOP_SECONDS
        lets_go = self.rng.uniform(0.1, 0.35)
        self.give_up(running[0], at, "slot needed", lets_go)
        return HOP_SECONDS + lets_go

    def why_not(self, wish: Wish) -> str:
        if wish.effect != "none":
            return "writes: not eligible"
        if _text(wish) in self.overtaken:
            return "world changed"
        if self.terms.arm != "on":
            return f"{self.terms.arm}: nothing runs early"
        return self.terms.against.get(wish.tool, "not predicted")

    def change(self, call_id: str, start: float, end: float) -> None:
        """A write: what was guessed before it is worth nothing after it."""
        for at in (start, end):
            self.epoch += 1
            self.say(at, "epoch_stepped", epoch=self.epoch, call_id=call_id)
        for guess in [one for one in self.idle if one.ends_at <= start]:
            self.finish(guess.job, guess.wish, guess.ends_at, speculative=True)
            self.idle.remove(guess)
            self.overtaken.add(_text(guess.wish))
            self.say(start, "job_discarded", job=guess.job, reason="invalidated")

    def ask(self, call_id: str, wish: Wish, at: float, job: str, outcome: str, reason: str) -> None:
        what = {
            "turn": int(call_id.split(".")[0]),
            "tool": wish.tool,
            "arguments": wish.arguments,
            "effect": wish.effect,
        }
        self.say(at, "call_asked", call_id=call_id, **what, job=job, outcome=outcome, reason=reason)

    def answer(self, call_id: str, wish: Wish, at: float, job: str) -> None:
        what = {"turn": int(call_id.split(".")[0]), "tool": wish.tool, "job": job, "ok": True, "unknown_outcome": False}
        self.say(at, "call_returned", call_id=call_id, **what, content=json.dumps(wish.answer), structured=wish.answer)


def _text(wish: Wish) -> str:
    return f"{wish.tool} {json.dumps(wish.arguments, sort_keys=True)}"
