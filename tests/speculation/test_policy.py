"""Decisions: pinned, audited, one transaction; what was held under an older one is given up."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from speculation import locks, policy
from speculation.models import AgentProfile, Approval, AuditEntry, Session, ToolJob, ToolRecord
from speculation.policy import DecisionOutdated, DecisionRefused
from tests.speculation.conftest import Desk, Race
from tests.speculation.deciding import NOW, ChangedReader, Reader, decide, hold_one_of_each, succeed, verdict_on


def test_an_approved_tool_may_run_early_and_the_audit_says_who_and_why(read_tool: ToolRecord) -> None:
    assert verdict_on(read_tool) == "not approved"
    change = decide(read_tool, ttl_seconds=30)
    assert verdict_on(read_tool) == ""
    entry = AuditEntry.objects.get()
    assert (entry.who, entry.why, entry.before) == ("op1", "reads only", None)
    assert entry.after["level"] == "full" and entry.after["ttl_seconds"] == 30
    assert change.tool.policy_version == read_tool.policy_version == 2


def test_a_decision_about_what_is_no_longer_so_stores_nothing(read_tool: ToolRecord) -> None:
    for moved in ({"expected_policy_version": 7}, {"expected_definition_hash": "z" * 64}):
        with pytest.raises(DecisionOutdated) as outdated:
            decide(read_tool, **moved)
        assert outdated.value.tool.policy_version == 1
    assert not Approval.objects.exists() and not AuditEntry.objects.exists()


def test_of_two_decisions_about_the_same_version_one_is_outdated(read_tool: ToolRecord, race: Race) -> None:
    for _round in range(20):
        read_tool.refresh_from_db()
        seen = {
            "expected_definition_hash": read_tool.definition_hash,
            "expected_policy_version": read_tool.policy_version,
        }

        def try_to_decide(level: str, seen: dict[str, Any] = seen) -> bool:
            try:
                policy.decide(read_tool, level, who="op1", why="because", **seen)
            except DecisionOutdated:
                return False
            return True

        assert sorted(race.run(lambda: try_to_decide("full"), lambda: try_to_decide("never"))) == [False, True]


@pytest.mark.parametrize(
    "options",
    [
        {"why": "  "},
        {"level": "maybe"},
        {"level": "canary", "canary_percent": 0},
        {"canary_percent": 101},
        {"argument_rule": {"type": "nonsense"}},
        {"ttl_seconds": 0},
        {"ttl_seconds": float("inf")},
        {"max_parallel": 0},
        {"why": "nul \0"},
        {"argument_rule": {"const": "nul \0"}},
    ],
)
def test_an_impossible_decision_is_refused_and_stores_nothing(read_tool: ToolRecord, options: dict[str, Any]) -> None:
    with pytest.raises(DecisionRefused):
        decide(read_tool, **options)
    read_tool.refresh_from_db()
    assert read_tool.policy_version == 1 and not Approval.objects.exists() and not AuditEntry.objects.exists()


def test_a_tool_that_writes_can_be_refused_but_never_approved(write_tool: ToolRecord) -> None:
    for level in ("full", "canary"):
        with pytest.raises(DecisionRefused):
            decide(write_tool, level)
    decide(write_tool, "never")
    assert verdict_on(write_tool, effect="write") == "writes: not eligible"


def test_an_outside_party_is_allowed_apart(read_tool: ToolRecord) -> None:
    ToolRecord.objects.filter(pk=read_tool.pk).update(open_world=True)
    with pytest.raises(DecisionRefused, match="outside party"):
        decide(read_tool)
    decide(read_tool, "shadow")
    decide(read_tool, may_tell_outsiders=True)
    assert verdict_on(read_tool) == ""


def test_the_newest_decision_of_the_scope_counts(read_tool: ToolRecord, agent: AgentProfile) -> None:
    other = AgentProfile.objects.create(name="other")
    decide(read_tool, agent=agent)
    assert (verdict_on(read_tool, agent), verdict_on(read_tool, other)) == ("", "not approved")
    decide(read_tool)
    assert verdict_on(read_tool, other) == ""
    decide(read_tool, "never", agent=agent)
    assert (verdict_on(read_tool, agent), verdict_on(read_tool, other)) == ("refused by op1", "")
    policy.revoke(read_tool, who="op2", why="leak")
    assert verdict_on(read_tool, agent) == verdict_on(read_tool, other) == "refused by op2"


def test_each_reason_against_is_told_in_its_turn(read_tool: ToolRecord, pool: Any) -> None:
    assert verdict_on(read_tool, effect="write") == "writes: not eligible"
    assert verdict_on(read_tool, effect="unknown") == "effect unknown: not eligible"
    decide(read_tool, "shadow")
    assert verdict_on(read_tool) == "only shadow"
    decide(read_tool, expires_at=NOW)
    assert verdict_on(read_tool) == "approval expired"
    assert verdict_on(read_tool, now=NOW - timedelta(seconds=1)) == ""
    decide(read_tool, "canary", canary_percent=10)
    assert verdict_on(read_tool, canary_draw=0.0999) == ""
    assert verdict_on(read_tool, canary_draw=0.1) == "not in the canary of 10 %"
    decide(read_tool, argument_rule={"properties": {"path": {"pattern": "^src/"}}})
    assert verdict_on(read_tool, arguments={"path": "src/a"}) == "" == verdict_on(read_tool, arguments=None)
    assert verdict_on(read_tool, arguments={"path": "/etc/passwd"}) == "refused by the argument rule"
    decide(read_tool, argument_rule={"$ref": "#"})
    assert verdict_on(read_tool) == "refused by the argument rule", "a rule without an end is met by nothing"
    pool.is_paused, pool.pause_reason = True, "paused by op1: too slow"
    assert verdict_on(read_tool, pool=pool) == "paused by op1: too slow"


def test_a_rule_that_points_elsewhere_fetches_nothing_and_refuses(read_tool: ToolRecord) -> None:
    decide(read_tool, argument_rule={"$ref": "http://127.0.0.1:9/rule.json"})
    assert verdict_on(read_tool) == "refused by the argument rule"


def test_the_switch_keeps_the_decision(read_tool: ToolRecord) -> None:
    decide(read_tool)
    policy.switch(read_tool, False, who="op1")
    assert verdict_on(read_tool) == "switched off by op1"
    assert policy.switch(read_tool, False, who="op1").tool.policy_version == 3, "pressing twice changes nothing"
    policy.switch(read_tool, True, who="op2")
    assert verdict_on(read_tool) == "" and Approval.objects.count() == 1
    assert list(AuditEntry.objects.order_by("pk").values_list("who", flat=True)) == ["op1", "op1", "op2"]


@pytest.mark.parametrize("how", ["revoke", "switch", "decide"])
def test_a_change_gives_up_what_was_held_and_spares_what_was_asked_for(
    desk: Desk, read_tool: ToolRecord, how: str
) -> None:
    held = hold_one_of_each(desk)
    change = {
        "revoke": lambda: policy.revoke(read_tool, who="op1", why="leak"),
        "switch": lambda: policy.switch(read_tool, False, who="op1"),
        "decide": lambda: decide(read_tool, "never"),
    }[how]()
    assert change.ended == 3
    assert [ToolJob.objects.get(pk=job.pk).status for job in held] == ["preempted", "preempted", "discarded", "running"]
    reasons = [
        event.payload["reason"] for event in desk.session.events.filter(kind__in=["job_preempted", "job_discarded"])
    ]
    assert reasons == ["revoked"] * 3


def test_what_is_held_in_many_sessions_is_given_up_in_all(
    desk: Desk, read_tool: ToolRecord, make_session: Callable[[], Session]
) -> None:
    desk.speculate()
    other = Desk(make_session(), desk.read_tool, desk.write_tool, desk.pool)
    other.speculate()
    assert policy.revoke(read_tool, who="op1", why="leak").ended == 2


def test_after_a_revocation_an_older_job_neither_starts_nor_serves(desk: Desk, read_tool: ToolRecord) -> None:
    """Also where the giving up has not reached it yet: its version is no longer the tool's."""
    waiting, done = desk.speculate("waiting"), desk.speculate("done")
    succeed(desk, done)
    with transaction.atomic():
        held = locks.hold_tool(read_tool.pk)
        held.policy_version += 1
        held.save()
    desk.policy_version = held.policy_version
    assert not desk.start(waiting) and not desk.promote(done)


