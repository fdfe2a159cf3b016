"""What came of a run: each session judged by its log, its jobs, its world and the witness, against serial execution."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from paste_web.chaos import promises
from paste_web.chaos.promises import Broken
from paste_web.chaos.serial import Answer, State, Truth, answer_of, state_of
from speculation.models import EventRecord, Session, SessionStatus, ToolJob
from tools.base import SideEffect, ToolResult

FAULTS_THAT_TOOLS_TELL = (
    "The records cannot be reached",
    "The tool did not end within",
    "No answer within",
    "Stopped after",
)
"""How a tool's own error begins that comes of a server or a worker being away. It is told to the agent as what it is."""
CLOCK_TICK = timedelta(milliseconds=50)
"""A file system's time of change is coarser than the database's clock."""
LEFT_BY_A_KILLED_WRITE = ".writing-"


@dataclass
class Verdict:
    """All sessions together. `told_of_a_fault`: sessions whose agent was told of an unknown outcome or an absent server."""

    sessions: int = 0
    broken: list[Broken] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    told_of_a_fault: int = 0
    equal_states: int = 0

    def lose(self, unsubmitted: int) -> None:
        """Sessions that were to be and never came to be are as lost as any."""
        self.sessions += unsubmitted
        self.broken += [Broken("lost_sessions", "none", "never submitted")] * unsubmitted

    def count(self, promise: str) -> int:
        return sum(one.promise == promise for one in self.broken)


@dataclass(frozen=True)
class Lived:
    """One session as it was found in the end."""

    session: Session
    log: Sequence[EventRecord]
    jobs: Sequence[ToolJob]
    writes: Sequence[datetime]
    state: State
    changed_at: Mapping[str, datetime]
    """When each file was changed last, by its name in `state`."""


def judge(lived: Iterable[Lived], truths: Mapping[tuple[str, str], Truth]) -> Verdict:
    """`truths` by agent and task."""
    verdict = Verdict()
    for one in lived:
        verdict.sessions += 1
        _judge_one(verdict, one, truths[one.session.agent.name, one.session.task])
    return verdict


def _judge_one(verdict: Verdict, one: Lived, truth: Truth) -> None:
    name = one.session.short_id
    faulty = faulty_calls(one.log)

    def note(promise: str, found: Iterable[str]) -> None:
        verdict.broken += [Broken(promise, name, what) for what in found]

    if one.session.status != SessionStatus.SUCCEEDED:
        note("lost_sessions", [f"{one.session.status}: {one.session.error}"])
    else:
        ends = promises.without_one_ending(one.log)
        note("calls_without_one_ending", [f"{call_id}: {told or 'no answer'}" for call_id, told in ends.items()])
    note("double_answers", promises.answered_twice(one.log, one.jobs))
    note("early_side_effects", [*promises.early_side_effects(one.log), *unasked_writes(one), *early_files(one, truth)])
    promoted = promises.promoted_calls(one.log)
    wrong = wrong_answers(one.log, truth, faulty, is_whole=one.session.status == SessionStatus.SUCCEEDED)
    note("stale_results", [*promises.stale_promotions(one.log), *(wrong[call] for call in wrong if call in promoted)])
    note("wrong_results", [wrong[call] for call in wrong if call not in promoted])
    note("stuck_jobs", promises.stuck(one.jobs))
    note("open_changes", [f"epoch {one.session.epoch}"] * (one.session.epoch % 2))
    note("gaps_in_logs", promises.gaps(one.log))
    note("unequal_states", unequal(one, truth, faulty))
    verdict.equal_states += one.state == truth.states[-1]
    verdict.told_of_a_fault += bool(faulty)
    for told in promises.endings(one.log).values():
        verdict.endings.update(told)
    verdict.counts["promoted_calls"] += len(promoted)
    verdict.counts["sessions_resumed"] += one.session.attempt > 1
    verdict.counts["jobs_run_again"] += sum(job.attempt > 1 for job in one.jobs)
    verdict.counts["guesses"] += sum(job.call_id is None or job.promoted_at is not None for job in one.jobs)


