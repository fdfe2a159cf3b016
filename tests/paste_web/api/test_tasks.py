"""The contract for programs: submit, read, list, follow, cancel."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from paste_web.api import idempotency, tasks
from speculation import events, sessions
from speculation.access import READ, WRITE
from speculation.models import IdempotencyRecord, Session, SessionStatus
from tests.paste_web.api.conftest import Caller

DOCUMENT_FIELDS = "id status agent model speculation arm labels created_at started_at ended_at answer error figures url events_url ui_url"


def end(session_id: str, answer: str = "done") -> None:
    """The shortest life of a session: started, one turn, ended."""
    session = sessions.claim(Session.objects.get(pk=session_id).pk, "test")
    assert session is not None
    sessions.begin(session)
    events.append(session.pk, "turn_started", turn=1, attempt=1)
    events.append(session.pk, "turn_ended", turn=1, text=answer, calls=[], finish_reason="stop", usage={})
    assert sessions.finish(session, SessionStatus.SUCCEEDED, answer=answer)


def test_a_submitted_task_is_stored_and_answered_with_its_whole_document(caller: Caller) -> None:
    response = caller.submit(labels={"ticket": "4711"}, max_turns=7, timeout_seconds=90)
    document = response.json()
    assert response.status_code == 202
    assert set(document) == set(DOCUMENT_FIELDS.split())
    assert response["Location"] == document["url"] == f"http://testserver/api/v1/tasks/{document['id']}"
    assert document["ui_url"] == f"http://testserver/sessions/{document['id']}/"
    assert (document["status"], document["agent"], document["model"], document["arm"]) == (
        "queued",
        "writer",
        "small",
        "on",
    )
    assert document["labels"] == {"ticket": "4711"} and document["figures"] is None
    session = Session.objects.get(pk=document["id"])
    assert (session.max_turns, session.timeout_seconds, session.submitted_by) == (7, 90.0, caller.key)


def test_the_moments_are_utc_to_the_millisecond(caller: Caller) -> None:
    created_at = caller.submit().json()["created_at"]
    assert created_at.endswith("Z") and len(created_at) == len("2026-11-22T14:02:07.412Z")


def test_an_ended_task_has_its_figures(caller: Caller) -> None:
    task = caller.submit().json()
    end(task["id"], "a poem")
    document = caller.get(f"/tasks/{task['id']}").json()
    assert (document["status"], document["answer"]) == ("succeeded", "a poem")
    assert document["figures"]["net_saved_seconds"] == 0.0 and document["figures"]["launches"] == 0


def test_asking_for_an_arm_gives_that_arm(caller: Caller) -> None:
    assert [caller.submit(speculation=arm).json()["arm"] for arm in ("on", "off", "shadow")] == ["on", "off", "shadow"]


def test_a_page_of_tasks_leads_to_the_next_and_none_is_missed_or_repeated(caller: Caller) -> None:
    made = [caller.submit(task=f"Task {n}").json()["id"] for n in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    for _page in range(3):
        page = caller.get("/tasks", limit=2, **({"cursor": cursor} if cursor else {})).json()
        seen += [task["id"] for task in page["tasks"]]
        cursor = page["next_cursor"]
    assert seen == made[::-1] and cursor is None


def test_tasks_are_filtered_by_status_agent_and_every_label(caller: Caller) -> None:
    wanted = caller.submit(labels={"ticket": "1", "team": "red"}).json()["id"]
    other = caller.submit(labels={"ticket": "2", "team": "red"}).json()["id"]
    end(other)

    def found(**filters: Any) -> list[str]:
        return [task["id"] for task in caller.get("/tasks", **filters).json()["tasks"]]

    assert found(status="queued") == [wanted]
    assert found(label=["team:red", "ticket:1"]) == [wanted]
    assert found(label="team:red") == [other, wanted]
    assert found(agent="writer") == [other, wanted] and found(agent="nobody") == []


def test_a_key_sees_only_its_own_tasks_and_read_all_sees_every_one(
    caller: Caller, overseer: Caller, call_with: Callable[..., Caller]
) -> None:
    task = caller.submit().json()["id"]
    other = call_with(READ, WRITE)
    assert other.get("/tasks").json()["tasks"] == []
    for path in ("", "/events"):
        assert other.get(f"/tasks/{task}{path}").status_code == 404
        assert overseer.get(f"/tasks/{task}{path}").status_code == 200
    assert other.post(f"/tasks/{task}/cancel").status_code == 404
    assert [found["id"] for found in overseer.get("/tasks").json()["tasks"]] == [task]


def test_who_may_read_everything_still_cancels_only_its_own(caller: Caller, call_with: Callable[..., Caller]) -> None:
    task = caller.submit().json()["id"]
    refused = call_with("tasks:read_all", WRITE).post(f"/tasks/{task}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert Session.objects.get(pk=task).status == "queued"


def test_the_log_is_read_in_parts_and_says_when_it_is_final(caller: Caller) -> None:
    task = caller.submit().json()["id"]
    first = caller.get(f"/tasks/{task}/events", limit=1).json()
    assert [event["kind"] for event in first["events"]] == ["session_queued"] and not first["final"]
    end(task)
    rest = caller.get(f"/tasks/{task}/events", after=first["next_after"]).json()
    assert rest["final"] and rest["events"][-1]["kind"] == "session_ended"
    assert [event["seq"] for event in rest["events"]] == list(range(2, rest["next_after"] + 1))
    nothing_more = caller.get(f"/tasks/{task}/events", after=rest["next_after"]).json()
    assert nothing_more == {"events": [], "next_after": rest["next_after"], "final": True}


def test_a_waiting_task_is_cancelled_once_and_then_says_that_it_had_ended(caller: Caller) -> None:
    task = caller.submit().json()["id"]
    first = caller.post(f"/tasks/{task}/cancel")
    assert (first.status_code, first.json()["status"]) == (202, "cancelled")
    assert caller.post(f"/tasks/{task}/cancel").status_code == 200


def test_a_repeated_request_gets_the_stored_answer_also_after_the_task_has_ended(caller: Caller) -> None:
    first = caller.submit(idempotency_key="ticket-4711")
    end(first.json()["id"])
    again = caller.submit(idempotency_key="ticket-4711")
    assert again.status_code == 202 and again.json() == first.json()
    assert (again["Idempotency-Replayed"], again["Location"]) == ("true", first["Location"])
    assert "Idempotency-Replayed" not in first
    assert Session.objects.count() == 1


def test_a_reused_key_with_another_body_is_refused_and_stores_nothing(caller: Caller) -> None:
    caller.submit(idempotency_key="k")
    refused = caller.submit(task="Another poem.", idempotency_key="k")
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert Session.objects.count() == 1


def test_a_refusal_is_not_remembered(caller: Caller) -> None:
    assert caller.submit(agent="nobody", idempotency_key="k").status_code == 422
    assert caller.submit(idempotency_key="k").status_code == 202


def test_two_programs_may_use_the_same_idempotency_key(caller: Caller, call_with: Callable[..., Caller]) -> None:
    ids = {one.submit(idempotency_key="k").json()["id"] for one in (caller, call_with(WRITE))}
    assert len(ids) == 2


def test_an_idempotency_key_is_forgotten_after_a_day(caller: Caller) -> None:
    first = caller.submit(idempotency_key="k").json()["id"]
    IdempotencyRecord.objects.update(created_at=Now() - timedelta(hours=25))
    assert caller.submit(idempotency_key="k").json()["id"] != first
    assert IdempotencyRecord.objects.count() == 1


def test_too_many_tasks_in_a_minute_are_told_to_wait(caller: Caller, settings: Any) -> None:
    settings.PASTE_API_TASKS_PER_MINUTE = 2
    statuses = [caller.submit().status_code for _ in range(3)]
    refused = caller.submit()
    assert statuses == [202, 202, 429]
    assert (refused.json()["code"], refused["Retry-After"]) == ("rate_limited", "60")


def test_a_full_queue_stores_nothing_and_says_when_to_come_back(caller: Caller, settings: Any) -> None:
    settings.PASTE_MOST_QUEUED_SESSIONS = 1
    caller.submit()
    refused = caller.submit()
    assert (refused.status_code, refused.json()["code"]) == (429, "queue_full") and int(refused["Retry-After"]) > 0
    assert Session.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_twenty_simultaneous_requests_with_one_key_exactly_one_makes_a_task(caller: Caller, broker_url: str) -> None:
    barrier = threading.Barrier(20)
    answers: list[Any] = []

    def submit() -> None:
        try:
            one = Caller(caller.key, caller.text)
            barrier.wait()
            answers.append(one.submit(idempotency_key="race"))
        finally:
            connection.close()

    threads = [threading.Thread(target=submit) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [202] * 20
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer for answer in answers) == 1
    assert Session.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_while_the_first_request_is_being_stored_the_second_is_told_to_come_back(
    caller: Caller, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "PATIENCE_SECONDS", 0.1)
    claimed, may_store = threading.Event(), threading.Event()
    store = tasks.submit_task

    def store_slowly(*arguments: Any, **options: Any) -> Session:
        claimed.set()
        may_store.wait(10)
        return store(*arguments, **options)

    monkeypatch.setattr(tasks, "submit_task", store_slowly)
    firsts: list[Any] = []

    def submit_first() -> None:
        try:
            firsts.append(Caller(caller.key, caller.text).submit(idempotency_key="k"))
        finally:
            connection.close()

    thread = threading.Thread(target=submit_first)
    thread.start()
    assert claimed.wait(10)
    second = caller.submit(idempotency_key="k")
    may_store.set()
    thread.join()
    assert (second.status_code, second.json()["code"], second["Retry-After"]) == (409, "idempotency_in_progress", "1")
    assert firsts[0].status_code == 202 and Session.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_waiting_for_a_task_answers_as_soon_as_it_ends_and_holds_no_connection(caller: Caller, broker_url: str) -> None:
    task = caller.submit().json()["id"]
    waiting = threading.Event()
    answers: list[tuple[Any, float]] = []

    def wait() -> None:
        try:
            waiting.set()
            answer = Caller(caller.key, caller.text).get(f"/tasks/{task}", wait_seconds=20)
            answers.append((answer, time.monotonic()))
        finally:
            connection.close()

    thread = threading.Thread(target=wait)
    thread.start()
    assert waiting.wait(5)
    time.sleep(0.4)
    assert not answers
    end(task)
    ended = time.monotonic()
    thread.join(10)
    answer, answered = answers[0]
    assert answer.json()["status"] == "succeeded" and answered - ended < 1.5


@pytest.mark.django_db(transaction=True)
def test_waiting_ends_with_the_time_even_if_the_task_does_not(caller: Caller, broker_url: str) -> None:
    task = caller.submit().json()["id"]
    began = time.monotonic()
    assert caller.get(f"/tasks/{task}", wait_seconds=0.3).json()["status"] == "queued"
    assert 0.3 <= time.monotonic() - began < 3


def test_the_openapi_document_describes_the_contract(db: None) -> None:
    document = Client().get("/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/api/v1/tasks", "/api/v1/tasks/{task_id}", "/api/v1/tasks/{task_id}/events", "/api/v1/tasks/{task_id}/cancel"
    }  # fmt: skip
    submit = document["paths"]["/api/v1/tasks"]["post"]
    assert submit["security"] and {"202", "401", "409", "422"} <= set(map(str, submit["responses"]))
    assert set(submit["responses"]["422"]["content"]) == {"application/problem+json"}
    assert set(submit["responses"]["202"]["content"]) == {"application/json"}
    names = [parameter["name"] for parameter in submit["parameters"]]
    assert names == ["Idempotency-Key"]


def test_a_key_that_has_filled_its_own_line_is_told_when_to_come_back_and_another_is_not(
    caller: Caller, call_with: Callable[..., Caller], settings: Any
) -> None:
    settings.PASTE_MOST_QUEUED_SESSIONS_A_KEY = 2
    assert [caller.submit().status_code for _ in range(2)] == [202, 202]
    refused = caller.submit()
    assert (refused.status_code, refused.json()["code"]) == (429, "queue_full")
    assert refused["Content-Type"] == "application/problem+json"
    assert f"Try again in {refused['Retry-After']} s." in refused.json()["detail"]
    assert call_with(WRITE).submit().status_code == 202


@pytest.mark.django_db(transaction=True)
def test_racing_requests_of_one_key_never_overfill_its_line(caller: Caller, broker_url: str, settings: Any) -> None:
    settings.PASTE_MOST_QUEUED_SESSIONS_A_KEY = 3
    barrier = threading.Barrier(7)
    statuses: list[int] = []

    def submit() -> None:
        try:
            one = Caller(caller.key, caller.text)
            barrier.wait()
            statuses.append(one.submit().status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=submit) for _ in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [202] * 3 + [429] * 4
    assert Session.objects.count() == 3
