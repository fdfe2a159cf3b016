"""One session: its page, its live view by polling, the panel of one call; stop, and run again."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_POST

from paste_web.call_panel import panel_of
from paste_web.redaction import may_read_payloads
from paste_web.session_parts import PARTS
from paste_web.session_view import SessionView
from paste_web.sight import Sight
from speculation.models import Session, ToolJob
from speculation.submission import SubmissionRefused, cancel_session, submit_task
from speculation.warm_ups import IS_WARM_UP

TABS = ("calls", "turns", "events", "predictions")


@login_required
@require_GET
def session_page(request: HttpRequest, session_id: UUID) -> HttpResponse:
    view = _view(request, session_id)
    is_unread = view.takes_long_to_read and "whole" not in request.GET
    tab = request.GET.get("tab", "")
    context = {
        "session": view.session,
        "tabs": TABS,
        "chosen_tab": tab if tab in TABS else TABS[0],
        "may_stop": request.user.has_perm("speculation.change_session"),
        "may_run_again": request.user.has_perm("speculation.add_session") and view.session.agent.takes_tasks,
        **(_unread(view) if is_unread else _told(view)),
    }
    page = render(request, "sessions/detail.html", context)
    view.leave()
    return page


def _told(view: SessionView) -> dict[str, Any]:
    view.read()
    parts = view.parts()
    return {
        "story": view.story,
        "seq": view.story.last_seq,
        "is_over": view.is_over,
        "parts": {name: SafeString(parts.html(name)) for name in (*PARTS, "events")},
        "figure": parts.figure,
        "has_warm_ups": any(run.is_warm_up for run in view.story.runs.values()),
        "panel": panel_of(view, view.sight.call) if view.sight.call else "",
    }


def _unread(view: SessionView) -> dict[str, Any]:
    """What is known without the log; the browser asks for the rest, as it would after it had lost the websocket."""
    session = view.session
    head = render_to_string("sessions/parts/head.html", {"session": session})
    return {
        "story": None,
        "seq": 0,
        "is_over": session.has_ended,
        "parts": {"head": head},
        "figure": None,
        "has_warm_ups": ToolJob.objects.filter(IS_WARM_UP, session=session).exists(),
    }


@login_required
@require_GET
def session_live(request: HttpRequest, session_id: UUID) -> JsonResponse:
    """What the websocket would say, for browsers that have none: a snapshot with the entries after `after`; with `look`,
    what another range or page shows; with `look=range`, the chart alone for who has all else up to `after`."""
    view = _view(request, session_id)
    after = _seq(request.GET.get("after", ""))
    message = _message(view, request.GET.get("look"), after)
    answer = JsonResponse({**message, "over": view.is_over})
    view.leave()
    return answer


def _message(view: SessionView, look: str | None, after: int) -> dict[str, Any]:
    if look == "range":
        return view.look_at_range(after)
    return view.snapshot(after) if look is None else view.look(view.sight)


def _seq(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


@login_required
@require_GET
def session_call(request: HttpRequest, session_id: UUID, pick: str) -> HttpResponse:
    """The panel of one call, or of one run that nobody asked for."""
    view = _view(request, session_id)
    view.read()
    panel = panel_of(view, pick)
    view.leave()
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
    return SessionView(session, show_payloads=may_read_payloads(request.user), sight=Sight.read(request.GET))
