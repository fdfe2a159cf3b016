"""Reads that nobody guessed are asked in one statement each, and are the same jobs as those that `serve` makes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from speculation import unguessed, worker
from speculation.asked import AskedCall
from speculation.models import AgentProfile, JobStatus, Session, ToolJob, WorkerPool
from tests.speculation.house import House, read, wait_for, wait_for_own_job
from tests.speculation.lost import make_box
from tools.base import SideEffect


@pytest.fixture
def house(
    tmp_path: Path, session: Session, agent: AgentProfile, pool: WorkerPool, broker_url: str, monkeypatch: Any
) -> Iterator[House]:
    box = make_box(tmp_path, session, agent, monkeypatch)
    session.refresh_from_db()
    house = House(session, box, tmp_path)
    yield house
    house.close()


def asked(house: House, call_id: str, path: str = "a.txt") -> AskedCall:
    return house.asked(call_id, path=path)


def columns(job: ToolJob) -> dict[str, Any]:
    differ = ("id", "call_id", "repeat", "created_at", "enqueued_at")
    return {field.attname: getattr(job, field.attname) for field in job._meta.fields if field.attname not in differ}


def kinds(house: House) -> list[str]:
    return list(house.session.events.order_by("seq").values_list("kind", flat=True))


def test_what_was_guessed_or_has_a_job_is_left_to_serve(house: House) -> None:
    house.serve("1.0", path="other.txt")
    house.guess("a.txt")
    calls = [asked(house, "1.0", "other.txt"), asked(house, "2.0"), asked(house, "2.1", "b.txt")]
    assert set(unguessed.request(house.session, calls)) == {"2.1"}
    assert house.fresh(house.guess("c.txt")).call_id is None
    assert ToolJob.objects.filter(call_id__isnull=False).count() == 2


def test_so_is_a_part_of_a_whole_that_was_guessed(house: House) -> None:
    house.guess("a.txt")
    part = house.asked("1.0", path="a.txt", first_line=1, last_line=1)
    assert part.part is not None and unguessed.request(house.session, [part]) == {}


def test_so_is_what_writes_or_shares_state_or_runs_in_place(house: House) -> None:
    spec = house.box["read_file"].spec_of({"path": "a.txt"})
    writes = AskedCall("1.0", 1, replace(spec, effect=SideEffect.WRITE))
    shares = AskedCall("1.1", 1, replace(spec, scope="orders"))
    in_place = AskedCall("1.2", 1, replace(spec, pool_id=None))
    assert unguessed.request(house.session, [writes, shares, in_place]) == {}
    assert not ToolJob.objects.exists()


def test_its_job_and_events_are_those_that_serve_makes(house: House) -> None:
    quick = unguessed.request(house.session, [asked(house, "1.0")])["1.0"]
    served = house.serve("1.1", path="a.txt")
    assert columns(house.fresh(quick)) == columns(house.fresh(served))
    assert [house.fresh(job).repeat for job in (quick, served)] == [0, 1]
    assert kinds(house) == ["job_queued", "call_asked"] * 2
    for kind in ("job_queued", "call_asked"):
        first, second = ({**told, "job": None, "call_id": None} for told in house.told(kind))
        assert first == second


def test_a_call_is_asked_in_one_statement_of_its_own(house: House) -> None:
    statements: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        statements.append(sql)
        return execute(sql, *rest)

    unguessed.request(house.session, [asked(house, "1.0")])  # composed, and asked whether there is room
    with connection.execute_wrapper(note):
        unguessed.request(house.session, [asked(house, "1.1"), asked(house, "1.2", "b.txt")])
    assert [sql.split()[0] for sql in statements] == ["WITH", "WITH", "SELECT"]


def test_where_the_session_is_not_as_it_was_seen_nothing_is_asked(house: House) -> None:
    seen = Session.objects.get(pk=house.session.pk)
    Session.objects.filter(pk=seen.pk).update(epoch=4)
    assert unguessed.request(seen, [asked(house, "1.0")]) == {}
    house.hand_over_to_another_worker()
    Session.objects.filter(pk=seen.pk).update(epoch=0)
    assert unguessed.request(seen, [asked(house, "1.0")]) == {}
    assert (ToolJob.objects.count(), kinds(house)) == (0, [])


def test_guessed_and_unguessed_reads_of_one_turn_are_answered_in_their_order(house: House) -> None:
    (house.root / "b.txt").write_text("other\n")
    house.guess_and_run("a.txt")
    answering = house.answering(read("1.0", "b.txt"), read("1.1", "a.txt"), read("1.2", "none.txt"))
    for call_id in ("1.0", "1.2"):
        worker.perform(house.start(wait_for_own_job(call_id)))
    told = answering.result(10)
    assert [message.ok for message in told] == [True, True, False]
    assert "other" in told[0].content and "one" in told[1].content
    wait_for(lambda: kinds(house).count("call_returned") == 3)
    outcomes = {each["call_id"]: each["outcome"] for each in house.told("call_asked")}
    assert outcomes == {"1.0": "requested", "1.1": "used", "1.2": "requested"}
    assert set(ToolJob.objects.values_list("status", flat=True)) == {JobStatus.SUCCEEDED}
