"""Sessions of agents that run elsewhere, parked while they are quiet: no worker waits for them, and no call is forgotten."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now

from speculation import access, events, learning, recovery, sessions, submission, tasks
from speculation.agent.types import Message
from speculation.history import events_of
from speculation.models import AgentProfile, PatternRecord, RemoteCall, Session, SessionStatus
from speculation.queries import told
from speculation.remote_calls import Answer, Caller, ask, leave
from speculation.remote_inbox import Inbox
from tests.speculation.remote import Beside, agent, beside, caller, key, opened, read, run, wait_until, worker

__all__ = ["agent", "beside", "caller", "key", "worker"]  # fixtures


@pytest.fixture
def parks_soon(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr("speculation.remote_loop.PARK_AFTER_SECONDS", 0.2)
    settings.PASTE_MCP_QUIET_SECONDS = 60.0


def is_parked() -> bool:
    return Session.objects.filter(status="running", lease_until=None).exclude(parked_at=None).exists()


def told_kinds(session: Session) -> list[str]:
    return [event.kind for event in session.events.order_by("seq")]


def test_a_quiet_session_keeps_no_thread_and_goes_on_with_the_next_call(
    caller: Caller, beside: Beside, tmp_path: Path, parks_soon: None, worker: None
) -> None:
    (tmp_path / "a.txt").write_text("hello")
    session = opened(caller, tmp_path)
    for number in (1, 2):
        assert beside(ask, caller, *read("a.txt")).result(20).call_id == f"{number}.0"
        wait_until(is_parked)
        recovery.sweep()
        assert is_parked(), "there is nothing to recover"
    session.refresh_from_db()
    assert (session.status, session.owner) == ("running", "") and session.attempt == session.parks >= 2
    kinds = told_kinds(session)
    assert kinds.count("turn_started") == 3 and kinds.count("session_resumed") == session.parks - 1
    story = told(session).story
    assert story.resumed_at == [] and [turn.ended_at is None for turn in story.turns] == [False, False, True]
    assert not any(turn.is_abandoned for turn in story.turns)


def test_a_parked_session_ends_when_it_was_quiet_for_too_long_or_somebody_wants_it_to(
    caller: Caller, beside: Beside, tmp_path: Path, parks_soon: None, worker: None
) -> None:
    (tmp_path / "a.txt").write_text("hello")
    ends: list[tuple[str, Callable[[Session], object]]] = [
        ("succeeded", lambda session: Session.objects.filter(pk=session.pk).update(parked_at="2026-01-01T00:00Z")),
        ("cancelled", submission.cancel_session),
        ("succeeded", lambda session: leave(caller)),
    ]
    for status, end in ends:
        session = opened(caller, tmp_path)
        beside(ask, caller, *read("a.txt")).result(20)
        wait_until(is_parked)
        end(session)
        recovery.sweep()
        wait_until(lambda: not Session.objects.filter(ended_at=None).exists())
        session.refresh_from_db()
        assert session.status == status
    ended = Session.objects.order_by("created_at").first()
    assert ended is not None and ended.ended_at == ended.events.get(kind="call_returned").at


def test_a_call_that_comes_while_its_session_is_parked_is_never_forgotten(caller: Caller, beside: Beside) -> None:
    """Whoever hands in sees that it is parked, or is seen by whoever parks."""
    for _ in range(30):
        session = Session.objects.get(
            pk=submission.open_remote(
                caller.agent, "", client="", client_session=caller.session_hash, submitted_by=caller.key, draw=0.5
            )
        )
        mine = sessions.claim(session.pk, "tester")
        assert mine is not None
        together = threading.Barrier(2)

        def park(mine: Session = mine, together: threading.Barrier = together) -> None:
            together.wait()
            tasks._park(mine)

        def call(together: threading.Barrier = together) -> Answer:
            together.wait()
            return ask(caller, "list_files", {})

        parking, asking = beside(park), beside(call)
        parking.result(20)
        wait_until(lambda: RemoteCall.objects.exists())
        wait_until(lambda session=session: Session.objects.filter(pk=session.pk, lease_until__lte=Now()).exists())
        again = sessions.claim(session.pk, "another")
        assert again is not None
        (taken,) = Inbox(again).take(1, 0, "").calls
        Inbox(again).tell(taken.call_id, Message("tool", "none", call_id=taken.call_id))
        assert asking.result(20).result.content == "none"
        assert sessions.finish(again, SessionStatus.SUCCEEDED)


def learned_of(agent: AgentProfile) -> dict[str, tuple[float, float]]:
    return {row.key: (row.occurrences, row.support) for row in PatternRecord.objects.filter(agent=agent)}


def test_what_a_session_did_is_learned_while_it_is_parked_and_counts_once(
    caller: Caller, beside: Beside, tmp_path: Path, parks_soon: None, worker: None
) -> None:
    """A client that says no goodbye keeps its session open for minutes, and its agent may have another task before."""
    (tmp_path / "a.txt").write_text("hello")
    session = opened(caller, tmp_path)
    for number, known in ((1, 1), (2, 2)):
        assert beside(ask, caller, *read("a.txt")).result(20).call_id == f"{number}.0"
        wait_until(lambda known=known: roots_of(caller.agent) == known)
        session.refresh_from_db()
        assert session.mined_at is None and session.ended_at is None
    beside(ask, caller, "list_files", {}).result(20)
    leave(caller)
    recovery.sweep()
    wait_until(lambda: Session.objects.filter(pk=session.pk).exclude(mined_at=None).exists())
    in_parts = learned_of(caller.agent)
    PatternRecord.objects.all().delete()
    learning.learn(caller.agent, [events_of(session)])  # not `mine`: the worker, which still looks for more, would come first
    assert in_parts == learned_of(caller.agent) and roots_of(caller.agent) == 3


def roots_of(agent: AgentProfile) -> int:
    """How many turns its patterns have counted, of one session."""
    root = PatternRecord.objects.filter(agent=agent, context=[]).first()
    return round(root.occurrences) if root else 0


def test_a_session_that_cannot_be_learned_from_is_parked_all_the_same_and_goes_on(
    caller: Caller,
    beside: Beside,
    tmp_path: Path,
    parks_soon: None,
    worker: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(learning, "learn", lambda *given, **named: 1 // 0)
    session = opened(caller, tmp_path)
    beside(ask, caller, "list_files", {}).result(20)
    wait_until(lambda: f"could not learn from session {session.short_id}, which is parked" in caplog.text)
    assert is_parked()
    assert beside(ask, caller, "list_files", {}).result(20).call_id == "2.0"


def test_where_much_is_known_a_parked_session_is_waited_for(
    caller: Caller, beside: Beside, tmp_path: Path, parks_soon: None, worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "LEARN_AT_ONCE_BELOW", 0)
    session = opened(caller, tmp_path)
    beside(ask, caller, "list_files", {}).result(20)
    wait_until(is_parked)
    learning.learn_so_far(session.pk)
    assert roots_of(caller.agent) == 0
    leave(caller)
    recovery.sweep()
    wait_until(lambda: roots_of(caller.agent) == 1)


def test_the_next_session_of_a_client_knows_what_the_last_one_did_though_that_said_no_goodbye(
    caller: Caller, beside: Beside, tmp_path: Path, settings: Any
) -> None:
    settings.PASTE_MCP_QUIET_SECONDS = 60.0
    (tmp_path / "a.txt").write_text("hello")
    first = opened(caller, tmp_path)
    running = [beside(run, first)]
    for number in (1, 2):
        assert beside(ask, caller, *read("a.txt")).result(20).call_id == f"{number}.0"
    wait_until(lambda: told_kinds(first).count("turn_started") == 3)
    assert roots_of(caller.agent) == 0
    other = replace(caller, client_session="two")
    second = opened(other, tmp_path)
    running.append(beside(run, second))
    assert beside(ask, other, *read("a.txt")).result(20).call_id == "1.0"
    assert roots_of(caller.agent) == 2
    foreseen = [event for event in second.events.all() if event.kind == "predicted"]
    assert foreseen[0].payload["candidates"][0]["tool"] == "read_file", "its first guesses are made of that"
    first.refresh_from_db()
    assert (first.mined_at, first.ended_at) == (None, None)
    for one in (caller, other):
        leave(one)
    for each in running:
        each.result(20)
    wait_until(lambda: not Session.objects.filter(mined_at=None).exists())
    assert roots_of(caller.agent) == 3, "each turn counts once"


def test_of_a_session_that_is_in_the_middle_of_a_call_nothing_is_learned_yet(
    caller: Caller, beside: Beside, tmp_path: Path
) -> None:
    first = opened(caller, tmp_path)
    asking = beside(ask, caller, "list_files", {})
    wait_until(lambda: RemoteCall.objects.exists())
    second = opened(replace(caller, client_session="two"), tmp_path)
    learning.learn_from_the_one_before(second)
    assert roots_of(caller.agent) == 0
    running = beside(run, first)
    asking.result(20)
    wait_until(lambda: told_kinds(first).count("turn_started") == 2)
    stranger = replace(caller, key=access.create_key("another", [access.CALL], who="tester")[0], client_session="two")
    learning.learn_from_the_one_before(opened(stranger, tmp_path))
    assert roots_of(caller.agent) == 0, "it is another's"
    learning.learn_from_the_one_before(second)
    learning.learn_from_the_one_before(second)
    assert roots_of(caller.agent) == 1
    leave(caller)
    running.result(20)


def test_the_next_session_waits_for_what_the_last_one_that_ended_teaches(
    caller: Caller, beside: Beside, tmp_path: Path
) -> None:
    """It may have ended a moment ago, in another worker, which is about to learn from it."""
    first = opened(caller, tmp_path)
    running, asking = beside(run, first), beside(ask, caller, "list_files", {})
    asking.result(20)
    leave(caller)
    running.result(20)
    PatternRecord.objects.all().delete()
    Session.objects.update(mined_at=None, mined_seq=0)
    learning.learn_from_the_one_before(opened(replace(caller, client_session="two"), tmp_path))
    assert roots_of(caller.agent) == 1


def test_a_turn_that_has_begun_again_is_not_learned_before_it_is_over(
    caller: Caller, beside: Beside, tmp_path: Path, parks_soon: None
) -> None:
    """Whoever learns may be late: its session may have been woken meanwhile, and be in the middle of a turn."""
    session = opened(caller, tmp_path)
    asking = beside(ask, caller, "list_files", {})
    wait_until(lambda: RemoteCall.objects.exists())
    beside(run, session).result(20)
    asking.result(20)
    events.append(session.pk, "turn_ended", turn=2, text="", calls=[], finish_reason="tool_calls", usage={})
    learning.learn_so_far(session.pk)
    assert roots_of(caller.agent) == 1
    learning.learn_so_far(session.pk)
    assert roots_of(caller.agent) == 1


def test_a_session_that_was_parked_often_is_not_given_up(
    caller: Caller, beside: Beside, tmp_path: Path, parks_soon: None, worker: None
) -> None:
    session = opened(caller, tmp_path)
    Session.objects.filter(pk=session.pk).update(attempt=40, parks=40)
    assert beside(ask, caller, "list_files", {}).result(20).result.ok
    wait_until(is_parked)
    session.refresh_from_db()
    assert session.parks > 40
