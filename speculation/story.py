"""One session's log read as spans: turns, calls, runs. Pure: entries in, in the order of their seq; seconds out.

Moments are seconds since the session started (before that, since it was queued), so a queued moment may be negative.
Figures and timeline both read a `Story`; neither reads the log itself. Kinds and payloads: see events.py.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from speculation.spans import FREE, Call, Prediction, Run, Turn, WorkKey, work_key

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class LogEntry(Protocol):
    """A row of the log, or anything shaped like one."""

    @property
    def seq(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def at(self) -> datetime: ...
    @property
    def payload(self) -> Mapping[str, Any]: ...


class Story:
    """Grows by `add`, entry by entry; unknown kinds are skipped, repeated entries too."""

    def __init__(self, entries: Iterable[LogEntry] = ()) -> None:
        self._origin: int | None = None
        self.last_seq = 0
        self.last_at = 0.0
        self.queued_at: float | None = None
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.status = "queued"
        self.answer: str | None = None
        self.error: str | None = None
        self.facts: Mapping[str, Any] = {}
        self.turns: list[Turn] = []
        self.calls: dict[str, Call] = {}
        self.runs: dict[str, Run] = {}
        self.last_asked_at: dict[WorkKey, float] = {}
        self.predictions: list[Prediction] = []
        self.resumed_at: list[float] = []
        self._foreseen: dict[WorkKey, float] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: LogEntry) -> None:
        self.take(entry.seq, entry.kind, _microseconds(entry.at), entry.payload)

    def take(self, seq: int, kind: str, moment: int, payload: Mapping[str, Any]) -> None:
        """The same for who has its moment as microseconds since 1970."""
        if seq <= self.last_seq:
            return
        if self._origin is None or kind == "session_started":
            self._set_origin(moment)
        at = self._seconds_at(moment)
        read = _READERS.get(kind)
        if read is not None:
            read(self, at, payload)
        self.last_seq = seq
        if at > self.last_at:
            self.last_at = at

    @property
    def origin(self) -> datetime | None:
        return None if self._origin is None else EPOCH + self._origin * MICROSECOND

    def seconds_at(self, moment: datetime) -> float:
        return self._seconds_at(_microseconds(moment))

    def _seconds_at(self, moment: int) -> float:
        return 0.0 if self._origin is None else (moment - self._origin) / 1_000_000

    def _set_origin(self, moment: int) -> None:
        if self.queued_at is not None:
            self.queued_at -= self._seconds_at(moment)
        self._origin = moment
        self.last_at = 0.0

    def turn(self, number: int) -> Turn | None:
        """The last attempt at this turn."""
        return next((turn for turn in reversed(self.turns) if turn.number == number), None)

    @property
    def has_ended(self) -> bool:
        return self.ended_at is not None


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


def _queued(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    story.queued_at, story.facts = at, payload


def _started(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    story.started_at, story.status = at, "running"


def _resumed(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    if payload.get("parked"):  # nobody was lost, and its turn goes on
        return
    story.resumed_at.append(at)
    for turn in story.turns:
        if turn.ended_at is None:
            turn.ended_at, turn.is_abandoned = story.last_at, True


def _ended(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    """A turn that a remote agent did not end was none: it was waited for in vain."""
    if as_of := payload.get("as_of"):
        at = story.seconds_at(datetime.fromisoformat(as_of))
        story.turns = [turn for turn in story.turns if turn.ended_at is not None]
    story.ended_at, story.status = at, payload.get("status", "")
    story.answer, story.error = payload.get("answer"), payload.get("error")
    for turn in story.turns:
        if turn.ended_at is None:
            turn.ended_at, turn.is_abandoned = at, True


def _turn_started(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    """Of a model that nobody hears, since its agent runs elsewhere, the whole turn counts as decoding."""
    first_token_at = at if story.facts.get("elsewhere") else None
    story.turns.append(Turn(number=payload["turn"], started_at=at, first_token_at=first_token_at))


def _turn_queued(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    if turn := story.turn(payload["turn"]):
        turn.is_queued = True


def _turn_seated(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    if turn := story.turn(payload["turn"]):
        turn.seated_at = at


def _first_token(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    if turn := story.turn(payload["turn"]):
        turn.first_token_at = at


def _tool_named(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    if turn := story.turn(payload["turn"]):
        turn.named.append((at, payload["index"], payload["tool"]))


def _arguments_sealed(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    if turn := story.turn(payload["turn"]):
        turn.sealed.append((at, payload["index"], payload["tool"]))


def _turn_ended(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    if turn := story.turn(payload["turn"]):
        turn.ended_at, turn.text = at, payload.get("text", "")
        turn.tools = [call["tool"] for call in payload.get("calls", ())]
        turn.finish_reason = payload.get("finish_reason", "")


def _turn_extended(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    if turn := story.turn(payload["turn"]):
        turn.tools += [call["tool"] for call in payload["calls"]]


def _predicted(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    candidates, abstained = list(payload.get("candidates", ())), list(payload.get("abstained", ()))
    story.predictions.append(Prediction(at, payload.get("turn", 0), candidates, abstained))
    for candidate in candidates:
        story._foreseen.setdefault(work_key(candidate["tool"], candidate.get("arguments", {})), at)


def _job_queued(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    story.runs[payload["job"]] = Run(
        job=payload["job"],
        tool=payload["tool"],
        arguments=payload.get("arguments", {}),
        is_guess=bool(payload.get("speculative")),
        queued_at=at,
        probability=payload.get("probability"),
        utility=payload.get("utility"),
        pattern=str(payload.get("pattern") or ""),
        sources=payload.get("sources") or {},
        is_warm_up=bool(payload.get("warm_up")),
        price=Decimal(price) if (price := payload.get("price")) else FREE,
        call_id=payload.get("call_id") or "",
    )


def _job_started(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    if run := story.runs.get(payload["job"]):
        run.started_at, run.ended_at, run.status = at, None, "running"
        run.first_started_at = at if run.first_started_at is None else run.first_started_at
        run.attempts += 1


def _job_ended(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    if run := story.runs.get(payload["job"]):
        run.ended_at, run.status = at, payload.get("status", "")


def _job_given_up(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    if run := story.runs.get(payload["job"]):
        run.given_up_at, run.status, run.reason = at, "preempted", payload.get("reason", "")
        if run.started_at is None:
            run.ended_at = at


def _job_released(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    if run := story.runs.get(payload["job"]):
        run.ended_at = at


def _job_discarded(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    if run := story.runs.get(payload["job"]):
        run.given_up_at, run.status, run.reason = at, "discarded", payload.get("reason", "")
        run.call_id, run.asked_at = "", None  # a call had joined it, in vain


def _job_retried(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    if run := story.runs.get(payload["job"]):
        run.ended_at, run.status = None, "queued"


def _call_asked(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    """A call that is asked again has another job: the whole that it had joined did not give its part."""
    call_id, job = payload["call_id"], payload.get("job") or ""
    earlier = story.calls.get(call_id)
    if earlier is not None and earlier.job == job:
        return
    story.calls[call_id] = call = Call(
        call_id=call_id,
        turn=payload["turn"],
        tool=payload["tool"],
        arguments=payload.get("arguments", {}),
        effect=payload.get("effect", ""),
        job=job,
        outcome=payload["outcome"],
        reason=payload.get("reason") or "",
        asked_at=earlier.asked_at if earlier else at,
        part_of=payload.get("part_of"),
    )
    key = call.key
    call.foreseen_at = story._foreseen.get(key)
    story.last_asked_at[key] = at
    if run := story.runs.get(job):
        run.call_id = call_id
        run.asked_at = at


def _call_returned(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    if (call := story.calls.get(payload["call_id"])) and call.returned_at is None:
        call.returned_at, call.ok = at, payload.get("ok")
        call.is_outcome_unknown = bool(payload.get("unknown_outcome"))


def _epoch_stepped(story: Story, at: float, payload: Mapping[str, Any]) -> None:
    story._foreseen.clear()


_READERS = {
    "session_queued": _queued,
    "session_started": _started,
    "session_resumed": _resumed,
    "session_ended": _ended,
    "turn_started": _turn_started,
    "turn_queued": _turn_queued,
    "turn_seated": _turn_seated,
    "first_token": _first_token,
    "tool_named": _tool_named,
    "arguments_sealed": _arguments_sealed,
    "turn_ended": _turn_ended,
    "turn_extended": _turn_extended,
    "predicted": _predicted,
    "job_queued": _job_queued,
    "job_started": _job_started,
    "job_ended": _job_ended,
    "job_preempted": _job_given_up,
    "job_released": _job_released,
    "job_discarded": _job_discarded,
    "job_retried": _job_retried,
    "call_asked": _call_asked,
    "call_returned": _call_returned,
    "epoch_stepped": _epoch_stepped,
}
