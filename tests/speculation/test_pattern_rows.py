"""What pages read of patterns: the mapping that holds, and which have gone stale."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from speculation.models import AgentProfile, PatternRecord, Session, ToolRecord
from speculation.pattern_history import Edge, edges, outcomes_by_day
from speculation.pattern_rows import PatternRow, listed, pattern_rows, stale_patterns

pytestmark = pytest.mark.django_db
LATELY_USELESS = {"hits": 0.5, "misses": 12.0, "hits_ever": 60, "runs_ever": 80}
BASE, CALLS = {"order_id": [["result(get_user).orders[0]", 9, 9]]}, {"*": [["again 0", 1, 4]]}
OWN = {"order_id": [["= 7", 1, 1]]}


@pytest.fixture
def shopper(db: None) -> AgentProfile:
    return AgentProfile.objects.create(name="shopper")


def learn(agent: AgentProfile, *context: str, tool: str = "get_order", **fields: Any) -> PatternRecord:
    key = f"{context} {tool}"
    return PatternRecord.objects.create(agent=agent, key=key, context=list(context), tool=tool, **fields)


def row_of(record: PatternRecord) -> PatternRow:
    return pattern_rows(listed().filter(pk=record.pk))[0]


def test_a_context_takes_its_arguments_from_the_tools_own_row_and_counts_whole_calls_itself(
    shopper: AgentProfile,
) -> None:
    base = learn(shopper, mapping={**BASE, "*": [["again 1", 0, 9]]})
    row = row_of(learn(shopper, "user", mapping=CALLS))
    assert (row.mapping, row.source) == ({**BASE, **CALLS}, base) and row.has_borrowed_mapping


def test_an_operators_mapping_of_the_longest_context_holds_alone(shopper: AgentProfile) -> None:
    learn(shopper, mapping=BASE)
    near = learn(shopper, "get_user:ok", mapping=CALLS, mapping_override=OWN)
    far = learn(shopper, "user", "get_user:ok", mapping=CALLS)
    other = learn(AgentProfile.objects.create(name="other"), "user", "get_user:ok", mapping=CALLS)
    assert (row_of(far).mapping, row_of(far).source) == (OWN, near)
    assert row_of(near).mapping == OWN and not row_of(near).has_borrowed_mapping
    assert row_of(other).mapping == CALLS


def test_the_stale_ones_come_worst_first_and_without_those_that_are_off_or_answer(shopper: AgentProfile) -> None:
    now = timezone.now()
    Session.objects.create(agent=shopper, task="x", status="succeeded", ended_at=now)
    worst = learn(shopper, "a:ok", **LATELY_USELESS)
    old = learn(shopper, "b:ok", runs_ever=9, hits_ever=9, last_promoted_at=now - timedelta(days=25))
    learn(shopper, "c:ok", runs_ever=9, hits_ever=9, last_promoted_at=now)
    learn(shopper, "d:ok", enabled=False, **LATELY_USELESS)
    learn(shopper, "e:ok", tool="", **LATELY_USELESS)
    assert [row.record for row in stale_patterns()] == [worst, old]
    assert "Last promoted 25 days" in stale_patterns()[1].stale.reasons[0]


def test_a_mapping_that_fails_the_schema_is_told_once_where_it_stands(shopper: AgentProfile) -> None:
    definition = {"parameters": {"properties": {"id": {"type": "string"}}}}
    shopper.tools.add(
        ToolRecord.objects.create(
            name="get_order", definition=definition, changed_at=timezone.now() - timedelta(days=1)
        )
    )
    base = learn(shopper, mapping=BASE)
    learn(shopper, "user", mapping=CALLS, runs_ever=1)
    assert [row.record for row in stale_patterns()] == [base]
    assert stale_patterns()[0].stale.reasons == ["The mapping fails the tool's schema: it has no argument order_id."]


def test_days_without_runs_are_told_too(shopper: AgentProfile) -> None:
    today = timezone.localdate()
    days = outcomes_by_day(learn(shopper), today, 7)
    assert [day.day for day in days] == [today - timedelta(days=back) for back in range(6, -1, -1)]
    assert not any(day.hits or day.misses for day in days)


def test_what_follows_what_is_summed_over_outcomes_and_commands_of_one_tool(shopper: AgentProfile) -> None:
    learn(shopper, "bash ls:ok", support=2.0)
    learn(shopper, "bash cat:error", support=1.5)
    learn(shopper, "bash ls:ok", tool="", support=1.0)
    learn(shopper, "user", "bash ls:ok", support=9.0)
    learn(shopper, support=9.0)
    assert edges(shopper) == [Edge("bash", "get_order", 3.5), Edge("bash", "answer", 1.0)]
