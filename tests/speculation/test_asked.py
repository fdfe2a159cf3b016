"""A guess at a whole serves a call that asks for a part: with exactly what the call's own run gives, or not at all."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from django.db.models import F
from django.db.models.functions import Now

from speculation import events, figures, jobs, queries, worker
from speculation.agent.types import RequestedCall
from speculation.events import SessionLost
from speculation.history import events_of
from speculation.models import AgentProfile, JobStatus, Session, ToolJob, ToolRecord, WorkerPool
from speculation.policy import register_tool
from speculation.scheduler import NOT_IN_WHOLE
from speculation.toolbox import BoxedTool, Toolbox
from tests.speculation.conftest import Race
from tests.speculation.house import House, is_told, read, wait_for, wait_for_own_job
from tools import catalog
from tools.base import ToolResult
from tools.recorded import RecordedEffects, RecordedTool

ROUNDS = 25


@pytest.fixture
def house(tmp_path: Path, session: Session, agent: AgentProfile, pool: WorkerPool, broker_url: str) -> Iterator[House]:
    """A short file and one too long to be read at once. The broker's queue is read by nobody."""
    (tmp_path / "a.txt").write_text("one\ntwo\n\nfour\nfive\n")
    (tmp_path / "long.txt").write_text("".join(f"{number}\n" for number in range(1, 3001)))
    Session.objects.filter(pk=session.pk).update(world={"root": str(tmp_path)})
    agent.tools.set([register_tool("builtin", catalog.BUILTIN[name]) for name in ("read_file", "write_file")])
    house = House(session, Toolbox.of(agent), tmp_path)
    yield house
    house.close()


@pytest.mark.parametrize(
    "lines",
    [
        {"first_line": 2, "last_line": 4},
        {"first_line": 4},
        {"last_line": 2},
        {"first_line": 3, "last_line": 3},
        {"first_line": 2, "last_line": 99},
        {"first_line": 4, "last_line": 2},
        {"first_line": 1},
    ],
)
def test_a_finished_whole_serves_a_part_with_exactly_what_a_direct_call_gives(
    house: House, lines: dict[str, int]
) -> None:
    whole = house.guess_and_run("a.txt")
    (message,) = house.answer(read("1.0", **lines))
    assert is_told(message, house.direct(path="a.txt", **lines))
    assert ToolJob.objects.get().pk == whole.pk, "nothing else ran"
    assert house.fresh(whole).call_id == "1.0"


def test_the_log_says_that_a_whole_served_and_holds_what_the_model_was_told(house: House) -> None:
    whole = house.guess_and_run("a.txt")
    house.answer(read("1.0", first_line=2, last_line=2))
    (asked,), (returned,) = house.told("call_asked"), house.told("call_returned")
    assert (asked["outcome"], asked["job"], asked["part_of"]) == ("used", str(whole.pk), {"path": "a.txt"})
    assert asked["arguments"] == {"path": "a.txt", "first_line": 2, "last_line": 2}
    assert (returned["content"], returned["structured"]["first_line"]) == ("two", 2)
    (learned,) = events_of(house.session)
    assert (learned.arguments["first_line"], learned.result["text"]) == (2, "two"), "mining sees the part, too"
    told = queries.told(house.session)
    assert told.figures.hits == 1 and told.story.calls["1.0"].part_of == {"path": "a.txt"}


def test_a_whole_serves_one_call_and_the_next_part_runs_itself(house: House) -> None:
    house.guess_and_run("a.txt")
    first, second = house.serve("1.0", path="a.txt", first_line=2), house.serve("1.1", path="a.txt", first_line=3)
    assert first.pk != second.pk and second.status == JobStatus.QUEUED
    assert [asked["outcome"] for asked in house.told("call_asked")] == ["used", "requested"]


def test_a_guess_at_the_very_call_is_preferred_to_a_whole(house: House) -> None:
    whole = house.guess_and_run("a.txt")
    exact = house.guess("a.txt", first_line=2)
    assert house.serve("1.0", path="a.txt", first_line=2).pk == exact.pk
    assert house.fresh(whole).call_id is None


def test_a_part_never_serves_a_whole_nor_another_file_a_part(house: House) -> None:
    house.guess_and_run("a.txt", first_line=1)
    house.guess_and_run("long.txt")
    assert house.serve("1.0", path="a.txt").promoted_at is None
    assert house.serve("1.1", path="a.txt", first_line=2).promoted_at is None


