"""A session as Chrome's trace events, which Perfetto opens. Pure.

Processes are the timeline's lanes and threads their rows, since slices of one thread must not overlap. Each slice is a
complete event (`X`), names and seals are instants (`i`), and a flow (`s`, `t`, `f`) leads from a prediction over the
launch of its run to the call that the run served. Times are whole microseconds since the session was queued. Arguments
are written with `show_payloads` alone; results and texts never.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

from speculation.figures import CallFigures, Figures
from speculation.lanes import first_fit
from speculation.spans import Prediction, Run, Turn
from speculation.story import Story
from speculation.timeline import call_text, state_of

PROCESSES = ("Model", "Predictions", "Calls", "Tools, authoritative", "Speculative")
MODEL_ROWS = ("Turns", "Decode", "Waits for tools")
PREDICTION_MICROSECONDS = 1000
"""A prediction is a moment; a flow needs a slice to start from."""

Events = list[dict[str, Any]]


@dataclass(frozen=True)
class Slice:
    """One box: `process` of PROCESSES, `row` its thread, microseconds."""

    process: str
    row: int
    name: str
    kind: str
    start: int
    end: int
    args: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> dict[str, int]:
        return {"pid": PROCESSES.index(self.process) + 1, "tid": self.row + 1}


@dataclass(frozen=True)
class _Reader:
    """What every slice needs: the story, its end in seconds, and what may be shown."""

    story: Story
    end_seconds: float
    show_payloads: bool

    def microseconds(self, seconds: float) -> int:
        return round((seconds - min(0.0, self.story.queued_at or 0.0)) * 1e6)

    def slice(
        self, process: str, row: int, name: str, kind: str, start: float, end: float | None, /, **args: Any
    ) -> Slice:
        """`end` None: still open, drawn until now and marked so."""
        start_at, end_at = self.microseconds(start), self.microseconds(self.end_seconds if end is None else end)
        known = {key: value for key, value in args.items() if value not in (None, "", {})}
        if end is None:
            known["open"] = True
        return Slice(process, row, name, kind, start_at, max(start_at, end_at), known)

    def arguments(self, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return arguments if self.show_payloads else None


def chrome_trace(
    story: Story, figures: Figures, *, title: str, now: float | None = None, show_payloads: bool = False
) -> dict[str, Any]:
    """The document. `title` names the session; `now`: seconds since its start, while it runs."""
    end = story.ended_at if story.ended_at is not None else max(story.last_at, now or 0.0)
    reader = _Reader(story, end, show_payloads)
    predictions = _in_rows([[each] for each in _predictions(reader)])
    calls = _in_rows([[_call(reader, call)] for call in _by_ask(figures)])
    own = _in_rows([_run(reader, run, "Tools, authoritative") for run in _by_queue(story) if not _is_ahead(run)])
    ahead = _in_rows([_run(reader, run, "Speculative") for run in _by_queue(story) if _is_ahead(run)])
    slices = [*_model(reader, figures), *predictions, *calls, *own, *ahead]
    events = [_complete(each) for each in slices] + _instants(reader) + _flows(predictions, ahead, calls)
    return {
        "traceEvents": _names(slices, title) + sorted(events, key=_by_time),
        "displayTimeUnit": "ms",
        "otherData": {"session": title, "has_ended": story.has_ended, "figures": figures.to_json()},
    }


def _by_ask(figures: Figures) -> list[CallFigures]:
    return sorted(figures.calls, key=lambda call: call.call.asked_at)


def _by_queue(story: Story) -> list[Run]:
    return sorted(story.runs.values(), key=lambda run: run.queued_at)


def _is_ahead(run: Run) -> bool:
    """A guess that started before it was asked for, or was never asked for; one raised from the queue is the call's own."""
    return run.ran_ahead or run.is_unasked


