"""Rows in, documents of the API out."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from speculation import queries
from speculation.models import EventRecord, Session


def task_documents(request: HttpRequest, sessions: Sequence[Session]) -> list[dict[str, Any]]:
    """One document a session, in the same order; figures where it has ended. Sessions come with their agent."""
    told = queries.tell_all(session for session in sessions if session.has_ended)
    figures = {one.session.pk: one.figures.to_json() for one in told}
    return [_task_document(request, session, figures.get(session.pk)) for session in sessions]


def _task_document(request: HttpRequest, session: Session, figures: dict[str, Any] | None) -> dict[str, Any]:
    url = request.build_absolute_uri(reverse("api-1:read_task", args=[session.pk]))
    return {
        "id": str(session.pk),
        "status": session.status,
        "agent": session.agent.name,
        "model": session.model_name,
        "speculation": session.speculation,
        "arm": session.arm,
        "labels": session.labels,
        "created_at": moment(session.created_at),
        "started_at": moment(session.started_at),
        "ended_at": moment(session.ended_at),
        "answer": session.answer,
        "error": session.error,
        "figures": figures,
        "url": url,
        "events_url": f"{url}/events",
        "ui_url": request.build_absolute_uri(f"/sessions/{session.pk}/"),
    }


def event_document(event: EventRecord) -> dict[str, Any]:
    return {"seq": event.seq, "kind": event.kind, "at": moment(event.at), "payload": event.payload}


def moment(at: datetime | None) -> str | None:
    """ISO 8601 in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None