@pytest.mark.parametrize(
    "call",
    [
        read("1.0", first_line=6),
        read("1.0", first_line=0),
        read("1.0", first_line="2"),
        read("1.0", first_line=2, last_line=None),
        read("1.0", "long.txt", first_line=2500),
    ],
)
def test_a_part_that_cannot_be_told_from_the_whole_runs_itself_and_the_whole_stays_held(
    house: House, call: RequestedCall
) -> None:
    wholes = [house.guess_and_run("a.txt"), house.guess_and_run("long.txt")]
    answering = house.answering(call)
    worker.perform(house.start(wait_for_own_job("1.0")))
    (message,) = answering.result(20)
    assert is_told(message, house.direct(**call.arguments))
    assert [house.fresh(whole).call_id for whole in wholes] == [None, None]
    assert [(one["outcome"], one["reason"]) for one in house.told("call_asked")] == [("requested", NOT_IN_WHOLE)]
    assert house.serve("1.1", path=call.arguments["path"]).pk in [whole.pk for whole in wholes]


def step_epoch(house: House, whole: ToolJob) -> None:
    Session.objects.filter(pk=house.session.pk).update(epoch=2)


def revoke(house: House, whole: ToolJob) -> None:
    ToolRecord.objects.filter(name="read_file").update(policy_version=F("policy_version") + 1)


def expire(house: House, whole: ToolJob) -> None:
    ToolJob.objects.filter(pk=whole.pk).update(expires_at=Now())


def give_up(house: House, whole: ToolJob) -> None:
    with events.writing(house.session.pk) as log:
        assert jobs.discard(log, whole, "revoked")


@pytest.mark.parametrize("happens", [step_epoch, revoke, expire, give_up])
def test_a_whole_that_could_not_be_served_as_a_whole_serves_no_part(
    house: House, happens: Callable[[House, ToolJob], None]
) -> None:
    whole = house.guess_and_run("a.txt")
    happens(house, whole)
    job = house.serve("1.0", path="a.txt", first_line=2)
    assert (job.status, job.promoted_at, house.fresh(whole).call_id) == (JobStatus.QUEUED, None, None)
    assert job.arguments == {"path": "a.txt", "first_line": 2}


def test_a_running_whole_is_joined_and_gives_the_part_at_its_end(house: House) -> None:
    whole = house.start(house.guess("a.txt"))
    answering = house.answering(read("1.0", first_line=4))
    wait_for(lambda: len(house.told("call_asked")) == 1)
    worker.perform(whole)
    (message,) = answering.result(20)
    assert is_told(message, house.direct(path="a.txt", first_line=4))
    assert (house.told("call_asked")[0]["outcome"], ToolJob.objects.count()) == ("joined", 1)


def test_a_queued_whole_is_raised_and_gives_the_part_at_its_end(house: House) -> None:
    whole = house.guess("a.txt")
    answering = house.answering(read("1.0", first_line=4))
    wait_for(lambda: len(house.told("call_asked")) == 1)
    worker.perform(house.start(whole))
    (message,) = answering.result(20)
    assert is_told(message, house.direct(path="a.txt", first_line=4))
    assert house.told("call_asked")[0]["outcome"] == "raised"


def end_without_part(house: House, whole: ToolJob) -> None:
    """The whole is cut, as the file is long."""
    worker.perform(whole)


def end_in_error(house: House, whole: ToolJob) -> None:
    with events.writing(house.session.pk) as log:
        assert jobs.commit(log, house.fresh(whole), attempt=whole.attempt, result=ToolResult(False, "too large"))


def end_in_failure(house: House, whole: ToolJob) -> None:
    with events.writing(house.session.pk) as log:
        assert jobs.fail(log, house.fresh(whole), attempt=whole.attempt, error="out of time", reason="timeout")


ENDS = [end_without_part, end_in_error, end_in_failure]


@pytest.mark.parametrize("end", ENDS)
def test_a_call_whose_joined_whole_does_not_give_the_part_runs_itself(
    house: House, end: Callable[[House, ToolJob], None]
) -> None:
    whole = house.start(house.guess("long.txt"))
    answering = house.answering(read("1.0", "long.txt", first_line=2999), read("1.1"))
    wait_for(lambda: len(house.told("call_asked")) == 2)
    end(house, whole)
    worker.perform(house.start(wait_for_own_job("1.0")))
    worker.perform(house.start(wait_for_own_job("1.1")))
    part, other = answering.result(20)
    assert is_told(part, house.direct(path="long.txt", first_line=2999)) and part.content == "2999\n3000"
    assert is_told(other, house.direct(path="a.txt")), "the call beside it is answered once, too"
    given_up = house.fresh(whole)
    assert (given_up.status, given_up.call_id, given_up.promoted_at) == (JobStatus.DISCARDED, None, None)
    assert not any(returned["unknown_outcome"] for returned in house.told("call_returned"))