def _model(reader: _Reader, figures: Figures) -> Iterable[Slice]:
    for turn in reader.story.turns:
        yield reader.slice(
            "Model", 0, f"turn {turn.number}", "turn", turn.started_at, turn.ended_at,
            turn=turn.number, tools=turn.tools or None, finish_reason=turn.finish_reason, abandoned=turn.is_abandoned or None,
        )  # fmt: skip
        yield from _phases(reader, turn)
    for each in figures.turns:
        if each.asked_at is not None and each.waited_seconds > 0:
            end = each.asked_at + each.waited_seconds
            saved = round(each.net_saved_seconds, 6)
            yield reader.slice(
                "Model", 2, "waits", "waits", each.asked_at, end, turn=each.turn, net_saved_seconds_estimated=saved
            )


def _phases(reader: _Reader, turn: Turn) -> Iterable[Slice]:
    """Waiting for the endpoint, reading the prompt, decoding: each from where the one before ended."""
    moments = [
        turn.started_at,
        turn.seated_at if turn.is_queued else turn.started_at,
        turn.first_token_at,
        turn.ended_at,
    ]
    phases = (("queued", "queued"), ("reads the prompt", "prefill"), ("decodes", "decode"))
    for (name, kind), start, end in zip(phases, moments, moments[1:], strict=False):
        until = end if end is not None else turn.ended_at
        if start is not None and until != start:
            yield reader.slice("Model", 1, name, kind, start, until, turn=turn.number)


def _predictions(reader: _Reader) -> list[Slice]:
    """One slice a moment, begun no later than the first run it led to was queued: the log may name the run first."""
    moments = sorted(
        ((_predicted_at(reader.story, each), each) for each in reader.story.predictions), key=itemgetter(0)
    )
    slices = []
    for index, (at, each) in enumerate(moments):
        start = reader.microseconds(at)
        following = (
            reader.microseconds(moments[index + 1][0]) if index + 1 < len(moments) else start + PREDICTION_MICROSECONDS
        )
        end = max(start + 1, min(start + PREDICTION_MICROSECONDS, following))
        candidates = [_candidate(reader, one) for one in each.candidates]
        args = {"turn": each.turn, "candidates": candidates, "jobs": _jobs(each)}
        slices.append(Slice("Predictions", 0, f"{len(candidates)} expected", "prediction", start, end, args))
    return slices


def _predicted_at(story: Story, prediction: Prediction) -> float:
    return min([prediction.at, *(story.runs[job].queued_at for job in _jobs(prediction) if job in story.runs)])


def _jobs(prediction: Prediction) -> list[str]:
    return [str(one["job"]) for one in prediction.candidates if one.get("job")]


def _candidate(reader: _Reader, candidate: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        name: candidate[name]
        for name in ("probability", "utility", "verdict", "job")
        if candidate.get(name) is not None
    }
    arguments = candidate.get("arguments") or {}
    return {"call": call_text(candidate.get("tool", ""), arguments, reader.show_payloads), **kept}


def _call(reader: _Reader, call: CallFigures) -> Slice:
    asked = call.call
    return reader.slice(
        "Calls", 0, call_text(asked.tool, asked.arguments, reader.show_payloads), "call", asked.asked_at, asked.returned_at,
        call_id=asked.call_id, turn=asked.turn, outcome=asked.outcome, reason=asked.reason, effect=asked.effect, job=asked.job,
        ok=asked.ok, waited_seconds=round(call.waited_seconds, 6), hidden_seconds=round(call.hidden_seconds, 6),
        without_seconds_estimated=round(call.without_seconds, 6), arguments=reader.arguments(asked.arguments),
    )  # fmt: skip


def _run(reader: _Reader, run: Run, process: str) -> list[Slice]:
    """Queued and running apart. A run given up before it started has its wait alone."""
    over = reader.end_seconds if reader.story.has_ended else None
    text = call_text(run.tool, run.arguments, reader.show_payloads)
    started_at, ended_at = run.first_started_at, run.ended_at if run.ended_at is not None else over
    args = {
        "job": run.job, "call_id": run.call_id, "outcome": state_of(reader.story, run), "reason": run.reason,
        "probability": run.probability, "utility_seconds": run.utility, "pattern": run.pattern,
        "attempts": run.attempts if run.attempts > 1 else None, "arguments": reader.arguments(run.arguments),
        "sources": run.sources if reader.show_payloads else None,
    }  # fmt: skip
    slices = []
    waited_until = started_at if started_at is not None else ended_at
    if waited_until is None or reader.microseconds(waited_until) > reader.microseconds(run.queued_at):
        slices.append(reader.slice(process, 0, f"queued: {text}", "queued", run.queued_at, waited_until, **args))
    if started_at is not None:
        slices.append(reader.slice(process, 0, text, "run", started_at, ended_at, **args))
    return slices


