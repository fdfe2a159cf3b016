"""Submit a task, watch it, read its log, end it."""

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from ninja import Header, Query, Router, Status
from pydantic import BaseModel

from paste_web.api.documents import event_document, task_documents
from paste_web.api.idempotency import once
from paste_web.api.keys import BearerKey
from paste_web.api.problems import FieldError, Problem
from paste_web.api.schemas import (
    EventPage,
    EventRange,
    ProblemDocument,
    TaskDocument,
    TaskFilters,
    TaskPage,
    TaskRequest,
    WaitFor,
)
from speculation.access import READ, READ_ALL, WRITE, may
from speculation.models import TAKE_NO_TASKS, AgentProfile, ApiKey, JobStatus, Session
from speculation.notices import LOOK_AGAIN_SECONDS, assert_outside_transaction, listener
from speculation.submission import QueueFull, SubmissionRefused, UnknownScriptedTask, cancel_session, submit_task

router = Router(tags=["tasks"])
REFUSED = {frozenset({401, 403, 404, 422, 503}): ProblemDocument}
IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$")
]
A_MINUTE = timedelta(minutes=1)


@router.post(
    "/tasks",
    auth=BearerKey(WRITE),
    response={202: TaskDocument, frozenset({400, 409, 413, 415, 429}): ProblemDocument, **REFUSED},
    summary="Submit a task",
)
def submit(
    request: HttpRequest, response: HttpResponse, body: TaskRequest, idempotency_key: IdempotencyKey = None
) -> Status:
    """202 means stored: the task will run even if the broker is down just now."""
    if idempotency_key is None:
        document = _store(request, body)
    else:
        document, is_replay = once(
            request.auth, request.path, idempotency_key, body.model_dump(), lambda: _store(request, body)
        )
        if is_replay:
            response["Idempotency-Replayed"] = "true"
    response["Location"] = document["url"]
    return Status(202, document)


@router.get("/tasks", auth=BearerKey(READ), response={200: TaskPage, **REFUSED}, summary="List tasks")
def list_tasks(request: HttpRequest, filters: Query[TaskFilters]) -> dict[str, Any]:
    """Tasks that this key submitted, or all of them with tasks:read_all. Newest first."""
    refuse_unknown_parameters(request, TaskFilters)
    sessions = _visible_to(request.auth).select_related("agent").order_by("-pk")
    if filters.status:
        sessions = sessions.filter(status=filters.status)
    if filters.agent:
        sessions = sessions.filter(agent__name=filters.agent)
    for label in filters.label:
        name, colon, value = label.partition(":")
        if not colon:
            raise Problem("invalid_fields", errors=[FieldError("parameter", "label", "takes name:value")])
        sessions = sessions.filter(labels__contains={name: value})
    if filters.cursor:
        sessions = sessions.filter(pk__lt=_from_cursor(filters.cursor))
    page = list(sessions[: filters.limit + 1])
    more = len(page) > filters.limit
    page = page[: filters.limit]
    return {"tasks": task_documents(request, page), "next_cursor": _to_cursor(page[-1].pk) if more else None}


@router.get("/tasks/{task_id}", auth=BearerKey(READ), response={200: TaskDocument, **REFUSED}, summary="Read a task")
def read_task(request: HttpRequest, task_id: str, wait: Query[WaitFor]) -> dict[str, Any]:
    """With wait_seconds the answer comes when the task ends or the time is up, whichever is first."""
    refuse_unknown_parameters(request, WaitFor)
    session = _find(request.auth, task_id)
    if wait.wait_seconds and not session.has_ended:
        _wait_for_end(session.pk, wait.wait_seconds)
        session = _find(request.auth, task_id)
    return task_documents(request, [session])[0]


@router.get(
    "/tasks/{task_id}/events", auth=BearerKey(READ), response={200: EventPage, **REFUSED}, summary="Read a task's log"
)
def read_events(request: HttpRequest, task_id: str, wanted: Query[EventRange]) -> dict[str, Any]:
    """The log, oldest first. Ask again with after=next_after until `final` is true."""
    refuse_unknown_parameters(request, EventRange)
    session = _find(request.auth, task_id)
    is_settled = session.has_ended and not _has_running_jobs(session)  # asked first: after that no event is written
    events = list(session.events.filter(seq__gt=wanted.after).order_by("seq")[: wanted.limit])
    next_after = events[-1].seq if events else wanted.after
    return {
        "events": [event_document(event) for event in events],
        "next_after": next_after,
        "final": is_settled and len(events) < wanted.limit,
    }


