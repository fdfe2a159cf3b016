"""Seats at model endpoints that serve only so many requests at once: who waits, who is next, who has gone.

Rows of ModelSeat are the truth, in all worker processes; whoever holds the endpoint's row gives out its seats. A seat
holds as long as its session's lease does, so the seats of dead or hung workers are free once that has run out. (A worker
that comes back after that may stream over the limit until its turn ends; it writes nothing if its session went on.)
"""

from collections.abc import Sequence
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import BooleanField, Case, F, Q, Value, When
from django.db.models.functions import Extract, Now

from speculation.engine.co_scheduling import Foreseen, WaitingRequest, exposed_tool_seconds, first_come, in_order
from speculation.events import NOTICE_CHANNEL
from speculation.models import JobStatus, ModelEndpoint, ModelKind, ModelSeat, Session, SessionStatus, ToolJob
from speculation.turnstiles import end_if_stalled

ORDERS = {"gain": in_order, "arrival": first_come}
HELD = (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.SUCCEEDED)


def endpoint_of(session: Session) -> str:
    """The name of the endpoint that the session's agent talks to."""
    agent = session.agent
    if agent.model_kind != ModelKind.OPENAI:
        return str(agent.model_kind)
    return agent.endpoint or settings.PASTE_LLM_BASE_URL


def most_requests(endpoint: str) -> int:
    """How many requests the endpoint serves at once; 0 is no limit."""
    own = ModelEndpoint.objects.filter(pk=endpoint).values_list("most_requests", flat=True).first()
    return int(settings.PASTE_MOST_MODEL_REQUESTS if own is None else own)


def bell_key(session_id: UUID) -> str:
    """What is notified when the session gets its seat."""
    return f"seat {session_id}"


def ask(session: Session, endpoint: str, *, usual_tool_seconds: float, model_seconds: float) -> bool:
    """Join the line, or take a seat at once. True: seated. What the session had asked for before is forgotten."""
    ModelEndpoint.objects.get_or_create(pk=endpoint)
    with transaction.atomic():
        held = _hold(endpoint)
        ModelSeat.objects.update_or_create(
            session=session,
            defaults={
                "endpoint": held,
                "attempt": session.attempt,
                "usual_tool_seconds": usual_tool_seconds,
                "model_seconds": model_seconds,
                "asked_at": Now(),
                "seated_at": None,
            },
        )
        _give_out(held)
        return _is_seated(session)


def look(session: Session, endpoint: str) -> bool | None:
    """True: seated. None: the line does not know of this request any more, ask again. Frees the seats of the dead."""
    with transaction.atomic():
        _give_out(_hold(endpoint))
        own = ModelSeat.objects.filter(session=session, attempt=session.attempt)
        return own.values_list("seated_at", flat=True).first() is not None if own.exists() else None


def leave(session: Session, endpoint: str) -> None:
    """The request has ended, or is given up: its seat, or its place in the line, goes to others."""
    with transaction.atomic():
        held = _hold(endpoint)
        ModelSeat.objects.filter(session=session, attempt=session.attempt).delete()
        _give_out(held)


def _hold(endpoint: str) -> ModelEndpoint:
    end_if_stalled()
    return ModelEndpoint.objects.select_for_update(no_key=True).get(pk=endpoint)


def _is_seated(session: Session) -> bool:
    return ModelSeat.objects.filter(session=session, attempt=session.attempt, seated_at__isnull=False).exists()


def _give_out(endpoint: ModelEndpoint) -> None:
    holds = Q(session__status=SessionStatus.RUNNING, session__attempt=F("attempt"), session__lease_until__gt=Now())
    is_alive = Case(When(holds, then=Value(True)), default=Value(False), output_field=BooleanField())
    seats = list(ModelSeat.objects.filter(endpoint=endpoint).annotate(is_alive=is_alive, now=Now()))
    if dead := [seat.pk for seat in seats if not seat.is_alive]:
        ModelSeat.objects.filter(pk__in=dead).delete()
    alive = [seat for seat in seats if seat.is_alive]
    waiting = [seat for seat in alive if seat.seated_at is None]
    most = settings.PASTE_MOST_MODEL_REQUESTS if endpoint.most_requests is None else endpoint.most_requests
    free = most - (len(alive) - len(waiting)) if most else len(waiting)
    if waiting and free > 0:
        _seat(_in_turn(waiting)[:free])


def _in_turn(waiting: Sequence[ModelSeat]) -> list[UUID]:
    foreseen = _foreseen([seat.pk for seat in waiting])
    requests = [
        WaitingRequest(
            str(seat.pk),
            exposed_tool_seconds(
                foreseen.get(seat.pk, ()), usual_seconds=seat.usual_tool_seconds, model_seconds=seat.model_seconds
            ),
            seat.model_seconds,
            (seat.now - seat.asked_at).total_seconds(),
        )
        for seat in waiting
    ]
    return [UUID(request.key) for request in ORDERS[settings.PASTE_MODEL_ORDER](requests)]


def _foreseen(session_ids: Sequence[UUID]) -> dict[UUID, list[Foreseen]]:
    """What the sessions' held guesses say of their next calls, the likeliest first, and how far they have got."""
    if settings.PASTE_MODEL_ORDER == "arrival":
        return {}
    held = ToolJob.objects.filter(
        session__in=session_ids, call_id=None, transformed=False, status__in=HELD, epoch=F("session__epoch")
    )
    ran = Extract(Now() - F("started_at"), "epoch")
    found: dict[UUID, list[Foreseen]] = {}
    for job in held.annotate(ran=ran).order_by("-probability", "pk"):
        ahead = job.expected_seconds if job.status == JobStatus.SUCCEEDED else job.ran
        found.setdefault(job.session_id, []).append(Foreseen(job.probability, job.expected_seconds, ahead))
    return found


def _seat(session_ids: Sequence[UUID]) -> None:
    ModelSeat.objects.filter(pk__in=session_ids).update(seated_at=Now())
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_notify(%s, key) FROM unnest(%s::text[]) AS key",
            [NOTICE_CHANNEL, [bell_key(session_id) for session_id in session_ids]],
        )
