"""How stale a pattern is: each part alone, and that the worst one counts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from speculation.staleness import DEFINITION_CHANGED, Life, staleness, unfit
from speculation.totals import wilson

NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)
FRESH = Life(
    recent_hits=18.0, recent_misses=4.0, hits_ever=170, runs_ever=200, last_promoted_at=NOW, agent_last_at=NOW,
    learned_at=NOW, changed_at=NOW - timedelta(days=90),
)  # fmt: skip
DEFINITION = {
    "parameters": {
        "type": "object",
        "properties": {"order_id": {"type": "string"}, "limit": {"type": "integer", "maximum": 50}},
        "required": ["order_id"],
    },
    "annotations": {"cosmetic_arguments": ["why"]},
}
SHAPES = {'["order_id"]': 9.0, '["limit", "order_id"]': 2.0}


def test_a_pattern_in_good_use_is_fresh_and_gives_no_reason() -> None:
    found = staleness(FRESH)
    assert (found.score, found.is_stale, found.reasons) == (0.0, False, [])
    assert [part.name for part in found.parts] == ["Hit rate", "Last promotion", "Definition", "Schema"]


def test_fewer_hits_than_its_whole_life_promised_make_it_stale() -> None:
    low, _ = wilson(170, 200)
    found = staleness(replace(FRESH, recent_hits=2.0, recent_misses=18.0))
    assert found.score == pytest.approx((low - 0.1) / low)
    assert found.is_stale
    assert found.reasons == ["Lately 10 % of its runs were asked for; all its life says at least 79 % (n 200)."]


def test_a_rate_within_what_its_life_allows_counts_nothing() -> None:
    low, _ = wilson(8, 10)
    assert low < 0.5
    assert staleness(replace(FRESH, hits_ever=8, runs_ever=10, recent_hits=5.0, recent_misses=5.0)).score == 0.0


def test_few_recent_runs_say_nothing() -> None:
    assert staleness(replace(FRESH, recent_hits=0.0, recent_misses=3.9)).score == 0.0
    assert staleness(replace(FRESH, recent_hits=0.0, recent_misses=4.0)).score == 1.0


@pytest.mark.parametrize(("days", "score"), [(7, 0.0), (21, 0.5), (35, 1.0), (400, 1.0)])
def test_days_without_a_promotion_count_up_to_the_agents_latest_session(days: int, score: float) -> None:
    old = NOW - timedelta(days=days)
    assert staleness(replace(FRESH, last_promoted_at=old)).score == pytest.approx(score)
    assert staleness(replace(FRESH, last_promoted_at=old, agent_last_at=old)).score == 0.0, "the agent rested as long"
    assert staleness(replace(FRESH, last_promoted_at=None)).score == 0.0, "never promoted is not gone stale"


def test_a_definition_that_changed_after_the_last_lesson_makes_it_stale() -> None:
    found = staleness(replace(FRESH, changed_at=NOW + timedelta(seconds=1)))
    assert found.score == DEFINITION_CHANGED and found.is_stale
    assert "changed on 2026-11-22" in found.reasons[0]


def test_the_worst_part_counts_and_stands_first() -> None:
    found = staleness(replace(FRESH, last_promoted_at=NOW - timedelta(days=14), unfit=["it has no argument id"]))
    assert found.score == 1.0
    assert found.reasons[0] == "The mapping fails the tool's schema: it has no argument id."
    assert len(found.reasons) == 2


@pytest.mark.parametrize(
    ("mapping", "shapes", "reasons"),
    [
        ({"order_id": [["result(get_user).orders[0]", 3, 3]]}, SHAPES, []),
        ({}, SHAPES, []),
        ({"*": [["again 0", 1, 4]]}, SHAPES, []),
        ({"id": [["result(get_user).id", 3, 3]]}, SHAPES, ["it has no argument id"]),
        ({"limit": [["= 10", 3, 3]]}, SHAPES, []),
        ({"limit": [["= 500", 3, 3]]}, SHAPES, ["limit = 500 is refused"]),
        ({"limit": [["= 10", 3, 3], ["= 500", 1, 3]]}, SHAPES, []),
        ({"limit": [["= 10", 3, 3]]}, {'["limit"]': 4.0}, ["its usual call lacks order_id, which is required"]),
        ({"order_id": [["= \"#W1\"", 1, 1]]}, {'["limit"]': 4.0}, []),
    ],
)  # fmt: skip
def test_a_mapping_is_held_against_the_tools_schema(mapping: Any, shapes: Any, reasons: list[str]) -> None:
    assert unfit(mapping, shapes, DEFINITION) == reasons


@pytest.mark.parametrize(
    "definition",
    [{}, {"parameters": None}, {"parameters": {"type": "object"}}, {"parameters": {"properties": {}}}],
)
def test_a_tool_that_declares_nothing_refuses_nothing(definition: Any) -> None:
    assert unfit({"id": [["= 1", 1, 1]]}, {'["id"]': 1.0}, definition) == []


def test_cosmetic_arguments_are_never_missed_and_a_broken_schema_refuses_nothing() -> None:
    odd = {
        **DEFINITION["parameters"],
        "required": ["order_id", "why"],
        "properties": {"order_id": {"type": 5}, "why": {}},
    }
    definition = {"parameters": odd, "annotations": DEFINITION["annotations"]}
    assert unfit({"order_id": [["= 1", 1, 1]]}, SHAPES, definition) == []
