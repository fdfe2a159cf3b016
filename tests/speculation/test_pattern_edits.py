"""An operator's word about a pattern: versions, reverting, the audit; and that predictions heed it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from speculation import learning, pattern_edits
from speculation.engine.types import Prediction
from speculation.learning import learn, record_key
from speculation.models import AgentProfile, AuditEntry, PatternEdit, PatternRecord
from speculation.pattern_edits import Author, EditOutdated, EditRefused, why_unreadable
from speculation.predictors import Predictors
from tests.speculation.conftest import Race
from tests.speculation.test_learning import RUNS, TRAITS, as_events, run

OP1 = Author("op1", why="it guesses old orders")
SEVEN = {"order_id": [["= \"#W7\"", 9, 9]]}  # fmt: skip


@pytest.fixture
def pattern(agent: AgentProfile) -> PatternRecord:
    return PatternRecord.objects.create(
        agent=agent,
        key="k",
        context=["get_user:ok"],
        tool="get_order",
        mapping={"order_id": [["= 1", 1, 1]]},
        version=4,
    )


def test_an_edit_is_a_version_with_an_audit_entry_and_leaves_mined_columns_alone(pattern: PatternRecord) -> None:
    user = User.objects.create_user("op1")
    stored = pattern_edits.edit(
        pattern, Author("op1", user, "why not"), probability_override=0.25, mapping_override=SEVEN
    )
    assert stored is not None and (stored.number, stored.mined_version, stored.who) == (1, 4, "op1")
    assert stored.before == {"enabled": True, "probability_override": None, "mapping_override": None}
    assert stored.after == {"enabled": True, "probability_override": 0.25, "mapping_override": SEVEN}
    entry = AuditEntry.objects.get()
    assert (entry.who, entry.user, entry.why) == ("op1", user, "why not")
    assert entry.before == {"probability_override": None, "mapping_override": None}
    pattern.refresh_from_db()
    assert (pattern.mapping, pattern.version, pattern.overridden_by) == ({"order_id": [["= 1", 1, 1]]}, 4, "op1")


def test_saying_the_same_again_stores_nothing(pattern: PatternRecord) -> None:
    assert pattern_edits.edit(pattern, OP1, enabled=True) is None
    assert not PatternEdit.objects.exists() and not AuditEntry.objects.exists()


def test_an_earlier_version_comes_back_as_a_new_one(pattern: PatternRecord) -> None:
    pattern_edits.edit(pattern, OP1, probability_override=0.25)
    pattern_edits.edit(pattern, OP1, enabled=False, mapping_override=SEVEN)
    pattern_edits.revert(pattern, 1, OP1)
    pattern.refresh_from_db()
    assert (pattern.enabled, pattern.probability_override, pattern.mapping_override) == (True, 0.25, None)
    pattern_edits.revert(pattern, 0, OP1)
    pattern.refresh_from_db()
    assert (pattern.enabled, pattern.probability_override, pattern.mapping_override) == (True, None, None)
    assert [(edit.number, edit.reverts_to) for edit in PatternEdit.objects.all()] == [
        (4, 0),
        (3, 1),
        (2, None),
        (1, None),
    ]
    with pytest.raises(EditRefused, match="no version 9"):
        pattern_edits.revert(pattern, 9, OP1)


def test_an_edit_of_what_has_changed_meanwhile_is_refused_and_shows_who_did(pattern: PatternRecord) -> None:
    pattern_edits.edit(pattern, Author("op2"), enabled=False)
    with pytest.raises(EditOutdated) as outdated:
        pattern_edits.edit(pattern, OP1, expected_number=0, probability_override=0.5)
    assert outdated.value.newest is not None and outdated.value.newest.who == "op2"
    pattern.refresh_from_db()
    assert pattern.probability_override is None
    assert pattern_edits.edit(pattern, OP1, expected_number=1, probability_override=0.5) is not None


def test_of_two_edits_of_one_version_at_once_one_is_stored(pattern: PatternRecord, race: Race) -> None:
    def contend(probability: float) -> Callable[[], str]:
        def say() -> str:
            try:
                pattern_edits.edit(pattern, OP1, expected_number=0, probability_override=probability)
            except EditOutdated:
                return "outdated"
            return "stored"

        return say

    assert sorted(race.run(contend(0.1), contend(0.2))) == ["outdated", "stored"]
    assert PatternEdit.objects.count() == 1


def test_many_are_switched_at_once_each_with_a_version(pattern: PatternRecord, agent: AgentProfile) -> None:
    other = PatternRecord.objects.create(agent=agent, key="k2", tool="get_user", enabled=False)
    assert pattern_edits.switch([pattern, other], False, OP1) == 1
    assert not PatternRecord.objects.filter(enabled=True).exists()
    assert PatternEdit.objects.get().pattern == pattern
    assert AuditEntry.objects.get().what == "pattern record disabled: get_user:ok => get_order"


@pytest.mark.parametrize(
    ("mapping", "why"),
    [
        ([], "A mapping is an object"),
        ({"id": "= 1"}, "id: takes a list"),
        ({"id": [["= 1", 1]]}, "id: takes a list"),
        ({"id": [["= 1", True, 1]]}, "id: takes a list"),
        ({"id": [["= 1", 1, float("inf")]]}, "id: takes a list"),
        ({"id": [["nonsense of nothing", 1, 1]]}, "id: a place such as"),
        ({"*": [["again 9", 1, 1]]}, '*: "again 0" or'),
        ({"*": [["{", 1, 1]]}, '*: "again 0" or'),
        ({"*": [['{"id": 3}', 1, 1]]}, '*: "again 0" or'),
        ({"*": [['{"id": "nonsense"}', 1, 1]]}, "*: a place such as"),
    ],
)
def test_a_mapping_that_the_engine_cannot_read_says_why(mapping: Any, why: str) -> None:
    assert why_unreadable(mapping).startswith(why)


def test_whole_calls_and_every_kind_of_source_are_readable() -> None:
    assert (
        why_unreadable({"*": [["again 0", 1, 2], ['{"id": "= 1"}', 1, 1]], "id": [["next 0 of result(a).b", 0, 0.5]]})
        == ""
    )


def predicted(agent: AgentProfile) -> list[Prediction]:
    """What is guessed once a user's record was read."""
    session = Predictors().predictor_for(agent, TRAITS).session()
    for event in run("ada", "#W123456").to_events()[:3]:
        session.observe(event)
    return session.predict(3, only_reads=True)[0]


