"""One tool's page: what is shown of it, what has to be said before a decision, and trying a rule before it is stored."""

from html import unescape
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from speculation import policy
from speculation.models import (
    AgentProfile,
    Approval,
    AuditEntry,
    Session,
    SessionFigures,
    ToolFigures,
    ToolJob,
    ToolRecord,
    WorkerPool,
)
from tests.paste_web.deciding import PAGE, a_tool, chip_of, decide, decision
from tests.paste_web.stored_sessions import a_user, an_agent
from tools import catalog

pytestmark = pytest.mark.django_db

RULE = '{"properties": {"id": {"pattern": "^W"}}}'


@pytest.fixture
def tool(db: None) -> ToolRecord:
    return a_tool()


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(a_user("op1", "change_toolrecord", "add_approval"))
    return client


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(a_user("eve"))
    return client


def test_a_tool_of_unknown_effect_runs_only_after_an_approver_has_declared_that_it_reads(
    operator: Client, tool: ToolRecord
) -> None:
    ToolRecord.objects.update(effect="unknown")
    assert chip_of(tool) == "Off: effect unknown: not eligible"
    page = operator.get(PAGE)
    assert [level for level, _label in page.context["form"].fields["level"].choices] == ["never", "shadow"]
    assert "Nobody knows what it does." in page.content.decode()
    assert operator.post(PAGE, decision(tool)).status_code == 422
    pins = {"declare-definition_hash": tool.definition_hash, "declare-policy_version": 1}
    declare = f"/tools/{tool.pk}/declare/"
    unsaid = operator.post(declare, {**pins, "declare-why": " "})
    assert unsaid.status_code == 422 and "This field is required." in unsaid.content.decode()
    outdated = operator.post(declare, {**pins, "declare-policy_version": 7, "declare-why": "I read <its> source."})
    assert outdated.status_code == 409 and "I read &lt;its&gt; source." in outdated.content.decode()
    done = operator.post(declare, {**pins, "declare-why": "I read its source."}, follow=True).content.decode()
    assert "reads only, declared by op1" in done and "Nobody knows what it does." not in done
    tool.refresh_from_db()
    assert operator.post(PAGE, decision(tool)).status_code == 302 and chip_of(tool) == "On"


def change_definition(tool: ToolRecord, description: str) -> None:
    """As a registration with another definition does."""
    before = {"definition": tool.definition, "definition_hash": tool.definition_hash}
    ToolRecord.objects.update(
        definition={"description": description}, definition_hash="b" * 64, policy_version=tool.policy_version + 1,
        changed_at=Now(),
    )  # fmt: skip
    AuditEntry.objects.create(who="system", what=f"definition changed: {tool}", before=before, after=None)


def test_what_changed_since_the_decision_and_since_it_was_read_is_shown_word_by_word(
    operator: Client, tool: ToolRecord
) -> None:
    decide(tool)
    typed = decision(tool)
    change_definition(tool, "Reads \u202etwo orders.")
    page = operator.get(PAGE).content.decode()
    assert "The definition changed since the decision" in page
    assert "<del>one" in page and "<ins>two" in page and "⟨U+202E⟩" in page and "\u202e" not in page
    assert ", 0 runs cancelled" in operator.get("/tools/").content.decode()
    outdated = operator.post(PAGE, typed)
    assert outdated.status_code == 409 and "The definition, since you read it" in outdated.content.decode()
    Approval.objects.update(definition=None)
    AuditEntry.objects.all().delete()
    assert "What the definition said then is not known" in operator.get(PAGE).content.decode()


def a_call(tool: ToolRecord, number: int, **arguments: object) -> ToolJob:
    session = Session.objects.get_or_create(task="t", defaults={"agent": an_agent()})[0]
    pool = WorkerPool.objects.get_or_create(name="tools")[0]
    return ToolJob.objects.create(
        session=session, tool=tool, pool=pool, effect="none", epoch=0, fingerprint=str(number), status="succeeded",
        call_id=f"{number}.0", arguments=arguments, started_at=timezone.now(), ended_at=timezone.now(),
    )  # fmt: skip


