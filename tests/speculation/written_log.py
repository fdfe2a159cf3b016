"""Session logs written by hand: `log(2.5).call_asked(...)` adds one entry at 2.5 s after the session's start."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

STARTED_AT = datetime(2026, 11, 22, 14, 2, 7, tzinfo=UTC)


@dataclass(frozen=True)
class Entry:
    seq: int
    kind: str
    at: datetime
    payload: dict[str, Any]


class WrittenLog(list[Entry]):
    """Entries in order. Small verbs write what one thing in a session leaves in its log."""

    def add(self, at: float, kind: str, **payload: Any) -> "WrittenLog":
        self.append(Entry(len(self) + 1, kind, STARTED_AT + timedelta(seconds=at), payload))
        return self

    def started(self, *, queued_at: float = -0.2, arm: str = "on") -> "WrittenLog":
        self.add(queued_at, "session_queued", agent="support", task="Refund it.", arm=arm, model="scripted", scripted=True)
        return self.add(0.0, "session_started", attempt=1, owner="w1").add(0.0, "user_said", text="Refund it.")

    def turn(self, number: int, start: float, end: float, *tools: str) -> "WrittenLog":
        self.add(start, "turn_started", turn=number, attempt=1).add(start, "first_token", turn=number)
        calls = [{"call_id": f"{number}.{k}", "tool": tool, "arguments": {}} for k, tool in enumerate(tools)]
        return self.add(end, "turn_ended", turn=number, text="", calls=calls, finish_reason="stop", usage={})

    def guess(self, job: str, at: float, tool: str, arguments: Any = None, *, start: float | None = None,
              **more: Any) -> "WrittenLog":  # fmt: skip
        self.add(at, "job_queued", job=job, tool=tool, arguments=arguments or {}, effect="none", speculative=True, epoch=0,
                 probability=0.8, utility=1.0, **more)  # fmt: skip
        return self if start is None else self.add(start, "job_started", job=job, attempt=1)

    def ends(self, job: str, at: float, *, status: str = "succeeded", speculative: bool = True) -> "WrittenLog":
        return self.add(at, "job_ended", job=job, status=status, ok=status == "succeeded", run_seconds=0, speculative=speculative)

    def asks(self, call_id: str, at: float, tool: str, job: str, outcome: str, arguments: Any = None, *, effect: str = "none",
             reason: str = "") -> "WrittenLog":  # fmt: skip
        return self.add(at, "call_asked", call_id=call_id, turn=int(call_id.split(".")[0]), tool=tool, arguments=arguments or {},
                        effect=effect, job=job, outcome=outcome, reason=reason)  # fmt: skip

    def returns(self, call_id: str, at: float, tool: str, job: str) -> "WrittenLog":
        return self.add(at, "call_returned", call_id=call_id, turn=int(call_id.split(".")[0]), tool=tool, job=job, ok=True,
                        content="", structured=None, unknown_outcome=False)  # fmt: skip

    def requested(self, call_id: str, tool: str, asked: float, start: float, end: float, *, job: str = "", effect: str = "none",
                  arguments: Any = None, reason: str = "not predicted") -> "WrittenLog":  # fmt: skip
        """An authoritative call with a run of its own, written whole (entries may be out of order among calls)."""
        job = job or f"job-{call_id}"
        self.add(asked, "job_queued", job=job, tool=tool, arguments=arguments or {}, effect=effect, speculative=False,
                 call_id=call_id, epoch=0)  # fmt: skip
        self.asks(call_id, asked, tool, job, "requested", arguments, effect=effect, reason=reason)
        self.add(start, "job_started", job=job, attempt=1).ends(job, end, speculative=False)
        return self.returns(call_id, end, tool, job)

    def ended(self, at: float, status: str = "succeeded") -> "WrittenLog":
        return self.add(at, "session_ended", status=status, answer="Done.", error=None)


def in_order(log: WrittenLog, key: Callable[[Entry], Any] = lambda entry: entry.at) -> WrittenLog:
    """The same entries by time, numbered anew: for logs whose calls overlap."""
    ordered = WrittenLog()
    for entry in sorted(log, key=key):
        ordered.append(Entry(len(ordered) + 1, entry.kind, entry.at, entry.payload))
    return ordered


def example(arm: str = "on") -> WrittenLog:
    """A support session: one call used, one joined, one parallel and not predicted, one write, two misses."""
    log = WrittenLog().started(arm=arm)
    log.turn(1, 0.1, 3.1, "get_user")
    log.guess("g1", 0.2, "get_user", {"user": "u_4412"}, start=0.2).ends("g1", 1.6)
    log.asks("1.0", 3.1, "get_user", "g1", "used", {"user": "u_4412"}).returns("1.0", 3.1, "get_user", "g1")
    log.turn(2, 3.1, 6.4, "get_order")
    log.guess("g2", 3.2, "get_order", {"order": "W2378156"}, start=3.2).ends("g2", 5.8)
    log.guess("g3", 3.2, "get_order", {"order": "W4435622"}, start=3.2).ends("g3", 6.0)
    log.asks("2.0", 6.4, "get_order", "g2", "used", {"order": "W2378156"}).returns("2.0", 6.4, "get_order", "g2")
    log.turn(3, 6.4, 9.0, "get_payment", "search_policy")
    log.guess("g4", 6.5, "get_payment", {"payment": "pay_881"}, start=6.5).ends("g4", 9.9)
    log.asks("3.0", 9.0, "get_payment", "g4", "joined", {"payment": "pay_881"}).returns("3.0", 9.9, "get_payment", "g4")
    log.requested("3.1", "search_policy", 9.0, 9.0, 11.2, arguments={"query": "duplicate"}, reason="no source for query")
    log.turn(4, 11.2, 14.6, "update_record")
    log.guess("g5", 11.3, "get_refund", {"refund": "rf_07"}, start=11.3).ends("g5", 12.9)
    log.requested("4.0", "update_record", 14.6, 14.6, 15.8, effect="write", reason="writes: not eligible")
    log.turn(5, 15.8, 18.3)
    log.add(18.4, "job_discarded", job="g3", reason="session_ended").add(18.4, "job_discarded", job="g5", reason="session_ended")
    return in_order(log.ended(18.4))
