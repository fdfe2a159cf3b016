"""One session's runtime on the real database, whose jobs the test runs itself, when it likes."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from django.db import connection
from django.db.models import F

from speculation import events, new_jobs, scheduler, worker
from speculation.agent.types import Message, RequestedCall
from speculation.asked import AskedCall
from speculation.engine.prediction import SessionPredictor
from speculation.engine.types import Event
from speculation.forecast import Forecast
from speculation.models import JobStatus, Session, ToolJob
from speculation.runtime import SessionRuntime
from speculation.specs import Guess
from speculation.toolbox import Toolbox
from tools import catalog
from tools.base import ToolContext, ToolResult
from tools.running import execute

READ = catalog.BUILTIN["read_file"]


class Silent(SessionPredictor):
    """Foresees nothing."""

    def __init__(self) -> None: ...

    def observe(self, event: Event) -> None: ...


class House:
    """One session's runtime, whose jobs this test runs itself, when it likes."""

    def __init__(self, session: Session, box: Toolbox, root: Path) -> None:
        self.session, self.box, self.root = session, box, root
        self._beside = ThreadPoolExecutor(2)

    def guess(self, path: str, **more: Any) -> ToolJob:
        box = self.box["read_file"]
        with events.writing(self.session.pk) as log:
            spec = box.spec_of({"path": path, **more})
            job = new_jobs.speculate(log, spec, Guess(None, 0.9, 1.0, box.record.policy_version, 30.0, {}))
        assert job is not None
        return job

    def start(self, job: ToolJob) -> ToolJob:
        started = worker.start(job.pk, job.attempt)
        assert started is not None
        return started

    def guess_and_run(self, path: str, **more: Any) -> ToolJob:
        job = self.guess(path, **more)
        worker.perform(self.start(job))
        return self.fresh(job)

    def fresh(self, job: ToolJob) -> ToolJob:
        return ToolJob.objects.get(pk=job.pk)

    def asked(self, call_id: str, **arguments: Any) -> AskedCall:
        box = self.box["read_file"]
        return AskedCall(call_id, 1, box.spec_of(arguments), part=box.part_of(arguments))

    def serve(self, call_id: str, **arguments: Any) -> ToolJob:
        return scheduler.serve(self.session.pk, self.session.attempt, [self.asked(call_id, **arguments)])[0]

    def answer(self, *calls: RequestedCall, attempt: int = 1) -> list[Message]:
        """What the loop is answered, by whoever owns the session under this attempt."""
        session = Session.objects.get(pk=self.session.pk)
        session.attempt = attempt
        runtime = SessionRuntime(session, self.box, Forecast(session, self.box, Silent()))
        try:
            return list(runtime.answer_calls(1, calls))
        finally:
            connection.close()

    def answering(self, *calls: RequestedCall, attempt: int = 1) -> Future[list[Message]]:
        return self._beside.submit(self.answer, *calls, attempt=attempt)

    def hand_over_to_another_worker(self) -> None:
        Session.objects.filter(pk=self.session.pk).update(attempt=F("attempt") + 1)

    def direct(self, **arguments: Any) -> ToolResult:
        return execute(READ, arguments, ToolContext(self.root))

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [event.payload for event in self.session.events.filter(kind=kind).order_by("seq")]

    def close(self) -> None:
        self._beside.shutdown()


def read(call_id: str, path: str = "a.txt", **lines: Any) -> RequestedCall:
    return RequestedCall(call_id, "read_file", {"path": path, **lines})


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def wait_for_own_job(call_id: str) -> ToolJob:
    """The queued job that answers the call as if nothing had been guessed."""
    found = ToolJob.objects.filter(call_id=call_id, promoted_at=None, status=JobStatus.QUEUED)
    wait_for(found.exists)
    return found.get()


def is_told(message: Message, result: ToolResult) -> bool:
    return (message.ok, message.content, message.structured) == (result.ok, result.content, result.structured)