def say(agent: AgentProfile, key: str, **said: Any) -> None:
    row = PatternRecord.objects.get(agent=agent, key=record_key(key))
    pattern_edits.edit(row, OP1, **said)


CONTEXT = "user > get_user:ok => get_order"


def test_a_pattern_switched_off_is_not_predicted_in_its_context(agent: AgentProfile) -> None:
    learn(agent, as_events(RUNS), TRAITS)
    assert predicted(agent)[0].call.tool == "get_order"
    say(agent, CONTEXT, enabled=False)
    assert "get_order" not in [one.call.tool for one in predicted(agent)]
    pattern_edits.revert(PatternRecord.objects.get(key=record_key(CONTEXT)), 0, OP1)
    assert predicted(agent)[0].call.tool == "get_order"


def test_a_probability_given_replaces_the_mined_one(agent: AgentProfile) -> None:
    learn(agent, as_events(RUNS), TRAITS)
    mined = predicted(agent)[0].probability
    say(agent, CONTEXT, probability_override=0.3)
    given = next(one for one in predicted(agent) if one.call.tool == "get_order").probability
    assert given < 0.31 < mined
    say(agent, CONTEXT, probability_override=0.0)
    assert "get_order" not in [one.call.tool for one in predicted(agent)]


@pytest.mark.parametrize("key", ["* => get_order", "get_user:ok => get_order", CONTEXT])
def test_a_mapping_given_replaces_the_mined_one_in_its_context_and_all_longer_ones(
    agent: AgentProfile, key: str
) -> None:
    learn(agent, as_events(RUNS), TRAITS)
    say(agent, key, mapping_override=SEVEN)
    best = predicted(agent)[0]
    assert (best.call.tool, dict(best.call.arguments)) == ("get_order", {"order_id": "#W7"})
    assert best.probability > 0.5 and best.sources == {"order_id": '= "#W7"'}


def test_a_mapping_given_elsewhere_changes_nothing_here(agent: AgentProfile) -> None:
    learn(agent, as_events(RUNS), TRAITS)
    PatternRecord.objects.create(
        agent=agent,
        key=record_key("get_order:ok => get_order"),
        context=["get_order:ok"],
        tool="get_order",
        mapping_override=SEVEN,
    )
    assert dict(predicted(agent)[0].call.arguments) == {"order_id": "#W123456"}


def test_a_mapping_given_is_worth_a_guess_where_nothing_mined_ever_was(agent: AgentProfile) -> None:
    """What was learned, that no source leads to the value, says nothing of the operator's source."""
    runs = [run(f"user{number}", f"#W{number}99") for number in range(12)]
    strange = [list(one.to_events()) for one in runs]
    for number, events in enumerate(strange):
        call = events[4]
        events[4] = type(call)(**{**vars(call), "arguments": {"order_id": f"{'qwertzuiop'[number % 10]}{number**3}x"}})
    learn(agent, strange, TRAITS)
    assert all(one.probability < 0.2 for one in predicted(agent) if one.call.tool == "get_order")
    say(agent, CONTEXT, mapping_override=SEVEN)
    best = predicted(agent)[0]
    assert dict(best.call.arguments) == {"order_id": "#W7"} and best.probability > 0.5


def test_mining_on_never_overwrites_the_word_and_the_word_never_what_is_mined(agent: AgentProfile) -> None:
    learn(agent, as_events(RUNS[:6]), TRAITS)
    say(agent, CONTEXT, mapping_override=SEVEN, probability_override=0.5)
    learning.learn(agent, as_events(RUNS[6:]), TRAITS)
    other = AgentProfile.objects.create(name="other")
    learn(other, as_events(RUNS[:6]), TRAITS)
    learn(other, as_events(RUNS[6:]), TRAITS)
    mined = "mapping", "support", "occurrences", "probability"
    edited, plain = (PatternRecord.objects.filter(agent=one, key=record_key(CONTEXT)) for one in (agent, other))
    assert edited.values(*mined).get() == plain.values(*mined).get()
    assert edited.values_list("mapping_override", "probability_override").get() == (SEVEN, 0.5)
