"""What the live sections measure on: tables, a pool of a known size, workers of our own; and the tidying up."""

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from celery.exceptions import OperationalError
from django.conf import settings
from kombu.exceptions import OperationalError as BrokerError

from paste_web import celery_app, starting
from paste_web.benchmarks import echo
from paste_web.processes import Processes, Program, agents_worker, guesses_worker, tools_worker
from speculation.jobs import POOL
from speculation.models import AgentProfile, Breaker, PatternRecord, Session, ToolJob, WorkerPool
from speculation.notices import stop_listening

AGENT_PREFIX = "benchmark-"


@contextmanager
def ground(*, breakers: bool = True) -> Iterator[Processes]:
    """Tables, and a place for processes, which end with it. The pool is put back as it was, our sessions are removed.

    Without `breakers` those enabled are switched off meanwhile, for sections that measure the harm they would end.
    """
    with starting.only_one_here():
        starting.prepare_tables()
        before = WorkerPool.objects.get(name=POOL)
        switched_off = [] if breakers else list(Breaker.objects.filter(enabled=True).values_list("pk", flat=True))
        try:
            Breaker.objects.filter(pk__in=switched_off).update(enabled=False)
            with Processes(settings.BASE_DIR, settings.PASTE_HOME / "log") as processes:
                yield processes
        finally:
            before.save()
            Breaker.objects.filter(pk__in=switched_off).update(enabled=True)
            clear()
            stop_listening()


def size_pool(slots: int, reserved: int = 1) -> None:
    """The pool of all jobs from now on, unpaused."""
    WorkerPool.objects.filter(name=POOL).update(slots=slots, reserved=min(reserved, slots), is_paused=False)


def start_tools(processes: Processes, slots: int, variables: Mapping[str, str] | None = None) -> None:
    """For calls and for guesses."""
    program = tools_worker(slots)
    start_worker(processes, replace(program, arguments=[*program.arguments, "-I", echo.MODULE]), variables)
    start_worker(processes, guesses_worker(slots), variables)


def start_agents(processes: Processes, threads: int, variables: Mapping[str, str] | None = None) -> None:
    start_worker(processes, agents_worker(threads), variables)


def start_worker(processes: Processes, program: Program, variables: Mapping[str, str] | None) -> None:
    processes.start(replace(program, environment={**program.environment, **(variables or {})}))
    starting.wait_until(lambda: _answers(program.name), processes, f"the {program.name} worker")


def _answers(queue: str) -> bool:
    try:
        answers = celery_app.control.broadcast("ping", reply=True, limit=3, timeout=1)
    except (OperationalError, BrokerError, OSError):
        return False
    return any(name.startswith(f"{queue}@") for answer in answers for name in answer)


def new_folder() -> Path:
    """For what sessions of a section work on."""
    folder = Path(settings.PASTE_WORLDS) / "benchmark" / str(time.time_ns())
    folder.mkdir(parents=True)
    return folder


def clear() -> None:
    """Remove the sessions of our agents, with their jobs, logs and patterns, and their folders."""
    agents = AgentProfile.objects.filter(name__startswith=AGENT_PREFIX)
    ToolJob.objects.filter(session__agent__in=agents).delete()
    Session.objects.filter(agent__in=agents).delete()
    PatternRecord.objects.filter(agent__in=agents).delete()
    shutil.rmtree(Path(settings.PASTE_WORLDS) / "benchmark", ignore_errors=True)
