"""Cheap calls run beside their session: the same row, the same guards, no way to a worker and back."""

from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now

from speculation import recovery, scheduler, worker
from speculation.agent.types import RequestedCall
from speculation.models import AgentProfile, JobStatus, Session, ToolJob, WorkerPool
from speculation.policy import register_tool
from speculation.toolbox import Toolbox
from tests.speculation.house import House, is_told, read
from tools import catalog
from tools.base import ToolContext
from tools.running import execute


@pytest.fixture
def house(
    tmp_path: Path, session: Session, agent: AgentProfile, pool: WorkerPool, broker_url: str, settings: Any
) -> Any:
    settings.PASTE_IN_PLACE_SECONDS = 0.02
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    Session.objects.filter(pk=session.pk).update(world={"root": str(tmp_path)})
    agent.tools.set([register_tool("builtin", catalog.BUILTIN[name]) for name in ("read_file", "write_file")])
    session.refresh_from_db()
    house = House(session, Toolbox.of(agent), tmp_path)
    yield house
    house.close()


def write(call_id: str, path: str, content: str) -> RequestedCall:
    return RequestedCall(call_id, "write_file", {"path": path, "text": content})


def test_a_cheap_call_is_answered_without_any_worker(house: House) -> None:
    (message,) = house.answer(read("1.0"))
    job = ToolJob.objects.get()
    assert is_told(message, house.direct(path="a.txt"))
    assert (job.status, job.pool_id, job.call_id, job.attempt) == (JobStatus.SUCCEEDED, None, "1.0", 1)
    kinds = list(house.session.events.order_by("seq").values_list("kind", flat=True))
    assert kinds == ["job_queued", "call_asked", "job_started", "job_ended", "call_returned"]


def test_a_cheap_call_takes_no_slot(house: House) -> None:
    WorkerPool.objects.update(slots=0, reserved=0)
    house.answer(read("1.0"))
    assert ToolJob.objects.get().status == JobStatus.SUCCEEDED


def test_a_cheap_write_steps_the_epoch_at_its_start_and_at_its_end(house: House) -> None:
    house.guess_and_run("a.txt")
    (message,) = house.answer(write("1.0", "b.txt", "new"))
    assert message.ok and (house.root / "b.txt").read_text() == "new"
    assert [one["epoch"] for one in house.told("epoch_stepped")] == [1, 2]
    guess = ToolJob.objects.get(call_id=None)
    assert (guess.status, guess.end_reason) == (JobStatus.DISCARDED, "invalidated")


def test_a_finished_guess_is_served_before_anything_runs(house: House) -> None:
    guess = house.guess_and_run("a.txt")
    house.answer(read("1.0"))
    assert ToolJob.objects.get().pk == guess.pk


def test_a_guess_that_no_worker_has_begun_is_not_waited_for(house: House) -> None:
    guess = house.guess("a.txt")
    house.answer(read("1.0"))
    assert house.fresh(guess).status == JobStatus.PREEMPTED
    assert house.fresh(guess).end_reason == scheduler.NOT_WAITED_FOR
    assert ToolJob.objects.get(call_id="1.0").pool_id is None


def test_an_error_of_a_cheap_call_is_its_answer(house: House) -> None:
    (message,) = house.answer(read("1.0", path="nowhere.txt"))
    expected = execute(catalog.BUILTIN["read_file"], {"path": "nowhere.txt"}, ToolContext(house.root))
    assert is_told(message, expected) and not message.ok


def test_a_read_that_was_lost_with_its_sessions_worker_is_run_by_a_tools_worker(house: House) -> None:
    (job,) = scheduler.serve(house.session.pk, 1, [house.asked("1.0", path="a.txt")])
    assert scheduler.runs_here(job, 1) and not scheduler.runs_here(job, 2)
    ToolJob.objects.update(lease_until=Now())
    assert recovery.sweep()["jobs_of_lost_workers"] == 1
    lost = house.fresh(job)
    assert (lost.status, lost.pool_id) == (JobStatus.QUEUED, "tools")
    house.hand_over_to_another_worker()
    answering = house.answering(read("1.0"), attempt=2)
    worker.perform(house.start(lost))
    (message,) = answering.result(10)
    assert is_told(message, house.direct(path="a.txt"))
    assert len(house.told("call_returned")) == 1
