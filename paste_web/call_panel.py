"""The panel of one call, or of a run that nobody asked for: when, why, from what, and what it came to in one sentence."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from paste_web.drawn import Drawn
from paste_web.redaction import source_in_short
from paste_web.session_view import SessionView
from speculation import queries
from speculation.call_table import CallRow
from speculation.links import refuted_at, trigger_of
from speculation.models import EventRecord, ToolJob
from speculation.spans import Run


@dataclass(frozen=True)
class Step:
    """One moment of a guess's life, from what triggered it to its promotion or its end."""

    name: str
    at: float
    text: str = ""


def panel_of(view: SessionView, pick: str) -> SafeString | str:
    """Its HTML; empty if there is no such call or run. `view` must have read its log."""
    drawn = view.parts().drawn
    rows, index = drawn.rows, drawn.places.get(pick)
    if index is None:
        return ""
    row, call = rows[index], view.story.calls.get(pick)
    run = view.story.runs.get(call.job if call else pick)
    job = queries.job_of(view.session, run.job) if run else None
    return render_to_string(
        "sessions/parts/call_panel.html",
        {
            "pick": pick,
            "row": row,
            "run": run,
            "session": view.session,
            "tool": job.tool if job else None,
            "policy_version": job.policy_version if job else None,
            "is_warmed": job.warmed if job else False,
            "previous": rows[index - 1].pick if index else "",
            "next": rows[index + 1].pick if index + 1 < len(rows) else "",
            "middle": _middle(row),
            "sentence": sentence_of(row),
            "steps": steps_of(drawn, run) if run and run.is_guess else [],
            "sources": _sources(drawn, run),
            "arguments": json.dumps(
                call.arguments if call else run.arguments if run else {}, ensure_ascii=False, indent=2
            ),
            "result": _result(view, pick, job),
            "show_payloads": view.show_payloads,
        },
    )


def _middle(row: CallRow) -> float:
    """A moment at which its bar can be seen."""
    known = [at for at in (row.run_start, row.asked_at) if at is not None]
    return max(known, default=0.0)


def _sources(drawn: Drawn, run: Run | None) -> Mapping[str, str]:
    if run is None or drawn.show_payloads:
        return run.sources if run else {}
    return {name: source_in_short(source, drawn.tools) for name, source in run.sources.items()}


def _result(view: SessionView, pick: str, job: ToolJob | None) -> dict[str, Any] | None:
    """What the agent was told, else what a run that nobody asked for found."""
    returned = EventRecord.objects.filter(session=view.session, kind="call_returned", payload__call_id=pick).first()
    return returned.payload if returned else job.result if job else None


def steps_of(drawn: Drawn, run: Run) -> Sequence[Step]:
    """Trigger, prediction, launch, and promotion or what ruled it out, as far as they are known."""
    predicted = drawn.predicted.get(run.job, run.queued_at)
    trigger = trigger_of(drawn.moments, predicted)
    steps = [Step("Triggered", trigger.at, trigger.text)] if trigger else []
    steps.append(Step("Predicted", predicted))
    if run.first_started_at is not None:
        steps.append(Step("Launched", run.first_started_at))
    if run.asked_at is not None:
        steps.append(Step("Promoted", run.asked_at, f"to call {run.call_id}"))
    elif drawn.told.story.has_ended and not run.is_warm_up and (at := refuted_at(run, drawn.seals)) is not None:
        steps.append(Step("Ruled out", at, f"{run.tool} was asked for with other arguments"))
    if run.given_up_at is not None:
        steps.append(Step("Given up", run.given_up_at, run.reason))
    return steps


def sentence_of(row: CallRow) -> str:
    """What became of it."""
    if row.is_part and row.state in ("used", "joined", "raised"):
        return f"{row.mark.word.capitalize()}: a guess had asked for the whole, and the part that the agent asked for was cut out."
    if row.state == "used" and row.asked_at is not None and row.run_end is not None:
        return (
            f"Used: asked with the same arguments {max(0.0, row.asked_at - row.run_end):.1f} s after it had finished."
        )
    if row.state == "joined":
        return f"Joined: asked for while it ran; only the last {row.waited_seconds or 0.0:.1f} s were waited for."
    return _OTHERS.get(row.state, "").format(why=row.why or "nothing had been speculated") or (
        f"{row.mark.word.capitalize()}: {row.why}."
    )


_OTHERS = {
    "raised": "Raised: a guess was queued when the agent asked; it became the call's own run.",
    "skipped": "Run when asked for: {why}.",
    "guess": "A guess: nobody has asked for it yet.",
    "warm_up": "A warm-up: it makes the call quicker that may follow, and answers none.",
    "miss": "Missed: the agent never asked for it.",
}
