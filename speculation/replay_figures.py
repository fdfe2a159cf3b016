"""What a replay measured, from the event logs of its sessions alone. Pure.

**exposed** = what the agent waited for tools that only read: per turn the critical path of those calls, from asking to
the answer. An arm's answers are right if every result given to the agent, and its last words, equal the recording's.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from speculation.figures import CallFigures, Figures, compute, critical_path
from speculation.recordings import answer_of
from speculation.story import LogEntry, Story

WORST = 5

Answer = tuple[bool, str, Any]


@dataclass(frozen=True)
class Lived:
    """One arm of one recorded session."""

    session: str
    figures: Figures
    exposed_seconds: float
    reads: Sequence[CallFigures]
    is_right: bool
    problem: str
    """The first difference from the recording, empty where there is none."""

    @property
    def task_seconds(self) -> float:
        return self.figures.task_seconds


@dataclass(frozen=True)
class Compared:
    """A recorded session, lived without and with speculation."""

    recorded: str
    off: Lived
    on: Lived

    @property
    def ratio(self) -> float:
        """Task seconds with speculation over those without."""
        return self.on.task_seconds / self.off.task_seconds if self.off.task_seconds else 1.0


def read_arm(session: str, entries: Iterable[LogEntry], recording: Mapping[str, Any], local: frozenset[str]) -> Lived:
    """`local`: tools that change nothing and read nothing; waiting for them is not exposed reading."""
    log = list(entries)
    figures = compute(Story(log))
    reads = [one for one in figures.calls if one.call.is_eligible and one.call.tool not in local]
    problem = difference(log, recording)
    return Lived(session, figures, exposed_seconds(reads), reads, not problem, problem)


def exposed_seconds(reads: Sequence[CallFigures]) -> float:
    turns = sorted({one.call.turn for one in reads})
    by_turn = [[one for one in reads if one.call.turn == turn] for turn in turns]
    return sum(critical_path(calls, [one.waited_seconds for one in calls]) for calls in by_turn)


def difference(log: Sequence[LogEntry], recording: Mapping[str, Any]) -> str:
    """How the session went another way than the recording, in words; empty if it did not."""
    lived = {entry.payload["call_id"]: _answer(entry.payload) for entry in log if entry.kind == "call_returned"}
    order = [f"{turn}.{index}" for turn, calls in _calls(recording) for index in range(calls)]
    for call_id, recorded in zip(order, recording["answers"], strict=True):
        if call_id not in lived:
            return f"call {call_id} was never answered"
        if lived[call_id] != _answer(recorded):
            return f"call {call_id} was answered {lived[call_id][1][:80]!r}, recorded {recorded['content'][:80]!r}"
    if len(lived) != len(order):
        return f"{len(lived)} calls were answered, {len(order)} recorded"
    ended = next((entry.payload for entry in log if entry.kind == "session_ended"), {})
    if ended.get("status") != "succeeded":
        return f"the session ended {ended.get('status', 'never')}: {ended.get('error')}"
    return "" if ended["answer"] == answer_of(recording) else "the last words differ"


def _calls(recording: Mapping[str, Any]) -> Iterable[tuple[int, int]]:
    """Each turn's number and how many calls it has."""
    return ((number, len(turn["calls"])) for number, turn in enumerate(recording["turns"], start=1))


def _answer(payload: Mapping[str, Any]) -> Answer:
    return bool(payload["ok"]), payload["content"], payload["structured"]


def summarise(source: str, trained: int, compared: Sequence[Compared]) -> dict[str, Any]:
    """The document of one source; seconds to the millisecond."""
    exposed_off, exposed_on = (sum(getattr(one, arm).exposed_seconds for one in compared) for arm in ("off", "on"))
    return {
        "source": source,
        "sessions": len(compared),
        "training_sessions": trained,
        "task_seconds": _both(
            sum(one.off.task_seconds for one in compared), sum(one.on.task_seconds for one in compared)
        ),
        "exposed_tool_seconds": _both(exposed_off, exposed_on),
        "exposed_reduction": round(1 - exposed_on / exposed_off, 4) if exposed_off else None,
        "mean_paired_ratio": round(fmean(one.ratio for one in compared), 4) if compared else None,
        "reads": sum(len(one.on.reads) for one in compared),
        "hits": sum(one.on.figures.hits for one in compared),
        "launches": sum(one.on.figures.launches for one in compared),
        "wasted_seconds": round(sum(one.on.figures.wasted_seconds for one in compared), 3),
        "answers_equal": all(one.off.is_right and one.on.is_right for one in compared),
        "worst": [_worst(one) for one in sorted(compared, key=lambda one: -one.ratio)[:WORST]],
    }


def _both(off: float, on: float) -> dict[str, float]:
    return {"off": round(off, 3), "on": round(on, 3)}


def _worst(one: Compared) -> dict[str, Any]:
    return {
        "recorded": one.recorded,
        "sessions": {"off": one.off.session, "on": one.on.session},
        "task_seconds": _both(one.off.task_seconds, one.on.task_seconds),
        "ratio": round(one.ratio, 4),
        "reason": reason(one),
    }


def reason(one: Compared) -> str:
    """Why speculation did not help this session more: wrong answers first, then where the time went, then the guesses."""
    if one.on.problem or one.off.problem:
        return one.on.problem or f"without speculation: {one.off.problem}"
    exposed = one.on.exposed_seconds - one.off.exposed_seconds
    thinking = one.on.figures.decode_seconds - one.off.figures.decode_seconds
    rest = one.on.task_seconds - one.off.task_seconds - exposed - thinking
    where = f"reads {exposed:+.2f} s, model {thinking:+.2f} s, everything else {rest:+.2f} s"
    return f"{_guesses(one.on)}; {where}"


def _guesses(on: Lived) -> str:
    if not on.reads:
        return "no call of it only reads"
    why = Counter(read.call.reason for read in on.reads if read.call.outcome == "requested")
    served = len(on.reads) - why.total()
    unserved = ", ".join(f"{count} {text}" for text, count in why.most_common())
    return f"{served} of {len(on.reads)} reads served" + (f" ({unserved})" if unserved else "")