def test_a_call_is_tried_against_what_is_typed_and_nothing_is_stored(operator: Client, tool: ToolRecord) -> None:
    for number in range(3):
        a_call(tool, number, id="secret-X7" if number else "W1")
    path, htmx = f"/tools/{tool.pk}/try/", {"HTTP_HX_REQUEST": "true"}
    typed = decision(tool, level="canary", argument_rule=RULE, why="")

    def tried(**fields: Any) -> str:
        return " ".join(operator.post(path, {**typed, **fields}, **htmx).content.decode().split())

    assert "✓ Allowed</span>: canary 10 %." in tried(arguments='{"id": "W7"}')
    refused = tried(arguments='{"id": "X7"}')
    assert "✕ Not allowed</span>: refused by the argument rule." in refused and "<html" not in refused
    assert "2 of its last 3 calls would be refused by the argument rule" in refused
    assert "?call=2.0" in refused and "secret" not in refused, "arguments need view_payloads"
    assert "only shadow" in tried(level="shadow", arguments="{}")
    for odd in ('{"id"', "[1]", "7", '"\\ud800"', "[" * 100_000):
        assert 'class="error-summary"' in tried(arguments=odd), odd
    assert 'class="error-summary"' in tried(argument_rule='{"type": "nonsense"}')
    assert not Approval.objects.exists() and not AuditEntry.objects.exists()
    client_reads = Client()
    client_reads.force_login(a_user("op2", "add_approval", "view_payloads"))
    assert "secret-X7" in client_reads.post(path, typed, **htmx).content.decode()


def test_without_script_trying_keeps_all_that_was_typed(operator: Client, tool: ToolRecord) -> None:
    typed = decision(tool, argument_rule='{"broken', arguments='{"id": 7}', why="half a <reason>", canary_percent="33")
    page = operator.post(f"/tools/{tool.pk}/try/", typed).content.decode()
    assert "{&quot;broken" in page and "half a &lt;reason&gt;" in page and 'value="33"' in page
    assert "{&quot;id&quot;: 7}" in page and "Enter a valid JSON." in page


@pytest.mark.parametrize("rule", ["false", "[]", '"x"', "[" * 100_000])
def test_an_argument_rule_is_an_object(operator: Client, tool: ToolRecord, rule: str) -> None:
    assert operator.post(PAGE, decision(tool, argument_rule=rule)).status_code == 422 and not Approval.objects.exists()


def test_a_tool_that_writes_offers_nothing_to_decide(operator: Client, tool: ToolRecord) -> None:
    ToolRecord.objects.update(effect="write")
    page = operator.get(PAGE).content.decode()
    assert "there is nothing to decide" in page and "Store the decision" not in page
    assert operator.post(PAGE, decision(tool)).status_code == 422


def test_what_a_server_claims_is_shown_as_a_claim(operator: Client, tool: ToolRecord) -> None:
    ToolRecord.objects.update(
        effect="unknown", definition={"annotations": {"readOnlyHint": True, "openWorldHint": True}}
    )
    page = " ".join(operator.get(PAGE).content.decode().split())
    assert 'only reads <span class="quiet">(readOnlyHint: true)</span>' in page and "That is no proof." in page
    assert "its arguments reach an outside party" in page
    assert "claimed by the server: only reads, reaches outside" in operator.get("/tools/").content.decode()


def test_the_page_shows_the_tools_last_calls_without_what_a_reader_may_not_see(
    viewer: Client, tool: ToolRecord
) -> None:
    job = a_call(tool, 4, id="secret-X7")
    page = viewer.get(PAGE).content.decode()
    assert f'href="/sessions/{job.session_id}/?call=4.0"' in page and "secret" not in page


