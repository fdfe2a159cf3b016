"""What Celery is asked to do: run a session, learn from it, sweep, delete what is old. A task makes one call."""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from celery import shared_task
from celery.signals import worker_ready
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from speculation import (
    admission,
    breakers,
    durations,
    learning,
    ledger,
    recovery,
    retention,
    sessions,
    tool_servers,
    worlds,
)
from speculation.agent.loop import AgentLoop
from speculation.agent.types import Outcome, SessionStopped
from speculation.clients import model_for, user_for
from speculation.conversation import conversation
from speculation.events import SessionLost
from speculation.forecast import Forecast
from speculation.history import events_of
from speculation.leases import UNREACHABLE, keeper, owner
from speculation.models import Arm, Session, SessionStatus
from speculation.predictors import predictors
from speculation.remote_inbox import Inbox
from speculation.remote_loop import RemoteLoop
from speculation.runtime import Cancelled, SessionRuntime
from speculation.seated_model import seated
from speculation.submission import hand_over
from speculation.toolbox import Toolbox
from tools.mcp_servers import BadServers

logger = logging.getLogger(__name__)

SWEEP_EVERY_SECONDS = 2.0
MOST_ATTEMPTS = 10
"""A session that takes its worker down with it must not take down every other one after that."""


@shared_task(name="speculation.run_session", ignore_result=True)
def run_session(session_id: str) -> None:
    """Run the session whose turn it is to its end, from wherever its log has got to.

    The message only says that a session waits; the one it names may come later, or run already.
    """
    try:
        session = admission.admit(owner())
        if session is not None:
            try:
                with keeper.keeping(session.pk):
                    _run(session)
            finally:
                _call_next()
    except SessionLost as lost:
        logger.warning("%s", lost)
    except UNREACHABLE as problem:  # the lease runs out, and the sweep hands the session to a worker that can
        logger.warning("left a session to the sweep: %s", type(problem).__name__)
    finally:
        connection.close()


def _call_next() -> None:
    """Whom a limit held back may start now that a session has ended."""
    if waiting := admission.next_held_back():
        hand_over(waiting)


def _run(session: Session) -> None:
    if session.attempt - session.parks > MOST_ATTEMPTS:
        sessions.finish(
            session, SessionStatus.FAILED, error=f"Given up: {MOST_ATTEMPTS} workers were lost while it ran."
        )
        return
    try:
        outcome = _live(session)
    except Cancelled:
        finished = sessions.finish(session, SessionStatus.CANCELLED, error="cancelled")
    except SessionStopped as stop:
        finished = sessions.finish(session, SessionStatus.FAILED, error=str(stop))
    except (SessionLost, *UNREACHABLE):
        raise
    except Exception as problem:  # whatever it was, the session must not stay running for ever
        logger.exception("session %s failed", session.short_id)
        finished = sessions.finish(session, SessionStatus.FAILED, error=f"Internal error: {type(problem).__name__}.")
    else:
        if outcome is None:
            _park(session)
            return
        finished = sessions.finish(
            session, SessionStatus(outcome.status), answer=outcome.answer, error=outcome.error, as_of=outcome.over_at
        )
    if finished:
        learning.session_ended(session.pk)


def _park(session: Session) -> None:
    """What came in meanwhile wakes it again: whoever hands a call in sees that it is parked, or is seen here."""
    if not sessions.park(session):
        return
    if Inbox(session).is_wanted() and sessions.wake(session.pk):
        hand_over(session.pk)
    _learn(partial(learning.learn_so_far, session.pk), f"session {session.short_id}, which is parked")


def _learn(work: Callable[[], object], source: str) -> None:
    """Whatever cannot be learned from keeps no session from going on."""
    try:
        work()
    except UNREACHABLE:
        raise
    except Exception:
        logger.exception("could not learn from %s", source)


