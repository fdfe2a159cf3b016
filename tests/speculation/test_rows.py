"""Statements that are composed once: the same rows move as if each had been composed for itself."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.db.models import F, Q
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from speculation import composed, rows
from speculation.models import JobStatus, Session, ToolJob, ToolRecord

pytestmark = pytest.mark.django_db


@pytest.fixture
def make_job(session: Session, read_tool: ToolRecord) -> Callable[..., ToolJob]:
    def make(**fields: Any) -> ToolJob:
        given = {"fingerprint": "f", "effect": "none", "epoch": 0, "call_id": None, **fields}
        return ToolJob.objects.create(session=session, tool=read_tool, **given)

    return make


def test_one_shape_with_other_values_moves_the_right_row(make_job: Callable[..., ToolJob]) -> None:
    first, second = make_job(fingerprint="a"), make_job(fingerprint="b")
    for job, words in ((first, "one"), (second, "two 'quoted' 100 %s")):
        assert rows.update(
            job, Q(attempt=0, status__in=["queued"]), fields={"error": words, "attempt": F("attempt") + 1}
        )
    assert list(ToolJob.objects.order_by("fingerprint").values_list("error", "attempt")) == [
        ("one", 1),
        ("two 'quoted' 100 %s", 1),
    ]
    assert (first.error, first.attempt) == ("one", 1)


def test_a_condition_that_does_not_hold_moves_nothing(make_job: Callable[..., ToolJob]) -> None:
    job = make_job()
    for attempt in (1, 2):
        assert not rows.update(job, Q(attempt=attempt), fields={"error": "moved"})
    assert not rows.update(job, Q(status__in=[]), fields={"error": "moved"})
    assert not rows.update(job, ~Q(call_id=None) | Q(transformed=True), fields={"error": "moved"})
    job.refresh_from_db()
    assert job.error == ""


def test_conditions_that_differ_in_what_is_no_plain_value_are_other_statements(
    make_job: Callable[..., ToolJob],
) -> None:
    job = make_job()
    assert rows.update(job, Q(call_id=None), fields={"call_id": "1.0"})
    assert not rows.update(job, Q(call_id=None), fields={"call_id": "1.1"})
    assert rows.update(job, Q(call_id="1.0"), fields={"call_id": None})
    assert rows.update(job, Q(transformed=False), fields={"in_part": True})
    assert not rows.update(job, Q(transformed=True), fields={"in_part": False})
    assert job.in_part and job.call_id is None


def test_json_and_enumerations_are_stored_as_what_they_mean(make_job: Callable[..., ToolJob]) -> None:
    job = make_job()
    content = {"ok": True, "content": 'say "x" \\ é', "structured": [1, None, 2.5]}
    moved = {"result": content, "status": JobStatus.SUCCEEDED, "ended_at": Now()}
    assert rows.update(job, Q(effect="none"), fields=moved)
    stored = ToolJob.objects.get(pk=job.pk)
    assert (stored.result, stored.status, job.result) == (content, "succeeded", content)
    assert job.ended_at == stored.ended_at is not None


def test_the_second_use_of_a_shape_composes_nothing(
    make_job: Callable[..., ToolJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = []
    compose = composed._compose_update
    monkeypatch.setattr(composed, "_composed", {})
    monkeypatch.setattr(composed, "_compose_update", lambda *given: times.append(1) or compose(*given))
    for k in range(3):
        job = make_job(fingerprint=str(k))
        assert rows.update(job, Q(attempt=0), fields={"error": f"job {k}"})
    assert len(times) == 1


def test_an_inserted_row_is_as_the_database_has_it_after_one_statement(session: Session, read_tool: ToolRecord) -> None:
    job = ToolJob(
        session=session, tool=read_tool, fingerprint="f", effect="none", epoch=0, call_id="1.0", arguments={"a": [1]}
    )
    with CaptureQueriesContext(connection) as asked:
        rows.insert(job, {"repeat": ("(SELECT 40 + %s)", [2])})
    assert len(asked) == 1
    assert (job.repeat, job.arguments, job.status) == (42, {"a": [1]}, "queued")
    assert ToolJob.objects.get(pk=job.pk).created_at == job.created_at
    job.error = "kept"
    job.save()
    assert ToolJob.objects.count() == 1


def test_a_second_job_of_one_call_is_refused(
    session: Session, read_tool: ToolRecord, make_job: Callable[..., ToolJob]
) -> None:
    make_job(call_id="1.0")
    twin = ToolJob(session=session, tool=read_tool, fingerprint="g", effect="none", epoch=0, call_id="1.0")
    with pytest.raises(IntegrityError):
        rows.insert(twin, {})


def test_rows_are_read_as_the_manager_reads_them(make_job: Callable[..., ToolJob]) -> None:
    job = make_job(arguments={"path": "ä \" '"}, result={"ok": True, "content": None})
    statement = "SELECT *, 1 AS turn FROM speculation_tooljob WHERE id = %s"
    (ours,) = rows.read(ToolJob, statement, [job.pk])
    assert ours.__dict__.keys() == ToolJob.objects.get(pk=job.pk).__dict__.keys(), "without what is no field"
    for field in ToolJob._meta.concrete_fields:
        assert getattr(ours, field.attname) == getattr(ToolJob.objects.get(pk=job.pk), field.attname)
    assert rows.read(ToolJob, statement, [job.session_id]) == []


def test_a_column_that_was_not_read_is_read_when_it_is_asked_for(make_job: Callable[..., ToolJob]) -> None:
    job = make_job(arguments={"path": "a.txt"})
    (read,) = rows.read(ToolJob, "SELECT status, id FROM speculation_tooljob WHERE id = %s", [job.pk])
    assert read.status == JobStatus.QUEUED and "arguments" not in read.__dict__
    assert read.arguments == {"path": "a.txt"}
    read.error = "changed"
    read.save(update_fields=["error"])
    assert ToolJob.objects.get(pk=job.pk).error == "changed", "it is known to be in the database"


def test_a_row_is_refreshed_and_what_it_points_to_stays_as_it_was_read(make_job: Callable[..., ToolJob]) -> None:
    job = make_job()
    tool = job.tool
    ToolJob.objects.update(error="moved", result={"a": [1]}, ended_at=Now())
    rows.refresh(job)
    assert (job.error, job.result) == ("moved", {"a": [1]}) and job.ended_at is not None
    assert job.tool is tool
    ToolJob.objects.all().delete()
    with pytest.raises(ToolJob.DoesNotExist):
        rows.refresh(job)


def test_a_row_that_points_elsewhere_now_forgets_what_it_pointed_to(make_job: Callable[..., ToolJob]) -> None:
    job = make_job()
    other = ToolRecord.objects.create(name="another")
    ToolJob.objects.update(tool=other)
    rows.refresh(job)
    assert job.tool == other