def test_the_evidence_adds_up_the_ledger_and_says_what_a_decision_would_mean(
    operator: Client, tool: ToolRecord
) -> None:
    agent = an_agent("support")
    agent.tools.add(tool)
    ToolRecord.objects.update(quantiles={"p50": 2.0})
    for number in range(4):
        book(agent, tool, would_launches=3, would_hits=1, would_hide_seconds=1.0 + number / 10)
    book(an_agent("other"), tool, launches=2, hits=1, hidden_seconds=2.0, wasted_seconds=1.5, waste={"miss": [1, 1.5]})
    page = operator.get(PAGE)
    week = page.context["week"]
    assert (week.foreseen, week.asked_for, week.saved_seconds) == (14, 5, pytest.approx(6.6))
    assert week.waste == {"miss": (1, 1.5)} and week.spent_seconds == pytest.approx(1.5 + 8 * 2.0)
    assert (week.decode_seconds, week.fits_behind) == (3.0, 1.0), "of the agents that have the tool"
    assert (
        "In the last 7 days this would have started 12 calls in sessions of agent support before they were asked for; "
        "4 (33 %) were asked for; about 4.6 s saved, about 16.0 s of worker time wasted. "
        "A canary of 10 % does about 10 % of that." in page.content.decode()
    )
    verdict = "Unreviewed. Would save about 1.1 s a session (at least 0.9 s, n 4); nothing runs early."
    assert page.context["verdict"] == verdict
    assert "Approve get_order?" in operator.get("/tools/").content.decode()


def test_how_much_of_its_time_a_tool_computes_is_told_once_a_run_has_shown_it(viewer: Client, tool: ToolRecord) -> None:
    assert "of its time" not in viewer.get(PAGE).content.decode()
    ToolRecord.objects.update(processors=0.42)
    assert "computes 42 % of its time" in viewer.get(PAGE).content.decode()


def book(agent: AgentProfile, tool: ToolRecord, **figures: Any) -> None:
    """An ended session of two turns of 3 s each, in the ledger, with these figures of the tool."""
    session = Session.objects.create(
        agent=agent, task="t", status="succeeded", started_at=timezone.now(), ended_at=timezone.now()
    )
    seconds = ("queued", "task", "waited", "net_saved", "interference", "hidden", "would_hide", "wasted", "used")
    counts = ("last_seq", "calls", "eligible_calls", "launches", "hits", "wasted_runs")
    zeros = dict.fromkeys([f"{name}_seconds" for name in seconds], 0.0) | dict.fromkeys(counts, 0)
    SessionFigures.objects.create(session=session, turns=2, decode_seconds=6.0, **zeros)
    own = ("calls", "eligible_calls", "failed_calls", "launches", "hits", "would_launches", "would_hits")
    own_zeros = dict.fromkeys(own, 0) | dict.fromkeys(("hidden_seconds", "wasted_seconds", "would_hide_seconds"), 0.0)
    ToolFigures.objects.create(session=session, tool=tool, **{**own_zeros, **figures})


def test_of_a_tool_that_writes_its_warm_up_can_be_decided_and_the_page_says_what_that_does(operator: Client) -> None:
    update = policy.register_tool("builtin", catalog.BUILTIN["update_record"])
    address = "/tools/builtin/update_record/"
    page = operator.get(address)
    levels = [level for level, _label in page.context["form"].fields["level"].choices]
    assert levels == ["never", "shadow", "transformed"] and update.definition["annotations"]["warms_by"] in text_of(page)
    tried = operator.post(f"/tools/{update.pk}/try/", decision(update, level="transformed", arguments=A_REFUND))
    assert "Allowed</span>: only its warm-up." in tried.content.decode()
    assert "only the warm-up can run early" in tried.content.decode()
    refused = operator.post(address, decision(update, level="full"))
    assert refused.status_code == 422 and not Approval.objects.exists()
    done = operator.post(address, decision(update, level="transformed"), follow=True)
    assert "Transformed: only its warm-up runs early. It was not warmed up in the last 7 days." in text_of(done)
    assert chip_of(update) == "On: only its warm-up" and done.context["row"].may_be_revoked
    operator.post(f"/tools/{update.pk}/revoke/")
    assert chip_of(update) == "Off: writes: not eligible"


def text_of(answer: Any) -> str:
    return str(unescape(answer.content.decode()))


A_REFUND = '{"table": "refunds", "key": "r1", "values": {"status": "settled"}}'
