from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError
from django.db.models.functions import Now

from speculation import events, jobs, learning, new_jobs
from speculation.engine.mining import Miner
from speculation.engine.types import Event, ToolTraits
from speculation.history import store
from speculation.learning import learn, mine, record_key, record_outcomes, session_ended, unmined
from speculation.models import AgentProfile, PatternRecord, Session, ToolJob
from speculation.predictors import Predictors
from speculation.specs import Guess
from tests.speculation.conftest import Desk, Race
from tests.speculation.test_recordings import llm, tool, trace, user
from tools.base import ToolResult

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TRAITS = {name: ToolTraits(name, reads_only=True, changes_world=False) for name in ("get_user", "get_order")}


def run(name: str, order: str) -> Any:
    """A run in which the order that the user's record names is looked up next."""
    return trace(
        user(f"I am {name}@example.com"),
        llm(1),
        tool(1, "get_user", f'{{"orders": ["{order}"]}}', email=f"{name}@example.com"),
        llm(2),
        tool(2, "get_order", '{"state": "open"}', order_id=order),
        llm(3, "It is open."),
        session_id=f"run {name}",
    )


RUNS = [run(f"user{number}", f"#W{number}99") for number in range(12)]


def as_events(runs: Sequence[Any]) -> list[list[Event]]:
    return [one.to_events() for one in runs]


def test_what_was_mined_into_rows_predicts_what_comes_next(agent: AgentProfile) -> None:
    assert learn(agent, as_events(RUNS), TRAITS) > 0
    session = Predictors().predictor_for(agent, TRAITS).session()
    for event in run("ada", "#W123456").to_events()[:3]:
        session.observe(event)
    [best, *_], _ = session.predict(3, only_reads=True)
    assert (best.call.tool, dict(best.call.arguments)) == ("get_order", {"order_id": "#W123456"})


def test_rows_carry_on_where_the_last_mining_stopped(agent: AgentProfile) -> None:
    learn(agent, as_events(RUNS[:6]), TRAITS)
    learn(agent, as_events(RUNS[6:]), TRAITS)
    in_two = {row.key: row.support for row in PatternRecord.objects.filter(agent=agent)}
    other = AgentProfile.objects.create(name="other")
    learn(other, as_events(RUNS), TRAITS)
    at_once = {row.key: row.support for row in PatternRecord.objects.filter(agent=other)}
    assert in_two.keys() == at_once.keys()
    assert all(abs(in_two[key] - at_once[key]) < 0.01 for key in in_two)


def test_mining_leaves_an_operators_decisions_alone_and_steps_the_version(agent: AgentProfile) -> None:
    learn(agent, as_events(RUNS), TRAITS)
    rows = PatternRecord.objects.filter(agent=agent)
    rows.update(enabled=False, probability_override=0.125, mapping_override={}, overridden_by="ada", hits=3.0)
    learn(agent, as_events(RUNS), TRAITS)
    for row in rows:
        assert (row.enabled, row.probability_override, row.mapping_override, row.hits) == (False, 0.125, {}, 3.0)
        assert row.version == 2


def test_rows_that_the_miner_has_let_go_are_removed(agent: AgentProfile, monkeypatch: pytest.MonkeyPatch) -> None:
    learn(agent, as_events(RUNS), TRAITS)
    before = PatternRecord.objects.count()
    monkeypatch.setattr(learning, "MAX_ROWS", 8)
    monkeypatch.setattr(learning, "Miner", partial(Miner, max_rows=8))
    learn(agent, as_events(RUNS), TRAITS)
    assert 0 < PatternRecord.objects.count() <= 8 < before
    assert PatternRecord.objects.filter(key=record_key("* => get_user")).exists(), "the unconditional rows stay"


def imported(agent: AgentProfile, runs: Sequence[Any] = RUNS) -> None:
    for one in runs:
        store(agent, one, now=NOW)


def test_every_ended_session_is_mined_once(agent: AgentProfile) -> None:
    imported(agent)
    progress: list[int] = []
    assert mine(agent, progress.append) == len(RUNS)
    assert progress == list(range(1, len(RUNS) + 1))
    supports = dict(PatternRecord.objects.values_list("key", "support"))
    assert mine(agent) == 0
    assert dict(PatternRecord.objects.values_list("key", "support")) == supports


def test_more_sessions_than_one_transaction_holds_are_mined_and_counted_on(
    agent: AgentProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "SESSIONS_AT_A_TIME", 5)
    imported(agent)
    progress: list[int] = []
    assert mine(agent, progress.append) == len(RUNS)
    assert progress == list(range(1, len(RUNS) + 1))