def test_registering_the_same_definition_again_changes_nothing(transactional_db: None) -> None:
    first = policy.register_tool("builtin", Reader())
    assert (first.effect, first.mean_seconds, first.definition["description"]) == ("none", 2.5, "Reads.")
    assert policy.register_tool("builtin", Reader()) == first
    assert ToolRecord.objects.get(pk=first.pk).policy_version == 1 and not AuditEntry.objects.exists()


def test_a_changed_definition_drops_the_approval_and_what_was_held(desk: Desk) -> None:
    tool = policy.register_tool("builtin", Reader())
    decide(tool)
    assert verdict_on(tool) == ""
    desk.read_tool, desk.policy_version = tool, tool.policy_version
    job = desk.speculate()
    changed = policy.register_tool("builtin", ChangedReader())
    assert verdict_on(changed) == "definition changed since its approval"
    assert ToolJob.objects.get(pk=job.pk).status == "preempted"
    entry = AuditEntry.objects.first()
    assert entry.before["definition"]["description"] == "Reads."
    assert entry.after["definition"]["description"] == "Reads, and tells a friend."
    policy.register_tool("builtin", Reader())
    assert verdict_on(changed) == "", "the definition that was approved is back"


class ReaderWithOtherKey(Reader):
    credentials = "f" * 64


def test_other_credentials_keep_the_approval_and_end_what_was_guessed_under_the_old_ones(desk: Desk) -> None:
    tool = policy.register_tool("builtin", Reader())
    decide(tool)
    desk.read_tool, desk.policy_version = tool, tool.policy_version
    job = desk.speculate()
    changed = policy.register_tool("builtin", ReaderWithOtherKey())
    assert ToolJob.objects.get(pk=job.pk).status == "preempted"
    assert verdict_on(changed) == "" and changed.credentials_hash == "f" * 64
    assert AuditEntry.objects.first().what.startswith("credentials changed")
    version = changed.policy_version
    assert policy.register_tool("builtin", ReaderWithOtherKey()).policy_version == version


def test_an_operator_can_say_that_the_credentials_are_others_now(desk: Desk, read_tool: ToolRecord) -> None:
    done = desk.speculate("done")
    succeed(desk, done)
    assert policy.change_credentials(read_tool, who="op1", why="rotated").ended == 1
    read_tool.refresh_from_db()
    desk.policy_version = read_tool.policy_version
    assert not desk.promote(done) and ToolJob.objects.get(pk=done.pk).status == "discarded"
