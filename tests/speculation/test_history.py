from dataclasses import replace
from datetime import UTC, datetime

import pytest

from speculation import events
from speculation.engine.types import Event
from speculation.events import SessionLog
from speculation.history import events_of, store
from speculation.models import AgentProfile, Session
from speculation.traces import parse
from tests.speculation.test_recordings import llm, tool, trace, user

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)

RUN = trace(
    user("Cancel my order"),
    llm(7, "Looking."),
    tool(7, "get", '{"state": "open"}', id=1),
    tool(7, "get", {"state": "open"}, id=2),
    llm(9),
    tool(9, "cancel", "no such order", ok=False, id=3),
    llm(11, "Sorry."),
    user("Bye"),
)


def without_times(events: list[Event]) -> list[Event]:
    return [replace(event, turn=0, started_at=0.0, ended_at=0.0) for event in events]


def test_a_stored_run_reads_back_as_the_events_it_was(agent: AgentProfile) -> None:
    session = store(agent, RUN, now=NOW)
    assert session is not None
    assert without_times(events_of(session)) == without_times(RUN.to_events())
    ended_at = [event.ended_at for event in events_of(session)]
    assert ended_at == pytest.approx([event.ended_at for event in RUN.to_events()], abs=1e-3)


def test_a_stored_run_is_an_ended_session_with_a_gapless_log(agent: AgentProfile) -> None:
    session = store(agent, RUN, now=NOW)
    assert session is not None
    session.refresh_from_db()
    assert (session.status, session.origin, session.arm, session.answer) == ("succeeded", "imported", "off", "Sorry.")
    assert session.ended_at == NOW
    assert list(session.events.values_list("seq", flat=True)) == list(range(1, session.last_seq + 1))
    assert session.labels["trace"] == RUN.session_id


def test_a_run_is_stored_once(agent: AgentProfile) -> None:
    assert store(agent, RUN, now=NOW) is not None
    assert store(agent, RUN, now=NOW) is None
    assert Session.objects.count() == 1


def test_a_run_that_cannot_be_stored_leaves_nothing_behind(
    agent: AgentProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SessionLog, "flush", lambda log: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store(agent, RUN, now=NOW)
    assert Session.objects.count() == 0


def test_a_run_of_another_source_with_the_same_id_is_another_run(agent: AgentProfile) -> None:
    other = parse({**vars(RUN), "source": "elsewhere"})
    assert store(agent, RUN, now=NOW) is not None
    assert store(agent, other, now=NOW) is not None


def test_calls_of_a_turn_stand_in_the_order_they_were_listed_whichever_came_back_first(agent: AgentProfile) -> None:
    session = Session.objects.create(agent=agent, task="look", status="running")
    calls = [{"call_id": f"1.{n}", "tool": tool, "arguments": {}} for n, tool in enumerate(["slow", "quick"])]
    with events.writing(session.pk) as log:
        log.append("turn_ended", turn=1, text="", calls=calls, finish_reason="tool_calls", usage={})
        for call in reversed(calls):
            log.append("call_returned", **{**call, "turn": 1, "ok": True, "content": "", "structured": None})
        log.append("turn_ended", turn=2, text="done", calls=[], finish_reason="stop", usage={})
    assert [event.tool or event.text for event in events_of(session)] == ["", "slow", "quick", "done"]