def _live(session: Session) -> Outcome | None:
    """None: of an agent that runs elsewhere, and has been quiet for a while."""
    worlds.prepare(session)
    toolbox = Toolbox.of(session.agent)
    if session.agent.is_remote and session.attempt == 1:
        _learn(partial(learning.learn_from_the_one_before, session), f"the session before session {session.short_id}")
        predictors.look_again(session.agent_id)
    runtime = SessionRuntime(session, toolbox, _forecast(session, toolbox))
    try:
        return (_attend if session.agent.is_remote else _loop)(session, runtime)
    finally:
        runtime.forecast.settle()


def _loop(session: Session, runtime: SessionRuntime) -> Outcome:
    said = conversation(session)
    with runtime.listening(), model_for(session) as model:
        sessions.begin(session)
        loop = AgentLoop(
            model=seated(model, session, runtime.check),
            user=user_for(session),
            host=runtime,
            tools=runtime.toolbox.specs(),
            system_prompt=session.agent.system_prompt,
            max_turns=session.max_turns,
        )
        return loop.run(said)


def _attend(session: Session, runtime: SessionRuntime) -> Outcome | None:
    """Of an agent that runs elsewhere: answer what it calls."""
    with runtime.listening():
        sessions.begin(session)
        parked_for, quiet_seconds = sessions.unpark(session), settings.PASTE_MCP_QUIET_SECONDS
        return RemoteLoop(session, runtime, quiet_seconds=quiet_seconds, was_parked_for=parked_for).run()


def _forecast(session: Session, toolbox: Toolbox) -> Forecast:
    """The forecast, having seen all that the log holds."""
    predictor = predictors.predictor_for(session.agent, toolbox.traits()).session()
    forecast = Forecast(session, toolbox, predictor, chain_depth=settings.PASTE_CHAIN_DEPTH)
    if session.arm != Arm.OFF:
        for event in events_of(session):
            predictor.observe(event)
            forecast.remember(event)
    return forecast


@shared_task(name="speculation.retain", ignore_result=True)
def retain() -> None:
    """Delete what is older than PASTE_RETENTION_DAYS. The beat asks for it daily; asked twice, it does no harm."""
    days = settings.PASTE_RETENTION_DAYS
    before = timezone.now() - timedelta(days=days) if days else None
    try:
        retention.retain_and_tell(before)
    except UNREACHABLE as problem:  # tomorrow is another day, and begins where this one ended
        logger.warning("stopped deleting old sessions: %s", type(problem).__name__)
    finally:
        connection.close()


@shared_task(name="speculation.list_tools", ignore_result=True)
def list_tools() -> None:
    """See what the MCP servers offer now: a tool that has changed is reviewed before anything of it runs early again."""
    try:
        if settings.PASTE_MCP_SERVERS is not None:
            tool_servers.list_tools(settings.PASTE_MCP_SERVERS)
    except BadServers as problem:
        logger.error("%s", problem)
    except UNREACHABLE as problem:  # the next minute is another chance
        logger.warning("could not register the tools of MCP servers: %s", type(problem).__name__)
    finally:
        connection.close()


@worker_ready.connect
def start_sweeping(sender: Any = None, **_: Any) -> None:
    """Each agents worker sweeps. A tools worker must not: its children are forked, and forks share no connections."""
    queues = sender.task_consumer.queues if sender is not None else []
    if any(queue.name == "agents" for queue in queues):
        threading.Thread(target=_sweep_for_ever, name="sweep", daemon=True).start()


def _sweep_for_ever() -> None:
    pause = threading.Event()
    while not pause.wait(SWEEP_EVERY_SECONDS):
        try:
            recovery.sweep()
            breakers.watch()
            durations.measure()
            ledger.book_ended()
        except DatabaseError as problem:
            logger.warning("the sweep found no database: %s", type(problem).__name__)
        except Exception:
            logger.exception("the sweep failed; it goes on")
        finally:
            connection.close()
