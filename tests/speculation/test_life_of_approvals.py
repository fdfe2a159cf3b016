"""A decision over time: what ends it, what has to be said before it, and what takes it back by itself."""

from collections.abc import Callable
from typing import Any

import pytest

from speculation import breakers_opening, jobs, policy
from speculation.approval_queue import Need, approval_queue
from speculation.definitions import definition_of
from speculation.effects import effect_of_call, effect_of_tool
from speculation.endings import Ending, wait_for_end
from speculation.engine.breaking import Kind, Limits, Subject, Trip
from speculation.forecast import Forecast
from speculation.models import AgentProfile, Approval, ApprovalLevel, AuditEntry, ToolJob, ToolRecord
from speculation.policy import DecisionOutdated, DecisionRefused
from speculation.terms import offered_levels
from tests.speculation.conftest import Desk
from tests.speculation.deciding import NOW, ChangedReader, Reader, decide, hold_one_of_each, verdict_on
from tests.speculation.foreseen import guess, guesses, predicted
from tools import catalog
from tools.base import SideEffect, ToolPolicy


class ReaderOfFiles(Reader):
    """The real tool's name, so that a session finds code behind it; what its definition says is made up."""

    name = "read_file"


def test_once_a_description_changed_the_approval_is_gone_what_ran_is_cancelled_and_nothing_starts(
    desk: Desk, approved_agent: AgentProfile, listen: Callable[..., Forecast]
) -> None:
    tool = ToolRecord.objects.get(name="read_file")
    desk.read_tool, desk.policy_version = tool, tool.policy_version
    running, waiting = desk.speculate("running"), desk.speculate("waiting")
    assert desk.start(running)
    policy.register_tool("builtin", ReaderOfFiles())
    assert verdict_on(tool) == "definition changed since its approval"
    assert {ToolJob.objects.get(pk=job.pk).status for job in (running, waiting)} == {"preempted"}
    assert AuditEntry.objects.latest("pk").what == "definition changed: builtin/read_file"
    (item,) = approval_queue()
    assert (item.tool, item.need, item.cancelled) == (tool, Need.CHANGED, 2)
    desk.policy_version = tool.policy_version
    assert not desk.start(waiting)
    forecast = listen(guess("read_file", 0.9, path="a.txt"))
    forecast.settle()
    assert predicted(forecast) == [["a.txt: definition changed since its approval"]] and guesses(forecast) == {}


def test_a_decision_keeps_the_definition_that_it_is_about(transactional_db: None) -> None:
    tool = policy.register_tool("builtin", Reader())
    decide(tool)
    old_hash = tool.definition_hash
    changed = policy.register_tool("builtin", ChangedReader())
    kept, now = definition_of(changed, old_hash), definition_of(changed, changed.definition_hash)
    assert (kept["description"], now["description"]) == ("Reads.", "Reads, and tells a friend.")
    Approval.objects.update(definition=None)
    assert definition_of(changed, old_hash)["description"] == "Reads.", "the audit kept it as well"
    assert definition_of(changed, "f" * 64) is None


class Stranger(Reader):
    """Of unknown effect, and it tells nothing of its calls."""

    name = "stranger"
    policy = ToolPolicy(effect=SideEffect.UNKNOWN)


def declare(tool: ToolRecord, **options: Any) -> policy.Change:
    tool.refresh_from_db()
    pinned = {"expected_definition_hash": tool.definition_hash, "expected_policy_version": tool.policy_version}
    return policy.declare_reads_only(tool, **{"who": "op1", "why": "I read its source.", **pinned, **options})


def test_of_a_tool_that_says_nothing_an_approver_declares_first_that_it_reads(transactional_db: None) -> None:
    tool, box = policy.register_tool("elsewhere", Stranger()), Stranger()
    with pytest.raises(DecisionRefused, match="Declare first"):
        decide(tool)
    assert effect_of_call(tool, box, {}) == SideEffect.UNKNOWN
    declare(tool)
    tool.refresh_from_db()
    assert effect_of_call(tool, box, {}) == effect_of_tool(tool, box) == SideEffect.NONE
    entry = AuditEntry.objects.get()
    assert (entry.who, entry.what, entry.why) == (
        "op1",
        "declared to read only: elsewhere/stranger",
        "I read its source.",
    )
    assert verdict_on(tool) == "not approved", "a declaration lets nothing run by itself"
    decide(tool)
    assert verdict_on(tool) == ""
    policy.revoke(tool, who="op2", why="it writes after all")
    tool.refresh_from_db()
    assert effect_of_call(tool, box, {}) == SideEffect.UNKNOWN, "a revocation takes the word back"