def _in_rows(groups: Iterable[list[Slice]]) -> list[Slice]:
    """Each group whole on the first row where it overlaps nothing; none is empty, since flows start and end in them."""
    groups = sorted((group for group in groups if group), key=lambda group: group[0].start)
    ends = [max(group[-1].end, group[-1].start + 1) for group in groups]
    rows = first_fit([(group[0].start, end) for group, end in zip(groups, ends, strict=True)])
    return [
        replace(each, row=row, end=max(each.end, each.start + 1))
        for row, group in zip(rows, groups, strict=True)
        for each in group
    ]


def _complete(each: Slice) -> dict[str, Any]:
    place = {"ph": "X", "ts": each.start, "dur": each.end - each.start, **each.place}
    return {"name": each.name, "cat": each.kind, **place, "args": dict(each.args)}


def _instants(reader: _Reader) -> Events:
    """Where a tool's name became known, and where its arguments were sealed."""
    place = {"ph": "i", "s": "t", "pid": 1, "tid": MODEL_ROWS.index("Decode") + 1}
    return [
        {"name": f"{what}: {tool}", "cat": kind, "ts": reader.microseconds(at), **place, "args": {"turn": turn.number}}
        for turn in reader.story.turns
        for kind, what, marks in (("named", "name known", turn.named), ("sealed", "arguments sealed", turn.sealed))
        for at, _, tool in marks
    ]


def _flows(predictions: Sequence[Slice], ahead: Sequence[Slice], calls: Sequence[Slice]) -> Events:
    """Prediction, launch, promotion, as far as each is known; a flow of one step is none."""
    launched: dict[str, Slice] = {}
    for each in ahead:
        if each.args["job"] not in launched or each.kind == "run":
            launched[each.args["job"]] = each
    foreseen = {job: each for each in reversed(predictions) for job in each.args["jobs"]}
    served = {each.args["call_id"]: each for each in calls}
    events = []
    for number, (job, launch) in enumerate(launched.items(), start=1):
        steps = [foreseen.get(job), launch, served.get(launch.args.get("call_id", ""))]
        events += _flow(number, [step for step in steps if step is not None])
    return events


def _flow(number: int, steps: Sequence[Slice]) -> Events:
    if len(steps) < 2:
        return []
    phases = ["s", *["t"] * (len(steps) - 2), "f"]
    common = {"name": "speculation", "cat": "speculation", "id": number}
    events: Events = [
        {**common, "ph": phase, "ts": step.start, **step.place} for phase, step in zip(phases, steps, strict=True)
    ]
    events[-1]["bp"] = "e"  # it ends in the slice around it, not in the next one
    return events


def _names(slices: Iterable[Slice], title: str) -> Events:
    rows: dict[str, int] = dict.fromkeys(PROCESSES, 1) | {"Model": len(MODEL_ROWS)}
    for each in slices:
        rows[each.process] = max(rows[each.process], each.row + 1)
    events: Events = []
    for pid, (process, count) in enumerate(rows.items(), start=1):
        events.append(_meta("process_name", pid, 0, name=f"{process} · {title}"))
        events.append(_meta("process_sort_index", pid, 0, sort_index=pid))
        for row in range(count):
            name = MODEL_ROWS[row] if process == "Model" else process  # Perfetto writes the row's number behind it
            events.append(_meta("thread_name", pid, row + 1, name=name))
            events.append(_meta("thread_sort_index", pid, row + 1, sort_index=row + 1))
    return events


def _meta(kind: str, pid: int, tid: int, **args: Any) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": pid, "tid": tid, "args": args}


def _by_time(event: Mapping[str, Any]) -> tuple[int, int]:
    """Slices before the flows that start in them, flows in the order of their steps."""
    return event["ts"], "Xistf".index(event["ph"])
