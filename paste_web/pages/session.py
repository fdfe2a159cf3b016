"""One session: its page, its live view by polling, the panel of one call; stop, and run again."""

import json
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_POST

from paste_web.session_view import MOST_EVENTS_SHOWN, SessionView, may_read_payloads
from speculation import queries
from speculation.call_table import CallRow, call_rows
from speculation.models import EventRecord, Session, ToolJob
from speculation.submission import SubmissionRefused, cancel_session, submit_task

TABS = ("calls", "turns", "events", "predictions")


@login_required
@require_GET
def session_page(request: HttpRequest, session_id: UUID) -> HttpResponse:
    view = _view(request, session_id)
    events = view.read()
    tab, pick = request.GET.get("tab", ""), request.GET.get("call", "")
    context = {
        "session": view.session,
        "story": view.story,
        "seq": view.story.last_seq,
        "is_over": view.is_over,
        "parts": {name: SafeString(html) for name, html in view.parts().items()},
        "event_rows": view.event_rows(events),
        "most_events": MOST_EVENTS_SHOWN,
        "figure": view.figure(),
        "tabs": TABS,
        "chosen_tab": tab if tab in TABS else TABS[0],
        "panel": _panel(view, pick) if pick else "",
        "may_stop": request.user.has_perm("speculation.change_session"),
        "may_submit": request.user.has_perm("speculation.add_session"),
    }
    return render(request, "sessions/detail.html", context)


@login_required
@require_GET
def session_live(request: HttpRequest, session_id: UUID) -> JsonResponse:
    """What the websocket would say, for browsers that cannot hold one: a snapshot with the entries after `after`."""
    view = _view(request, session_id)
    after = request.GET.get("after", "0")
    message = view.snapshot(int(after) if after.isdecimal() else 0)
    return JsonResponse({**message, "over": view.is_over})


@login_required
@require_GET
def session_call(request: HttpRequest, session_id: UUID, pick: str) -> HttpResponse:
    """The panel of one call, or of one run that nobody asked for."""
    view = _view(request, session_id)
    view.read()
    panel = _panel(view, pick)
    if not panel:
        raise Http404
    return HttpResponse(panel)


@require_POST
@permission_required("speculation.change_session", raise_exception=True)
def stop_session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    stopped = cancel_session(get_object_or_404(Session, pk=session_id))
    messages.info(request, "Asked to stop; its runs are given up." if stopped else "It had ended already.")
    return redirect("session", session_id)


@require_POST
@permission_required("speculation.add_session", raise_exception=True)
def run_again(request: HttpRequest, session_id: UUID) -> HttpResponse:
    before = get_object_or_404(Session.objects.select_related("agent"), pk=session_id)
    speculation = request.POST.get("speculation", "auto")
    try:
        arm = speculation if speculation in ("on", "off") else "auto"
        session = submit_task(before.agent, before.task, speculation=arm, user=request.user)
    except SubmissionRefused as refusal:
        messages.error(request, str(refusal))
        return redirect("session", session_id)
    return redirect("session", session.pk)


def _view(request: HttpRequest, session_id: UUID) -> SessionView:
    session = get_object_or_404(Session.objects.select_related("agent", "pair"), pk=session_id)
    return SessionView(session, show_payloads=may_read_payloads(request.user))


def _panel(view: SessionView, pick: str) -> SafeString | str:
    told = queries.told(view.session, view.story)
    rows = call_rows(told.story, told.figures, now=told.now, show_payloads=view.show_payloads)
    row = next((row for row in rows if row.pick == pick), None)
    if row is None:
        return ""
    call = told.story.calls.get(pick)
    run = told.story.runs.get(call.job if call else pick)
    job = queries.job_of(view.session, run.job) if run else None
    arguments = call.arguments if call else run.arguments if run else {}
    return render_to_string(
        "sessions/parts/call_panel.html",
        {
            "pick": pick,
            "row": row,
            "run": run,
            "session": view.session,
            "policy_version": job.policy_version if job else None,
            "sentence": _sentence(row),
            "arguments": json.dumps(arguments, ensure_ascii=False, indent=2),
            "result": _result(view, pick, job),
            "show_payloads": view.show_payloads,
        },
    )


def _result(view: SessionView, pick: str, job: ToolJob | None) -> dict[str, Any] | None:
    """What the agent was told, else what a run that nobody asked for found."""
    returned = EventRecord.objects.filter(session=view.session, kind="call_returned", payload__call_id=pick).first()
    return returned.payload if returned else job.result if job else None


def _sentence(row: CallRow) -> str:
    """What became of it, in one sentence."""
    if row.is_part and row.state in ("used", "joined", "raised"):
        return f"{row.mark.word.capitalize()}: a guess had asked for the whole, and the part that the agent asked for was cut out."
    if row.state == "used" and row.asked_at is not None and row.run_end is not None:
        return f"Used: asked with the same arguments {max(0.0, row.asked_at - row.run_end):.1f} s after it had finished."
    if row.state == "joined":
        return f"Joined: asked for while it ran; only the last {row.waited_seconds or 0.0:.1f} s were waited for."
    if row.state == "raised":
        return "Raised: a guess was queued when the agent asked; it became the call's own run."
    if row.state == "skipped":
        return f"Run when asked for: {row.why or 'nothing had been speculated'}."
    if row.state == "guess":
        return "A guess: nobody has asked for it yet."
    if row.state == "miss":
        return "Missed: the agent never asked for it."
    return f"{row.mark.word.capitalize()}: {row.why}."