@router.post(
    "/tasks/{task_id}/cancel",
    auth=BearerKey(WRITE),
    response={frozenset({200, 202}): TaskDocument, **REFUSED},
    summary="Cancel a task",
)
def cancel(request: HttpRequest, task_id: str) -> Status:
    """202: it will end soon. 200: it had ended before. Only tasks that this key submitted."""
    session = _find(request.auth, task_id)
    if session.submitted_by_id != request.auth.pk:
        raise Problem("missing_scope", "Another key submitted this task; only that key cancels it.")
    status = 202 if cancel_session(session) else 200
    return Status(status, task_documents(request, [_find(request.auth, task_id)])[0])


def _store(request: HttpRequest, body: TaskRequest) -> dict[str, Any]:
    """The document of a new session. Raises Problem, and then nothing is stored."""
    _refuse_too_many(request.auth)
    try:
        session = submit_task(
            _agent_named(body.agent),
            body.task,
            speculation=body.speculation,
            max_turns=body.max_turns,
            timeout_seconds=body.timeout_seconds,
            labels=body.labels,
            submitted_by=request.auth,
        )
    except UnknownScriptedTask as refused:
        detail = f"{refused} They are: " + " | ".join(refused.tasks)
        errors = [FieldError("pointer", "/task", "not one of the agent's own tasks")]
        raise Problem("unknown_scripted_task", detail, errors=errors, extra={"tasks": refused.tasks}) from refused
    except QueueFull as refused:
        raise Problem("queue_full", str(refused), retry_after_seconds=refused.retry_after_seconds) from refused
    except SubmissionRefused as refused:
        raise Problem(
            "invalid_fields", str(refused), errors=[FieldError("pointer", "/task", str(refused))]
        ) from refused
    return task_documents(request, [session])[0]


def _agent_named(name: str) -> AgentProfile:
    agents = AgentProfile.objects.exclude(model_kind__in=TAKE_NO_TASKS)
    agent = agents.filter(name=name).first()
    if agent is None:
        known = ", ".join(agents.order_by("name").values_list("name", flat=True))
        detail = f'There is no agent "{name}". ' + (f"You may use: {known}." if known else "None is set up yet.")
        raise Problem("unknown_agent", detail, errors=[FieldError("pointer", "/agent", "unknown agent")])
    return agent


def _refuse_too_many(key: ApiKey) -> None:
    most = settings.PASTE_API_TASKS_PER_MINUTE
    recent = Session.objects.filter(submitted_by=key, created_at__gt=Now() - A_MINUTE).count()
    if recent >= most:
        detail = f"This key submitted {recent} tasks within a minute; {most} are allowed. Nothing was stored."
        raise Problem("rate_limited", detail, retry_after_seconds=60)


def _visible_to(key: ApiKey) -> QuerySet[Session]:
    return Session.objects.all() if may(key, READ_ALL) else Session.objects.filter(submitted_by=key)


def _find(key: ApiKey, task_id: str) -> Session:
    """The task, if this key may see it. Raises Problem: whether another key's task exists is nobody's business."""
    try:
        return _visible_to(key).select_related("agent").get(pk=UUID(task_id))
    except (ValueError, Session.DoesNotExist):
        raise Problem("not_found", "This key has no such task.") from None


def _has_running_jobs(session: Session) -> bool:
    """An ended session's last jobs may still let go of their slots, and its log says so."""
    unfinished = session.jobs.filter(status__in=[JobStatus.RUNNING, JobStatus.PREEMPTED], ended_at=None)
    return unfinished.filter(lease_until__gt=Now()).exists()


def _wait_for_end(session_id: UUID, wait_seconds: float) -> None:
    """Return when the session has ended or the time is up. Subscribed first, then looked, then waited, without a connection."""
    assert_outside_transaction()
    deadline = time.monotonic() + wait_seconds
    with listener().waiting_for(session_id) as bell:
        while (left_seconds := deadline - time.monotonic()) > 0:
            if Session.objects.get(pk=session_id).has_ended:
                return
            connection.close()
            bell.wait(min(left_seconds, LOOK_AGAIN_SECONDS))
            bell.clear()


def refuse_unknown_parameters(request: HttpRequest, known: type[BaseModel]) -> None:
    """A mistyped filter must not silently list everything."""
    unknown = sorted(request.GET.keys() - known.model_fields.keys())
    if unknown:
        raise Problem("invalid_fields", errors=[FieldError("parameter", name, "unknown parameter") for name in unknown])


def _to_cursor(pk: UUID) -> str:
    return urlsafe_b64encode(pk.bytes).decode().rstrip("=")


def _from_cursor(cursor: str) -> UUID:
    try:
        return UUID(bytes=urlsafe_b64decode(cursor + "=="))
    except ValueError:
        raise Problem(
            "invalid_fields", errors=[FieldError("parameter", "cursor", "not a cursor of this list")]
        ) from None
