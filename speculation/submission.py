"""Taking a task: check it, store its session, tell the workers.

Errors::

    SubmissionRefused
    ├── UnknownScriptedTask   a scripted agent can only do its own tasks; `.tasks` lists them
    ├── InvalidTask           empty, too long, or with characters that cannot be stored
    └── QueueFull             too many sessions wait, in all or of this party; `.retry_after_seconds`
"""

import logging
import random
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from celery import current_app
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from kombu.exceptions import OperationalError as BrokerError

from speculation import events, sessions, waiting_room
from speculation.agent import demo
from speculation.models import AgentProfile, ApiKey, Arm, ModelKind, Origin, Session, SessionStatus, SpeculationMode
from speculation.parties import party_of
from speculation.waiting_room import NoRoom

logger = logging.getLogger(__name__)

LONGEST_TASK_CHARACTERS = 20_000
LONGEST_CLIENT_CHARACTERS = 200
AGENTS_QUEUE = "agents"


class SubmissionRefused(Exception):
    """The task was not stored; the message says why and what to do."""


class InvalidTask(SubmissionRefused):
    """Empty, too long, or not storable."""


class QueueFull(SubmissionRefused):
    """As many sessions wait as may; the message says until when."""

    def __init__(self, found: NoRoom) -> None:
        super().__init__(str(found))
        self.retry_after_seconds = found.retry_after_seconds


class UnknownScriptedTask(SubmissionRefused):
    """A scripted agent was asked for something it has no script for."""

    def __init__(self, agent: str, tasks: Sequence[str]) -> None:
        super().__init__(f'The scripted agent "{agent}" can only do its own {len(tasks)} tasks.')
        self.tasks = list(tasks)


def submit_task(
    agent: AgentProfile,
    task: str,
    *,
    speculation: str = "auto",
    max_turns: int | None = None,
    timeout_seconds: float | None = None,
    labels: Mapping[str, str] | None = None,
    submitted_by: ApiKey | None = None,
    user: AbstractBaseUser | None = None,
    origin: Origin = Origin.TASK,
    world: Mapping[str, Any] | None = None,
    pair: Session | None = None,
    draw: float | None = None,
) -> Session:
    """Store a session and hand it to the agents workers. `draw` in [0, 1) decides holdout and canary.

    submitted_by, user: the API key or the user of the pages whose share of the workers it is to use; neither: ours.
    Stored means that it will run even if the broker is away just now: the sweep finds it. Raises SubmissionRefused.
    """
    check_task(agent, task)
    if agent.model_kind == ModelKind.RECORDED and not (world and world.get("root")):
        raise InvalidTask(f'The agent "{agent.name}" stands for a recorded one: it only lives recordings again, by `replay`.')
    session_id = _store(
        agent=agent,
        task=task,
        arm=arm_of(agent, speculation, random.random() if draw is None else draw),
        speculation=speculation,
        origin=origin,
        model_name=model_name_of(agent),
        max_turns=max_turns or agent.max_turns,
        timeout_seconds=timeout_seconds,
        labels=dict(labels or {}),
        submitted_by=submitted_by,
        party=party_of(submitted_by, user, origin),
        world=dict(world or {}),
        pair=pair,
    )
    return Session.objects.select_related("agent").get(pk=session_id)


def open_remote(
    agent: AgentProfile, said: str, *, client: str, client_session: str, submitted_by: ApiKey, draw: float | None = None
) -> UUID:
    """A session of an agent that runs elsewhere; `said`: the user's first words, "" where its client tells none.

    Raises SubmissionRefused, and IntegrityError where the client's session is open already.
    """
    return _store(
        agent=agent,
        task=_first_words(said) or f"Calls of {client or agent.name}",
        said=said,
        arm=arm_of(agent, "auto", random.random() if draw is None else draw),
        origin=Origin.REMOTE,
        model_name=client[:LONGEST_CLIENT_CHARACTERS],
        max_turns=agent.max_turns,
        submitted_by=submitted_by,
        party=party_of(submitted_by, None, Origin.REMOTE),
        client_session=client_session,
    )


def _first_words(said: str) -> str:
    return said.strip()[:LONGEST_TASK_CHARACTERS]


