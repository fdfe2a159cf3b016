"""A dry run of an edit: what changes is told session by session, and nothing is stored."""

from datetime import timedelta

import pytest

from speculation.history import store
from speculation.learning import mine, record_key
from speculation.models import AgentProfile, AuditEntry, EventRecord, PatternEdit, PatternRecord, Session, ToolRecord
from speculation.pattern_edits import Word
from speculation.pattern_trial import Trial, TrialRefused, try_edit
from speculation.recorded_agents import give_tools
from speculation.traces import Effects
from tests.speculation.test_learning import NOW, run

EFFECTS = Effects({"shop": {"read": ["get_user", "get_order"]}})
CONTEXT = "user > get_user:ok => get_order"
SESSIONS = 8


@pytest.fixture
def learned(db: None) -> AgentProfile:
    """An agent with some sessions in which the order is always the one of the user's record, all mined."""
    agent = AgentProfile.objects.create(name="shopper", model_kind="recorded")
    give_tools(agent, "shop", ["get_user", "get_order"], EFFECTS)
    for number in range(SESSIONS):
        store(agent, run(f"user{number}", f"#W{number}99"), now=NOW + timedelta(minutes=number))
    mine(agent)
    return agent


def pattern_of(agent: AgentProfile, key: str = CONTEXT) -> PatternRecord:
    return PatternRecord.objects.get(agent=agent, key=record_key(key))


def everything() -> list[list[tuple[object, ...]]]:
    tables = (PatternRecord, PatternEdit, AuditEntry, Session, EventRecord, ToolRecord)
    return [list(table.objects.order_by("pk").values_list()) for table in tables]


def sums(trial: Trial) -> list[tuple[int, int]]:
    return [(side.launches, side.hits) for side in (trial.before, trial.after)]


def test_an_edit_that_changes_nothing_moves_no_guess(learned: AgentProfile) -> None:
    trial = try_edit(pattern_of(learned), Word(), 5)
    assert (len(trial.tried), trial.moved) == (5, 0)
    assert trial.before == trial.after and trial.before.hits > 0


def test_switching_a_pattern_off_loses_its_hits_and_says_which(learned: AgentProfile) -> None:
    before = everything()
    trial = try_edit(pattern_of(learned), Word(enabled=False), 20)
    (launches, hits), (launches_after, hits_after) = sums(trial)
    assert len(trial.tried) == SESSIONS and trial.moved >= SESSIONS
    assert hits - hits_after == SESSIONS and launches - launches_after == SESSIONS
    assert trial.after.exposed_seconds > trial.before.exposed_seconds
    lost = [moved for _, moved in trial.shown if moved.turn == 2 and moved.call.tool == "get_order"]
    assert len(lost) == SESSIONS and all(one.came and one.was_launched and one.after is None for one in lost)
    assert everything() == before


def test_a_mapping_that_is_wrong_turns_hits_into_misses(learned: AgentProfile) -> None:
    wrong = Word(mapping_override={"order_id": [['= "#W0"', 99, 99]]})
    trial = try_edit(pattern_of(learned), wrong, 5)
    assert trial.after.hits < trial.before.hits and trial.after.misses > trial.before.misses
    assert trial.after.wasted_seconds > trial.before.wasted_seconds
    assert {moved.came for _, moved in trial.shown if moved.is_launched and not moved.was_launched} == {False}


def test_the_latest_sessions_are_taken_and_those_of_replays_left_out(learned: AgentProfile) -> None:
    latest = Session.objects.order_by("-ended_at")[0]
    trial = try_edit(pattern_of(learned), Word(), 5)
    assert trial.tried[0].session == latest
    Session.objects.filter(pk=latest.pk).update(origin="replay")
    assert latest not in [one.session for one in try_edit(pattern_of(learned), Word(), 5).tried]


def test_an_agent_without_sessions_gives_an_empty_trial(learned: AgentProfile) -> None:
    Session.objects.all().delete()
    assert try_edit(pattern_of(learned), Word(enabled=False), 5).tried == []


def test_a_tool_that_is_gone_refuses_the_trial(learned: AgentProfile) -> None:
    learned.tools.add(ToolRecord.objects.create(name="gone", server="builtin"))
    with pytest.raises(TrialRefused, match="gone"):
        try_edit(pattern_of(learned), Word(), 5)