@pytest.fixture
def stumbling(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The miner stumbles, as `problem`, over sessions in which a call was answered so."""
    observe = Miner.observe_session

    def over(answer: str, problem: Exception) -> None:
        def stumble(miner: Miner, session_events: Sequence[Event], known_turns: int = 0) -> None:
            if any(answer in str(event.result) for event in session_events):
                raise problem
            observe(miner, session_events, known_turns)

        monkeypatch.setattr(Miner, "observe_session", stumble)

    return over


def test_a_session_that_cannot_be_learned_from_is_left_out_and_said_and_keeps_no_other_back(
    agent: AgentProfile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, stumbling: Any
) -> None:
    imported(agent)
    mine(agent)
    without = dict(PatternRecord.objects.values_list("key", "occurrences"))
    PatternRecord.objects.all().delete()
    Session.objects.update(mined_at=None)
    known = set(Session.objects.values_list("pk", flat=True))
    store(agent, run("poison", "unreadable"), now=NOW)
    (left_out,) = set(Session.objects.values_list("pk", flat=True)) - known
    monkeypatch.setattr(learning, "SESSIONS_AT_A_TIME", 5)
    stumbling("unreadable", ValueError("no such thing"))
    assert mine(agent) == len(RUNS) + 1
    assert dict(PatternRecord.objects.values_list("key", "occurrences")) == pytest.approx(without)
    assert not unmined(agent).exists()
    assert f"session {left_out} cannot be learned from and is left out" in caplog.text and "no such thing" in caplog.text
    assert mine(agent) == 0


def test_a_database_that_goes_away_leaves_every_session_to_be_learned_from_later(
    agent: AgentProfile, stumbling: Any
) -> None:
    imported(agent)
    stumbling("", OperationalError("the connection is lost"))
    with pytest.raises(OperationalError):
        mine(agent)
    assert unmined(agent).count() == len(RUNS)


def test_two_minings_at_once_count_every_session_once(agent: AgentProfile, race: Race) -> None:
    imported(agent)
    assert sum(race.run(lambda: mine(agent), lambda: mine(agent))) == len(RUNS)
    base = PatternRecord.objects.get(agent=agent, key=record_key("* => get_user"))
    assert abs(base.support - len(RUNS)) < 0.2


def end(session: Session, **fields: Any) -> None:
    Session.objects.filter(pk=session.pk).update(status="succeeded", ended_at=Now(), lease_until=None, **fields)


def test_a_replayed_session_is_never_learned_from(agent: AgentProfile, session: Session) -> None:
    end(session, origin="replay")
    session_ended(session.pk)
    assert not unmined(agent).exists()
    assert Session.objects.get(pk=session.pk).mined_at is None


def test_a_pair_is_mined_once_both_have_ended(agent: AgentProfile, session: Session, make_session: Any) -> None:
    twin = make_session()
    end(session, origin="demo")
    session_ended(session.pk)
    assert Session.objects.get(pk=session.pk).mined_at is None, "its twin is not even submitted"
    Session.objects.filter(pk=session.pk).update(pair=twin)
    Session.objects.filter(pk=twin.pk).update(pair=session, origin="demo")
    session_ended(session.pk)
    assert Session.objects.get(pk=session.pk).mined_at is None
    end(twin)
    session_ended(twin.pk)
    assert not Session.objects.filter(mined_at__isnull=True).exists()


def test_the_fates_of_guesses_become_hits_and_misses_of_their_patterns(desk: Desk) -> None:
    learn(desk.session.agent, as_events(RUNS), TRAITS)
    row = PatternRecord.objects.filter(agent=desk.session.agent).first()
    assert row is not None
    for path in ("asked for", "missed", "never started"):
        with events.writing(desk.session.pk) as log:
            guess = Guess(row.pk, 0.5, 1.0, desk.policy_version, 30.0, {})
            job = new_jobs.speculate(log, desk.spec(path), guess)
        assert job is not None
        if path != "never started":
            desk.start(job)
            desk.move(jobs.commit, job, attempt=1, result=ToolResult(True, "x"))
    desk.promote(ToolJob.objects.get(arguments={"path": "asked for"}))
    record_outcomes(desk.session)
    row.refresh_from_db()
    assert (row.hits, row.misses, row.hits_ever, row.runs_ever) == (1.0, 1.0, 1, 2)
    assert row.last_promoted_at is not None


def test_once_enough_is_mined_predictions_are_compared_with_what_happened_and_mining_on_keeps_it(
    agent: AgentProfile,
) -> None:
    for number in range(learning.FEWEST_TO_CALIBRATE - 1):
        store(agent, run(f"user{number}", f"#W{number}99"), now=NOW)
    mine(agent)
    answers = PatternRecord.objects.filter(agent=agent, context=[], tool="")
    assert "calibration" not in answers.get().statistics
    store(agent, run("another", "#W12345"), now=NOW)
    mine(agent)
    calibration = answers.get().statistics["calibration"]
    assert len(calibration) == 4
    store(agent, run("one more", "#W54321"), now=NOW)
    mine(agent)
    assert answers.get().statistics["calibration"] == pytest.approx(calibration, abs=1e-3)