def _store(*, said: str | None = None, **fields: Any) -> UUID:
    """The new session's id. `said`: the user's words where they are not the task. Raises QueueFull."""
    party, pair = fields["party"], fields.get("pair")
    if found := waiting_room.look(party):  # cheap: most who are to be refused never write anything
        raise QueueFull(found)
    with transaction.atomic():
        session = Session.objects.create(**fields)
        _tell_queued(session, session.task if said is None else said)
        if pair is not None:
            Session.objects.filter(pk=pair.pk).update(pair=session)
        if found := waiting_room.enter(party):  # last, so that the lock is held for a moment only
            raise QueueFull(found)
        session_id: UUID = session.pk
        transaction.on_commit(lambda: hand_over(session_id))
    return session_id


def _tell_queued(session: Session, said: str) -> None:
    with events.writing(session.pk) as log:
        log.append(
            "session_queued",
            agent=session.agent.name,
            task=session.task,
            arm=str(session.arm),
            model=session.model_name,
            scripted=session.agent.is_scripted,
            **({"elsewhere": True} if session.agent.is_remote else {}),
        )
        if said:
            log.append("user_said", text=said)


def check_task(agent: AgentProfile, task: str) -> None:
    """Raises SubmissionRefused where the agent cannot be given this task."""
    if not task.strip() or len(task) > LONGEST_TASK_CHARACTERS:
        raise InvalidTask(f"A task has 1 to {LONGEST_TASK_CHARACTERS} characters; this one has {len(task)}.")
    if agent.is_remote:
        raise InvalidTask(f'The agent "{agent.name}" runs elsewhere and calls its tools over MCP: it takes no tasks.')
    if "\0" in task:
        raise InvalidTask("A task cannot hold the character U+0000; remove it.")
    if agent.model_kind == ModelKind.SCRIPTED and not demo.AGENTS[agent.script].knows(task):
        raise UnknownScriptedTask(agent.name, demo.AGENTS[agent.script].tasks)


def arm_of(agent: AgentProfile, speculation: str, draw: float) -> Arm:
    """What was asked for, or, for "auto", what the agent's mode and the draw (0 to 1) make of it."""
    if speculation != "auto":
        return Arm(speculation)
    if agent.mode == SpeculationMode.OFF:
        return Arm.OFF
    if agent.mode == SpeculationMode.SHADOW:
        return Arm.SHADOW
    if agent.mode == SpeculationMode.CANARY:
        return Arm.ON if draw * 100 < agent.canary_percent else Arm.HOLDOUT
    return Arm.HOLDOUT if draw * 100 < agent.holdout_percent else Arm.ON


def model_name_of(agent: AgentProfile) -> str:
    """The model as every list and document names it; scripted and recorded ones say so."""
    if agent.model_kind == ModelKind.OPENAI:
        return agent.model or settings.PASTE_LLM_MODEL
    return str(agent.model_kind)


def hand_over(session_id: UUID) -> None:
    """Tell the agents workers that a session waits: which one runs is decided when one of them is free.

    If the broker is away, the sweep finds the session and tells them later.
    """
    try:
        current_app.send_task("speculation.run_session", args=[str(session_id)], queue=AGENTS_QUEUE, retry=False)
    except (BrokerError, OSError) as problem:
        logger.warning("the broker is away (%s); the sweep will hand over %s", type(problem).__name__, session_id)


def hand_over_again(session_id: UUID) -> bool:
    """For the sweep: tell the workers once more, unless the broker holds a message for everyone who waits. True: told.

    Without this a long queue would be told of again and again while its messages wait, and they would outlast it.
    """
    lost = Q(status=SessionStatus.RUNNING, lease_until__lte=Now())
    waiting = Session.objects.filter(Q(status=SessionStatus.QUEUED) | lost).count()
    if (held := _messages_held()) is not None and held >= waiting:
        return False
    hand_over(session_id)
    return True


def _messages_held() -> int | None:
    """Messages for the agents workers that none has taken yet; None where the broker cannot say."""
    try:
        with current_app.producer_or_acquire() as producer:
            try:
                return int(producer.channel.queue_declare(AGENTS_QUEUE, passive=True).message_count)
            except producer.connection.channel_errors:  # a queue that holds nothing is not there
                return 0
    except (BrokerError, OSError):
        return None


def cancel_session(session: Session) -> bool:
    """Ask for a session's end. False: it had ended before."""
    is_asked = sessions.cancel(session.pk)
    if is_asked:
        wake(session.pk)
    return is_asked


def wake(session_id: UUID) -> None:
    """Somebody wants something of it: where it is parked, a worker takes it again."""
    if sessions.wake(session_id):
        hand_over(session_id)
