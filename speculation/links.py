"""How a guess hangs together with the model's words: what triggered it, what it served, what ruled it out. Pure; seconds."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

from speculation.bars import Bar, Link, Tick
from speculation.engine.evidence import REFUTED
from speculation.figures import SERVED
from speculation.spans import Run
from speculation.story import Story


class Moment(NamedTuple):
    """Something that came to be known, in words; `pick` is the call, if it was a call's answer."""

    at: float
    text: str
    pick: str = ""


_AT = attrgetter("at")


def ticks_of(story: Story) -> list[Tick]:
    ticks = [Tick(at, "named", f"name known: {tool}") for turn in story.turns for at, _, tool in turn.named]
    ticks += [Tick(at, "sealed", f"arguments sealed: {tool}") for turn in story.turns for at, _, tool in turn.sealed]
    skipped = [call for call in story.calls.values() if call.outcome not in SERVED]
    ticks += [Tick(call.asked_at, "skipped", f"{call.tool}: {call.reason or 'skipped'}") for call in skipped]
    return ticks


def predicted_at(story: Story) -> dict[str, float]:
    """By job, the moment of the prediction that led to it; runs whose prediction the log does not name are not in it."""
    named = {
        str(one["job"]): each.at for each in reversed(story.predictions) for one in each.candidates if one.get("job")
    }
    return {job: min(at, story.runs[job].queued_at) for job, at in named.items() if job in story.runs}


def moments_of(story: Story) -> list[Moment]:
    """All that a prediction may have been made on, in order."""
    known = [Moment(story.started_at, "the task")] if story.started_at is not None else []
    for turn in story.turns:
        known.append(Moment(turn.started_at, f"turn {turn.number} began"))
        known += [Moment(at, f"the model named {tool}") for at, _, tool in turn.named]
        known += [Moment(at, f"the model sealed the arguments of {tool}") for at, _, tool in turn.sealed]
        if turn.ended_at is not None:
            known.append(Moment(turn.ended_at, f"turn {turn.number} ended"))
    answered = [call for call in story.calls.values() if call.returned_at is not None]
    known += [Moment(call.returned_at or 0.0, f"{call.tool} answered", call.call_id) for call in answered]
    return sorted(known, key=_AT)


def trigger_of(moments: Sequence[Moment], at: float) -> Moment | None:
    """The last thing that came to be known before `at`."""
    index = bisect_right(moments, at, key=_AT)
    return moments[index - 1] if index else None


def seals_of(story: Story) -> dict[str, list[float]]:
    """By tool, when its arguments were sealed, in order."""
    seals: dict[str, list[float]] = {}
    for turn in story.turns:
        for at, _, tool in turn.sealed:
            seals.setdefault(tool, []).append(at)
    return seals


def refuted_at(run: Run, seals: dict[str, list[float]]) -> float | None:
    """When the model's words ruled a miss out: the engine said so, or the same tool was sealed with other arguments."""
    if run.reason == REFUTED:
        return run.given_up_at
    later = seals.get(run.tool, [])
    index = bisect_left(later, run.queued_at)
    return later[index] if index < len(later) else None


def links_of(story: Story, guesses: Sequence[Bar]) -> list[Link]:
    """The links of the guesses' bars, by their rows."""
    predicted, moments, seals = predicted_at(story), moments_of(story), seals_of(story)
    by_pick = {run.call_id or run.job: run for run in story.runs.values() if run.is_guess}
    links: list[Link] = []
    for bar in guesses:
        run = by_pick.get(bar.pick)
        if run is None or bar.state in ("queued", "joined_after"):
            continue
        at = predicted.get(run.job, run.queued_at)
        trigger = trigger_of(moments, at)
        links.append(
            Link("launch", bar.pick, [(trigger.at if trigger else at, "model", 0), (bar.start, "guess", bar.row)])
        )
        links += _fate(story, run, bar, seals)
    return links


def _fate(story: Story, run: Run, bar: Bar, seals: dict[str, list[float]]) -> list[Link]:
    """From the run up to the call it served, or to the words that ruled it out."""
    call = story.calls.get(bar.pick)
    if bar.state in ("used", "joined") and call is not None and bar.end is not None:
        return [
            Link(
                "promotion",
                bar.pick,
                [(at, "guess", bar.row) for at in (bar.end, call.asked_at)] + [(call.asked_at, "tools", 0)],
            )
        ]
    if bar.state == "miss" and bar.end is not None and (at := refuted_at(run, seals)) is not None:
        return [Link("refuted", bar.pick, [(bar.end, "guess", bar.row), (at, "guess", bar.row), (at, "model", 0)])]
    return []
