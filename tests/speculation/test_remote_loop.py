"""Sessions of agents that run elsewhere: taken, answered, ended, handed on."""

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from uuid6 import uuid7

from speculation import access, events, sessions, submission
from speculation.engine.prediction import Predictor
from speculation.engine.types import EventKind
from speculation.forecast import Forecast
from speculation.history import events_of
from speculation.models import AgentProfile, RemoteCall, Session, SessionStatus
from speculation.remote_calls import Answer, Caller, NotAnswered, ask, hand_in, leave
from speculation.remote_inbox import Inbox
from speculation.runtime import Cancelled, SessionRuntime
from speculation.toolbox import Toolbox
from tests.speculation.remote import Beside, agent, beside, caller, in_world, key, opened, read, run, wait_until

__all__ = ["agent", "beside", "caller", "key"]  # fixtures


def test_a_call_is_answered_and_stands_in_the_log_like_any_other(
    caller: Caller, beside: Beside, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("hello")
    session = opened(caller, tmp_path)
    running = beside(run, session)
    answers = [beside(ask, caller, *read("a.txt")).result(20) for _ in range(2)]
    running.result(20)
    assert [(one.result.ok, one.result.content, one.call_id) for one in answers] == [
        (True, "hello", "1.0"),
        (True, "hello", "2.0"),
    ]
    kinds = [one.kind for one in session.events.order_by("seq") if one.kind not in ("predicted",)]
    assert kinds[:4] == ["session_queued", "session_started", "turn_started", "turn_ended"]
    assert kinds[-1] == "session_ended" and kinds.count("call_returned") == 2
    assert not RemoteCall.objects.exists()


def test_what_an_owner_left_open_is_answered_by_the_next(caller: Caller, beside: Beside, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    session = opened(caller, tmp_path)
    first = sessions.claim(session.pk, "a worker that dies")
    assert first is not None
    sessions.begin(first)
    asking = beside(ask, caller, *read("a.txt"))
    wait_until(lambda: Inbox(first).is_wanted())
    assert [call.call_id for call in Inbox(first).take(1, 0, "").calls] == ["1.0"]
    Session.objects.filter(pk=session.pk).update(lease_until="2020-01-01T00:00Z")
    running = beside(run, session)
    assert asking.result(20).result.content == "hello"
    running.result(20)
    session.refresh_from_db()
    assert (session.status, session.attempt) == ("succeeded", 2)


def test_an_owner_that_answered_and_could_not_say_so_leaves_the_answer_to_the_next(
    caller: Caller, beside: Beside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies between the log's answer and the one at the door: the change is not made a second time."""
    session = opened(caller, tmp_path)
    asking = beside(ask, caller, "write_file", {"path": "a.txt", "text": "once"})
    with monkeypatch.context() as patch:
        patch.setattr(Inbox, "tell", lambda self, call_id, message: threading.Event().wait(0.2))
        running = beside(run, session)
        wait_until(lambda: session.events.filter(kind="call_returned").exists())
        Session.objects.filter(pk=session.pk).update(attempt=2, owner="nobody", lease_until="2020-01-01T00:00Z")
        running.result(20)  # it is somebody else's now, and it leaves it alone
    (tmp_path / "a.txt").unlink()
    running = beside(run, session)
    assert asking.result(20).result.ok
    running.result(20)
    assert not (tmp_path / "a.txt").exists(), "nothing ran twice"
    assert session.events.filter(kind="call_returned").count() == 1


def test_calls_start_in_their_order_and_a_change_has_the_world_to_itself(
    caller: Caller, beside: Beside, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("0")
    session = opened(caller, tmp_path)
    asking = []
    for number in range(1, 4):
        asking.append(beside(ask, caller, "write_file", {"path": "a.txt", "text": str(number)}))
        wait_until(lambda number=number: RemoteCall.objects.count() == 2 * number - 1)
        asking.append(beside(ask, caller, *read("a.txt")))
        wait_until(lambda number=number: RemoteCall.objects.count() == 2 * number)
    running = beside(run, session)
    answers = [one.result(20) for one in asking]
    assert [one.result.content for one in answers[1::2]] == ["1", "2", "3"]
    assert [one.call_id for one in answers] == [f"1.{index}" for index in range(6)], (
        "they stood at the door as one turn"
    )
    running.result(20)
    assert Session.objects.get().epoch == 6


def test_a_client_that_leaves_is_not_waited_for_and_a_quiet_one_ends_with_its_last_answer(
    caller: Caller, beside: Beside, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("hello")
    for leaves in (True, False):
        session = opened(caller, tmp_path)
        running = beside(run, session)
        beside(ask, caller, *read("a.txt")).result(20)
        began = time.monotonic()
        assert not leaves or leave(caller)
        running.result(20)
        session.refresh_from_db()
        answered = session.events.get(kind="call_returned")
        assert (time.monotonic() - began < 3.5) is leaves
        assert (session.ended_at == answered.at) is not leaves
        assert ("as_of" in session.events.get(kind="session_ended").payload) is not leaves
    assert not leave(caller), "none is open"


def test_a_call_that_finds_its_session_ending_is_asked_in_the_next(
    caller: Caller, beside: Beside, tmp_path: Path
) -> None:
    """Handing in and ending take the same row: the call stands in one session or the other, never in one that is over."""
    (tmp_path / "a.txt").write_text("hello")
    for _ in range(20):
        session = opened(caller, tmp_path)
        mine = sessions.claim(session.pk, "tester")
        assert mine is not None
        together = threading.Barrier(2)

        def end(mine: Session = mine, together: threading.Barrier = together) -> bool:
            together.wait()
            return sessions.finish(mine, SessionStatus.SUCCEEDED)

        def call(together: threading.Barrier = together) -> Answer:
            together.wait()
            return ask(caller, *read("a.txt"))

        ended, asked = beside(end), beside(call)
        assert ended.result(20)
        wait_until(lambda session=session: RemoteCall.objects.exclude(session=session).exists())
        following = in_world(Session.objects.get(ended_at=None), tmp_path)
        beside(run, following)
        assert asked.result(20).session_id == following.pk
        leave(caller)
        wait_until(lambda: not Session.objects.filter(ended_at=None).exists())
    assert not RemoteCall.objects.exists()


def test_a_call_waits_for_an_end_that_is_being_written_and_finds_it(
    caller: Caller, beside: Beside, tmp_path: Path
) -> None:
    session = opened(caller, tmp_path)
    with transaction.atomic():
        Session.objects.filter(pk=session.pk).update(status="succeeded", ended_at=Now())
        handing_in = beside(hand_in, caller, RemoteCall(pk=uuid7(), tool="list_files", arguments={}))
        time.sleep(0.3)
        assert not handing_in.done()
    assert handing_in.result(20) is None and not RemoteCall.objects.exists()


def test_of_two_requests_that_open_a_session_one_does(caller: Caller, beside: Beside, tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def call() -> Answer:
        together.wait()
        return ask(caller, "list_files", {})

    asking = [beside(call) for _ in range(4)]
    wait_until(lambda: RemoteCall.objects.count() == 4)
    running = beside(run, in_world(Session.objects.get(), tmp_path))
    assert {one.result(20).session_id for one in asking} == {Session.objects.get().pk}
    leave(caller)
    running.result(20)
    with pytest.raises(IntegrityError):
        opened(caller, tmp_path), opened(caller, tmp_path)


def test_a_call_that_no_worker_takes_is_taken_back_and_says_so(
    caller: Caller, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speculation.remote_calls.TAKEN_WITHIN_SECONDS", 0.1)
    with pytest.raises(NotAnswered) as told:
        beside(ask, caller, *read("a.txt")).result(20)
    assert told.value.may_retry and "Nothing was run" in str(told.value)
    assert not RemoteCall.objects.exists(), "a worker that comes later finds nothing to run for nobody"


def test_no_task_is_given_to_an_agent_elsewhere(agent: AgentProfile) -> None:
    with pytest.raises(submission.InvalidTask, match="takes no tasks"):
        submission.submit_task(agent, "Do something.")


def test_an_owner_that_lost_its_session_answers_nobody(caller: Caller, beside: Beside, tmp_path: Path) -> None:
    session = opened(caller, tmp_path)
    mine = sessions.claim(session.pk, "tester")
    assert mine is not None
    asking = beside(ask, caller, *read("a.txt"))
    wait_until(lambda: Inbox(mine).is_wanted())
    Session.objects.filter(pk=session.pk).update(attempt=2)
    with pytest.raises(events.SessionLost):
        Inbox(mine).take(1, 0, "")
    assert Inbox(mine).is_wanted()
    Session.objects.filter(pk=session.pk).update(status="failed", ended_at="2026-01-01T00:00Z")
    Session.objects.filter(pk=session.pk).update(client_session="")
    following = beside(lambda: wait_until(lambda: Session.objects.filter(ended_at=None).exists()))
    following.result(20)
    beside(run, in_world(Session.objects.get(ended_at=None), tmp_path))
    assert "a.txt" in asking.result(20).result.content


def test_what_the_user_says_stands_in_the_log_when_it_is_new(caller: Caller, beside: Beside, tmp_path: Path) -> None:
    asking = beside(ask, caller, "list_files", {}, "Look at the files.")
    wait_until(lambda: RemoteCall.objects.exists())
    session = in_world(Session.objects.get(), tmp_path)
    assert session.task == "Look at the files." and session.model_name == "a client 1.0"
    running = beside(run, session)
    asking.result(20)
    for said in ("Look at the files.", "", "Look again.", "Look again."):
        beside(ask, caller, "list_files", {}, said).result(20)
    leave(caller)
    running.result(20)
    said = session.events.filter(kind="user_said").order_by("seq")
    assert [one.payload["text"] for one in said] == ["Look at the files.", "Look again."]
    assert [event.kind for event in events_of(session)][:2] == [EventKind.USER, EventKind.LLM]


def test_what_a_tool_cannot_do_is_told_to_the_model(caller: Caller, beside: Beside, tmp_path: Path) -> None:
    session = opened(caller, tmp_path)
    running = beside(run, session)
    wrong = [("fly", {}), ("read_file", {"pth": "a.txt"}), ("read_file", {"path": "absent.txt"})]
    unknown, misspelt, absent = (beside(ask, caller, *call).result(20).result for call in wrong)
    assert not (unknown.ok or misspelt.ok or absent.ok)
    assert 'There is no tool "fly"' in unknown.content and "read_file" in unknown.content
    assert "path" in misspelt.content and "absent.txt" in absent.content
    leave(caller)
    running.result(20)
    assert [event.tool for event in events_of(session) if event.kind == EventKind.TOOL] == [
        "fly",
        "read_file",
        "read_file",
    ]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("read\0file", {}),
        ("read_file", {"path": "a\0b"}),
        ("read_file", {"path": ["\ud800"]}),
        ("read_file", {"path": "x" * 3_000_000}),
        ("x" * 201, {}),
    ],
)
def test_a_call_that_cannot_be_stored_is_told_so_and_opens_nothing(
    caller: Caller, tool: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(NotAnswered):
        ask(caller, tool, arguments, "said\0")
    assert not Session.objects.exists() and not RemoteCall.objects.exists()


def test_a_name_is_a_keys_own_and_an_agents_own(caller: Caller, agent: AgentProfile) -> None:
    other_key = access.create_key("another", [access.CALL], who="tester")[0]
    other_agent = AgentProfile.objects.create(name="other", model_kind="remote")
    callers = [caller, replace(caller, key=other_key), replace(caller, agent=other_agent), caller.in_session("one")]
    for one in callers:
        submission.open_remote(
            one.agent, "", client="", client_session=one.session_hash, submitted_by=one.key, draw=0.5
        )
    assert Session.objects.filter(ended_at=None).count() == 4


def test_whoever_waits_for_a_call_of_a_cancelled_session_hears_of_it(caller: Caller, tmp_path: Path) -> None:
    session = opened(caller, tmp_path)
    mine = sessions.claim(session.pk, "tester")
    assert mine is not None
    runtime = SessionRuntime(mine, Toolbox(), Forecast(mine, Toolbox(), Predictor([], {}).session()))
    with runtime.listening():
        runtime.check()
        submission.cancel_session(session)
        wait_until(lambda: is_told_to_end(runtime))  # the notice comes over a connection of its own
        for _ in range(2):  # other threads of the session, which share the bell that has rung
            assert is_told_to_end(runtime)


def is_told_to_end(runtime: SessionRuntime) -> bool:
    try:
        runtime.check()
    except Cancelled:
        return True
    return False
