"""Downloads: a session for Perfetto, its calls as CSV, the list of sessions as CSV. Arguments only for who may read them."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_GET

from paste_web.csv_answers import csv_answer
from paste_web.pages.sessions import narrowed_by
from paste_web.redaction import may_read_payloads
from speculation import queries
from speculation.chrome_trace import chrome_trace
from speculation.models import Session
from speculation.queries import Told
from speculation.session_export import CALL_COLUMNS, SESSION_COLUMNS, call_lines, session_lines


@login_required
@require_GET
def session_trace(request: HttpRequest, session_id: UUID) -> HttpResponse:
    told = _told(session_id)
    title = f"{told.session.short_id}, {told.session.agent.name}"
    trace = chrome_trace(
        told.story, told.figures, title=title, now=told.now, show_payloads=may_read_payloads(request.user)
    )
    response = JsonResponse(trace, json_dumps_params={"ensure_ascii": False, "separators": (",", ":")})
    response["Content-Disposition"] = f'attachment; filename="paste-{told.session.short_id}.trace.json"'
    return response


@login_required
@require_GET
def session_calls_csv(request: HttpRequest, session_id: UUID) -> StreamingHttpResponse:
    told = _told(session_id)
    lines = call_lines(told, show_payloads=may_read_payloads(request.user))
    return csv_answer(f"paste-{told.session.short_id}-calls.csv", CALL_COLUMNS, lines)


@login_required
@require_GET
def sessions_csv(request: HttpRequest) -> StreamingHttpResponse:
    """All that the list's filters let through, not only the page that is shown."""
    lines = session_lines(narrowed_by(request.GET))
    return csv_answer(f"paste-sessions-{timezone.now():%Y-%m-%d}.csv", SESSION_COLUMNS, lines)


def _told(session_id: UUID) -> Told:
    return queries.tell_all([get_object_or_404(Session.objects.select_related("agent"), pk=session_id)])[0]