def test_the_figures_count_a_whole_joined_in_vain_as_no_hit_and_as_waste(house: House) -> None:
    whole = house.start(house.guess("long.txt"))
    answering = house.answering(read("1.0", "long.txt", first_line=2999))
    wait_for(lambda: len(house.told("call_asked")) == 1)
    worker.perform(whole)
    worker.perform(house.start(wait_for_own_job("1.0")))
    answering.result(20)
    with events.writing(house.session.pk) as log:
        log.append("session_ended", status="succeeded", answer="", error=None)
    told = queries.told(house.session)
    call = told.story.calls["1.0"]
    assert (call.outcome, call.reason, call.part_of) == ("requested", NOT_IN_WHOLE, None)
    assert (told.figures.hits, told.figures.launches) == (0, 1)
    assert [waste.run.job for waste in told.figures.wasted] == [str(whole.pk)]
    waited = figures.compute(told.story).calls[0].waited_seconds
    assert waited > told.story.runs[call.job].let_go_at(0) - told.story.runs[call.job].queued_at, (
        "from the first asking on"
    )


def test_of_two_parts_asked_for_at_once_exactly_one_is_served_by_the_whole(house: House, race: Race) -> None:
    for number in range(ROUNDS):
        (house.root / f"{number}.txt").write_text("one\ntwo\n")
        whole = house.guess_and_run(f"{number}.txt")
        served = race.run(
            *(partial(house.serve, f"{number}.{k}", path=f"{number}.txt", first_line=k + 1) for k in range(2))
        )
        assert [job.pk == whole.pk for job in served].count(True) == 1
        assert sorted(job.call_id for job in served) == [f"{number}.0", f"{number}.1"]


@pytest.mark.parametrize("is_running", [False, True])
def test_another_worker_that_resumes_the_session_gives_the_same_part(house: House, is_running: bool) -> None:
    whole = house.start(house.guess("a.txt"))
    if not is_running:
        worker.perform(whole)
    house.serve("1.0", path="a.txt", first_line=2)  # and here its owner dies
    house.hand_over_to_another_worker()
    if is_running:
        worker.perform(whole)
    (message,) = house.answer(read("1.0", first_line=2), attempt=2)
    assert is_told(message, house.direct(path="a.txt", first_line=2))
    assert (len(house.told("call_asked")), len(house.told("call_returned")), ToolJob.objects.count()) == (1, 1, 1)
    assert house.answer(read("1.0", first_line=2), attempt=2)[0].content == message.content, "and again from the log"


@pytest.mark.parametrize("end", ENDS)
def test_another_worker_that_resumes_after_the_whole_ended_in_vain_runs_the_call(
    house: House, end: Callable[[House, ToolJob], None]
) -> None:
    whole = house.start(house.guess("long.txt"))
    house.serve("1.0", path="long.txt", first_line=2999)
    end(house, whole)
    house.hand_over_to_another_worker()
    answering = house.answering(read("1.0", "long.txt", first_line=2999), attempt=2)
    own = wait_for_own_job("1.0")
    with pytest.raises(SessionLost):
        house.answer(read("1.0", "long.txt", first_line=2999), attempt=1)
    worker.perform(house.start(own))
    assert answering.result(20)[0].content == "2999\n3000"
    assert ToolJob.objects.filter(call_id="1.0").count() == 1


def test_an_owner_that_lost_the_session_while_it_waited_for_a_whole_stops(house: House) -> None:
    whole = house.start(house.guess("long.txt"))
    lost = house.answering(read("1.0", "long.txt", first_line=2999))
    wait_for(lambda: len(house.told("call_asked")) == 1)
    house.hand_over_to_another_worker()
    worker.perform(whole)
    with pytest.raises(SessionLost):
        lost.result(20)
    assert house.fresh(whole).call_id == "1.0", "it is the next owner's to give up"


def test_a_projection_that_breaks_is_no_projection(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.guess_and_run("a.txt")
    monkeypatch.setattr(type(catalog.BUILTIN["read_file"]), "project", lambda *_: 1 / 0)
    assert house.serve("1.0", path="a.txt", first_line=2).promoted_at is None


def test_the_engine_knows_what_a_tool_covers_and_judges_its_calls_one_by_one(house: House) -> None:
    record = ToolRecord(name="any")
    command, recorded = (
        BoxedTool(record, tool)
        for tool in (
            catalog.BUILTIN["run_command"],
            RecordedTool("Read", RecordedEffects("read", covers=frozenset({"to"}))),
        )
    )
    assert house.box["read_file"].traits.covers == {"first_line", "last_line"}
    assert command.traits.shell_argument == "command"
    assert command.traits.may_run_early({"command": "ls"}) and not command.traits.may_run_early({"command": "rm x"})
    assert not command.traits.may_change_world({"command": "ls"})
    assert recorded.traits.covers == {"to"} and recorded.part_of({"to": 3}) is None, (
        "nobody knows what it would have said"
    )