def returned(log: Sequence[EventRecord]) -> dict[str, dict[str, Any]]:
    """What the agent was told of each call."""
    return {event.payload["call_id"]: event.payload for event in log if event.kind == "call_returned"}


def faulty_calls(log: Sequence[EventRecord]) -> set[str]:
    """Calls whose agent was told the truth about a fault: an unknown outcome, or a server that was away."""
    return {
        call_id
        for call_id, told in returned(log).items()
        if told["unknown_outcome"] or (not told["ok"] and told["content"].startswith(FAULTS_THAT_TOOLS_TELL))
    }


def wrong_answers(log: Sequence[EventRecord], truth: Truth, faulty: set[str], is_whole: bool) -> dict[str, str]:
    """Calls that were asked or answered otherwise than in serial execution, up to the first turn that met a fault.

    After that turn the agent knows of the fault and may rightly do something else. `is_whole`: the session succeeded, so
    that no call may be missing.
    """
    asked = {event.payload["call_id"]: event.payload["arguments"] for event in log if event.kind == "call_asked"}
    last_turn = min((_turn(call_id) for call_id in faulty), default=None)
    told = {
        call_id: answer
        for call_id, answer in returned(log).items()
        if call_id not in faulty and (last_turn is None or _turn(call_id) <= last_turn)
    }
    wrong = {
        call_id: f"{call_id} ({answer['tool']}) differs from serial execution"
        for call_id, answer in told.items()
        if _answer(answer, asked.get(call_id, {})) != truth.answers.get(call_id)
    }
    if is_whole and last_turn is None:
        wrong |= {call_id: f"{call_id} was never asked" for call_id in truth.answers.keys() - told.keys()}
    return wrong


def _answer(told: Mapping[str, Any], arguments: Mapping[str, Any]) -> Answer:
    return answer_of(told["tool"], arguments, ToolResult.from_json(told))


def _turn(call_id: str) -> int:
    return int(call_id.partition(".")[0])


def unasked_writes(one: Lived) -> list[str]:
    """Writes that the witness saw and for which no run of a writing tool had started by then."""
    starts = [event.at for event in promises.attempts_by_tool(one.log).get("update_record", ())]
    return [
        f"write {number} of the records at {at:%H:%M:%S.%f} came before its call"
        for number, at in enumerate(one.writes)
        if sum(start <= at for start in starts) <= number
    ]


def early_files(one: Lived, truth: Truth) -> list[str]:
    """Files that were changed before the first call that may change something was asked for."""
    asked = [e.at for e in one.log if e.kind == "call_asked" and e.payload["effect"] != SideEffect.NONE]
    changed = {name: at for name, at in one.changed_at.items() if one.state[name] != truth.states[0].get(name)}
    return [f"{name} was changed early" for name, at in changed.items() if not asked or at < min(asked) - CLOCK_TICK]


def unequal(one: Lived, truth: Truth, faulty: set[str]) -> list[str]:
    """The world as serial execution leaves it; after a fault that was told, as it was at some step of serial execution."""
    if not faulty:
        return [] if one.state == truth.states[-1] else [_difference(one.state, truth.states[-1])]
    kept = {name: digest for name, digest in one.state.items() if LEFT_BY_A_KILLED_WRITE not in name}
    return [] if kept in truth.states else [f"no step of serial execution has {_difference(kept, truth.states[-1])}"]


def _difference(found: State, wanted: State) -> str:
    return ", ".join(sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)))


def read(session: Session, writes: Mapping[str, Sequence[datetime]], connection: psycopg.Connection[Any]) -> Lived:
    """The session with all that is left of it. `connection` reads its records."""
    root, schema = Path(session.world.get("root", "/nonexistent")), session.world.get("schema", "")
    state = state_of(root, schema, connection)
    stamps = {name: (root / name.removeprefix("file ")).stat().st_mtime for name in state if name.startswith("file ")}
    return Lived(
        session=session,
        log=list(EventRecord.objects.filter(session=session).order_by("seq")),
        jobs=list(ToolJob.objects.filter(session=session).select_related("tool")),
        writes=writes.get(schema, ()),
        state=state,
        changed_at={name: datetime.fromtimestamp(stamp).astimezone() for name, stamp in stamps.items()},
    )