def test_a_declaration_is_about_one_definition_and_about_nothing_that_is_known(
    read_tool: ToolRecord, transactional_db: None
) -> None:
    tool = policy.register_tool("elsewhere", Stranger())
    declare(tool)
    ToolRecord.objects.filter(pk=tool.pk).update(definition_hash="0" * 64)
    tool.refresh_from_db()
    assert effect_of_call(tool, Stranger(), {}) == SideEffect.UNKNOWN
    with pytest.raises(DecisionOutdated):
        declare(tool, expected_policy_version=1)
    with pytest.raises(DecisionRefused, match="says itself"):
        declare(read_tool)
    with pytest.raises(DecisionRefused, match="which of its calls only read"):
        declare(policy.register_tool("builtin", catalog.BUILTIN["run_command"]))
    with pytest.raises(DecisionRefused, match="reason"):
        declare(tool, why=" ")


@pytest.mark.parametrize(
    ("hints", "vetoed"),
    [
        ({"readOnlyHint": True, "destructiveHint": True}, False),
        ({"destructiveHint": True}, True),
        ({"readOnlyHint": False}, True),
        ({"readOnlyHint": "yes"}, False),
        ({}, False),
    ],
)
def test_what_a_server_claims_vetoes_but_never_grants(
    transactional_db: None, hints: dict[str, Any], vetoed: bool
) -> None:
    tool = policy.register_tool("elsewhere", Stranger())
    ToolRecord.objects.update(definition={"annotations": hints})
    tool.refresh_from_db()
    with pytest.raises(DecisionRefused):
        decide(tool)
    if vetoed:
        with pytest.raises(DecisionRefused, match="its server says"):
            declare(tool)
        assert ApprovalLevel.FULL not in offered_levels(tool)
    else:
        declare(tool)
        decide(tool)


def test_an_outside_party_may_also_be_what_the_server_claims(read_tool: ToolRecord) -> None:
    ToolRecord.objects.filter(pk=read_tool.pk).update(definition={"annotations": {"openWorldHint": True}})
    with pytest.raises(DecisionRefused, match="outside party"):
        decide(read_tool)
    decide(read_tool, may_tell_outsiders=True)


@pytest.mark.parametrize(
    ("kind", "openings", "is_rolled_back"),
    [
        (Kind.WASTE, 1, False),
        (Kind.WASTE, 2, True),
        (Kind.ERRORS, 2, True),
        (Kind.DIVERGENCE, 1, True),
        (Kind.QUOTA, 2, False),
    ],
)
def test_a_canary_rolls_back_when_it_passes_its_budget(
    read_tool: ToolRecord, pool: Any, kind: Kind, openings: int, is_rolled_back: bool
) -> None:
    decide(read_tool, "canary")
    for _number in range(openings):
        trip = Trip(kind, Subject(tool=read_tool.pk), 9.0, Limits(1, 60, 300), "a test says so")
        opening = breakers_opening.open_breaker(trip)
        assert breakers_opening.reset(opening, who="op1", why="next")
    queue = approval_queue(NOW)
    assert bool(queue) == is_rolled_back
    if is_rolled_back:
        assert queue[0].need == Need.REVIEW and queue[0].approval.why.startswith("canary rolled back: ")
        assert verdict_on(read_tool).startswith("needs review: canary rolled back: ")
        assert AuditEntry.objects.filter(what="canary rolled back: builtin/read_file", who="system").count() == 1


def test_only_the_canary_of_its_agent_is_rolled_back(read_tool: ToolRecord, agent: AgentProfile) -> None:
    decide(read_tool)
    decide(read_tool, "canary", agent=agent)
    assert policy.roll_back_canary(read_tool, "canary rolled back: it failed") is not None
    assert verdict_on(read_tool, agent).startswith("needs review") and verdict_on(read_tool) == ""
    assert policy.roll_back_canary(read_tool, "again") is None


def test_a_revocation_tells_when_what_ran_has_ended(desk: Desk, read_tool: ToolRecord) -> None:
    held = hold_one_of_each(desk)
    change = policy.revoke(read_tool, who="op1", why="leak")
    assert wait_for_end([change], patience_seconds=0) == Ending(stopped=1, still_running=1, last_seconds=None, held=2)
    assert desk.move(jobs.release, held[1], attempt=1)
    ending = wait_for_end([change])
    assert (ending.stopped, ending.still_running) == (1, 0) and 0 < ending.last_seconds < 60
