"""Predictors follow the patterns' rows, what operators decided about them, and what tools may do."""

from django.db.models.functions import Now

from speculation.engine.types import ToolTraits
from speculation.learning import learn, record_key
from speculation.models import AgentProfile, PatternRecord
from speculation.predictors import Predictors, pattern_ids, predictors
from tests.speculation.test_learning import RUNS, TRAITS, as_events


def test_a_disabled_pattern_predicts_nothing(agent: AgentProfile) -> None:
    learn(agent, as_events(RUNS), TRAITS)
    PatternRecord.objects.filter(agent=agent).update(enabled=False, overridden_at=Now())
    session = Predictors().predictor_for(agent, TRAITS).session()
    for event in RUNS[0].to_events()[:3]:
        session.observe(event)
    assert session.predict(3, only_reads=True)[0] == []


def test_a_predictor_is_kept_until_rows_change_and_then_renewed_within_a_second(agent: AgentProfile) -> None:
    now = [0.0]
    kept = Predictors(clock=lambda: now[0])
    first = kept.predictor_for(agent, TRAITS)
    learn(agent, as_events(RUNS), TRAITS)
    now[0] = 0.9
    assert kept.predictor_for(agent, TRAITS) is first
    now[0] = 1.1
    second = kept.predictor_for(agent, TRAITS)
    assert second is not first
    now[0] = 5.0
    assert kept.predictor_for(agent, TRAITS) is second
    PatternRecord.objects.filter(agent=agent).update(enabled=False, overridden_at=Now())
    now[0] = 9.0
    assert kept.predictor_for(agent, TRAITS) is not second


def test_an_approval_that_changes_what_may_be_guessed_renews_the_predictor_at_once(agent: AgentProfile) -> None:
    kept = Predictors(clock=lambda: 0.0)
    first = kept.predictor_for(agent, TRAITS)
    slower = {name: ToolTraits(name, True, False, expected_seconds=9.0) for name in TRAITS}
    assert kept.predictor_for(agent, slower) is first, "durations do not matter to it"
    writes = {name: ToolTraits(name, False, True) for name in TRAITS}
    assert kept.predictor_for(agent, writes) is not first


def test_the_row_behind_a_prediction_is_known(agent: AgentProfile) -> None:
    learn(agent, as_events(RUNS), TRAITS)
    predictors.predictor_for(agent, TRAITS)
    key = "* => get_user"
    row = PatternRecord.objects.get(agent=agent, key=record_key(key))
    assert pattern_ids(agent.pk, [key, "unheard of"]) == {key: row.pk}
