"""Tools: who sees what, the switch, and a decision that is stored only about what was read."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from paste_web.plain_text import reveal
from speculation import policy
from speculation.models import (
    AgentProfile,
    Approval,
    AuditEntry,
    PatternRecord,
    Session,
    ToolJob,
    ToolRecord,
    ToolServer,
    WorkerPool,
)
from speculation.tool_rows import tool_rows
from speculation.tool_servers import Listed, keep
from tests.paste_web.deciding import PAGE, a_tool, chip_of, decide, decision
from tests.paste_web.stored_sessions import a_user, an_agent

pytestmark = pytest.mark.django_db


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


def test_every_page_asks_for_a_login(client: Client, tool: ToolRecord) -> None:
    for path in ("/tools/", PAGE, "/patterns/"):
        assert client.get(path).headers["Location"].startswith("/login/")
    assert client.post(f"/tools/{tool.pk}/switch/").status_code in (302, 403)
    assert Approval.objects.count() == 0


def test_an_empty_list_says_what_is_missing(operator: Client) -> None:
    page = operator.get("/tools/").content.decode()
    assert "No tool has been called yet; tools appear with their first call." in page


def test_a_filter_that_finds_nothing_offers_to_be_cleared(operator: Client, tool: ToolRecord) -> None:
    assert "No tool matches." in operator.get("/tools/", {"q": "zzz\0"}).content.decode()
    assert "get_order" in operator.get("/tools/", {"q": "ORDER", "server": "builtin", "page": "9"}).content.decode()


def test_one_chip_says_the_effect_and_the_first_reason_against_it(tool: ToolRecord) -> None:
    assert chip_of(tool) == "Off: not approved"
    decide(tool)
    assert chip_of(tool) == "On"
    decide(tool, "canary", canary_percent=10)
    assert chip_of(tool) == "On: canary 10 %"
    policy.switch(tool, False, who="op1")
    assert chip_of(tool) == "Off: switched off by op1"
    policy.switch(tool, True, who="op1")
    WorkerPool.objects.update_or_create(name="tools", defaults={"is_paused": True, "pause_reason": "paused by op2"})
    assert chip_of(tool) == "Off: paused by op2"
    WorkerPool.objects.update(is_paused=False)
    ToolRecord.objects.update(definition_hash="b" * 64)
    assert chip_of(tool) == "Off: definition changed since its approval"
    ToolRecord.objects.update(effect="write")
    assert chip_of(tool) == "Off: writes: not eligible"


def test_a_decision_for_one_agent_shows_whose_it_is(tool: ToolRecord) -> None:
    support = an_agent("support")
    decide(tool, "canary", agent=support)
    assert chip_of(tool) == "On: canary 10 %, agent support"
    decide(tool, "never", agent=support)
    assert chip_of(tool) == "Off: refused by op1"


def test_a_tool_that_tells_its_calls_apart_is_judged_by_those_that_read(tool: ToolRecord) -> None:
    ToolRecord.objects.update(effect="unknown", name="run_command")
    decide(tool)
    assert chip_of(tool) == "On"


def test_figures_are_counted_from_the_jobs(tool: ToolRecord) -> None:
    session = Session.objects.create(agent=an_agent(), task="t")
    pool = WorkerPool.objects.get_or_create(name="tools")[0]
    start = timezone.now()

    def ran(seconds: float, **fields: Any) -> None:
        ToolJob.objects.create(
            session=session, tool=tool, pool=pool, effect="none", epoch=0, fingerprint=str(ToolJob.objects.count()),
            started_at=start, ended_at=start + timedelta(seconds=seconds), **{"status": "succeeded", **fields},
        )  # fmt: skip

    ran(1.0, call_id="1.0")
    ran(3.0, call_id="1.1", promoted_at=start + timedelta(seconds=1))
    ran(9.0, status="preempted")
    measured = tool_rows([tool], timezone.now())[0].measured
    assert (measured.runs, measured.mean_seconds, measured.early, measured.used) == (3, 2.0, 2, 1)


def test_a_viewer_sees_no_controls_and_can_use_none(viewer: Client, tool: ToolRecord) -> None:
    for path in ("/tools/", PAGE):
        page = viewer.get(path).content.decode()
        assert "get_order" in page and "Switch off" not in page and "Store the decision" not in page
        assert "permission" in page
    posts = [
        viewer.post(PAGE, decision(tool)),
        *(viewer.post(f"/tools/{tool.pk}/{act}/") for act in ("switch", "revoke", "declare", "try")),
        viewer.post("/tools/revoke/", {"tool": tool.pk}),
    ]
    assert {post.status_code for post in posts} == {403}
    assert not Approval.objects.exists() and not AuditEntry.objects.exists()


def test_a_decision_is_stored_with_its_terms(operator: Client, tool: ToolRecord) -> None:
    support = an_agent("support")
    rule = '{"required": ["id"]}'
    answer = operator.post(PAGE, decision(tool, level="canary", agent=support.pk, argument_rule=rule), follow=True)
    approval = Approval.objects.get()
    assert (approval.level, approval.agent, approval.who, approval.canary_percent) == ("canary", support, "op1", 10)
    assert approval.argument_rule == {"required": ["id"]} and approval.user.username == "op1"
    assert 89 <= (approval.expires_at - timezone.now()).days <= 90
    assert "Decided: canary" in answer.content.decode()


def test_an_outdated_decision_is_a_conflict_that_keeps_what_was_typed(operator: Client, tool: ToolRecord) -> None:
    typed = decision(tool, why="I read it <twice>", canary_percent=33, arguments='{"id": "W7"}')
    policy.switch(tool, False, who="op2")
    answer = operator.post(PAGE, typed)
    page = answer.content.decode()
    assert answer.status_code == 409 and not Approval.objects.exists()
    assert "I read it &lt;twice&gt;" in page and 'value="33"' in page and "{&quot;id&quot;: &quot;W7&quot;}" in page
    assert "You had read policy version 1; it is 2 now." in page and "op2: switched off" in page
    assert 'name="policy_version" value="2"' in page
    again = {**typed, "policy_version": 2}
    assert operator.post(PAGE, again).status_code == 302 and Approval.objects.count() == 1


def test_a_changed_definition_is_said_to_have_changed(operator: Client, tool: ToolRecord) -> None:
    answer = operator.post(PAGE, decision(tool, definition_hash="f" * 64))
    page = answer.content.decode()
    assert answer.status_code == 409 and "The definition changed: read it again." in page
    assert "What it said when you read it was not kept." in page


def test_several_are_revoked_at_once_with_or_without_a_reason(operator: Client, tool: ToolRecord) -> None:
    other = ToolRecord.objects.create(name="get_user", effect="none", definition_hash="a" * 64)
    for one in (tool, other):
        decide(one)
    page = operator.get("/tools/").content.decode()
    assert page.count('form="revoke-several"') == 2 and "Approve" not in page
    nothing = operator.post("/tools/revoke/", {"tool": ["x", "9" * 30]}, follow=True).content.decode()
    assert "Nothing was revoked: pick at least one tool." in nothing and chip_of(tool) == "On"
    done = operator.post("/tools/revoke/", {"tool": [tool.pk, other.pk], "why": "a leak"}, follow=True)
    assert "Revoked: get_order, get_user. 0 held runs given up." in done.content.decode()
    assert chip_of(tool) == chip_of(other) == "Off: refused by op1"
    assert set(AuditEntry.objects.filter(what__startswith="revoked").values_list("why", flat=True)) == {"a leak"}
    assert 'form="revoke-several"' not in operator.get("/tools/").content.decode()


def test_the_list_is_sorted_and_narrowed_and_says_by_what(operator: Client, tool: ToolRecord) -> None:
    ToolRecord.objects.create(name="a_writer", effect="write")
    slow = ToolRecord.objects.create(name="slow", effect="none", quantiles={"p50": 9.0})

    def names(**asked: str) -> list[str]:
        return [one.row.tool.name for one in operator.get("/tools/", asked).context["rows"]]

    assert names(by="name") == ["a_writer", "get_order", "slow"] and names(by="takes")[0] == "slow"
    decide(slow, expires_at=timezone.now() + timedelta(days=3))
    assert names(by="nonsense")[0] == "slow", "what needs a decision comes first"
    assert names(**{"is": "approved"}) == ["slow"] and names(**{"is": "writes"}) == ["a_writer"]
    page = operator.get("/tools/", {"is": "approved", "q": "sl", "by": "takes"}).content.decode()
    assert 'aria-sort="descending"' in page and 'href="/tools/?is=approved&amp;by=takes"' in page


@pytest.mark.parametrize(
    "fields",
    [
        {"why": ""},
        {"why": "nul \0"},
        {"why": "x" * 2001},
        {"level": "maybe"},
        {"canary_percent": 0},
        {"canary_percent": "9" * 400},
        {"ttl_seconds": "inf"},
        {"ttl_seconds": "nan"},
        {"max_parallel": -1},
        {"days": 10**9},
        {"agent": "999999"},
        {"agent": "\0"},
        {"argument_rule": "{"},
        {"argument_rule": "7"},
        {"argument_rule": '{"type": "nonsense"}'},
        {"argument_rule": '{"const": "\\u0000"}'},
        {"argument_rule": '{"const": "\\ud83d"}'},
        {"policy_version": "one"},
        {"policy_version": "9" * 40},
        {"definition_hash": ""},
    ],
)
def test_a_wrong_decision_is_refused_beside_the_field_and_nothing_is_stored(
    operator: Client, tool: ToolRecord, fields: dict[str, Any]
) -> None:
    answer = operator.post(PAGE, decision(tool, **fields))
    page = answer.content.decode()
    assert answer.status_code in (409, 422) and 'class="error-summary"' in page
    assert not Approval.objects.exists() and not AuditEntry.objects.exists()


def test_an_outside_party_needs_its_own_tick(operator: Client, tool: ToolRecord) -> None:
    assert "outside party" not in operator.get(PAGE).content.decode()
    ToolRecord.objects.update(open_world=True)
    assert operator.post(PAGE, decision(tool)).status_code == 422
    assert operator.post(PAGE, decision(tool, may_tell_outsiders="on")).status_code == 302


def test_the_switch_works_at_once_and_leads_back(operator: Client, tool: ToolRecord) -> None:
    off = operator.post(f"/tools/{tool.pk}/switch/", {"on": "0", "from": "list"})
    assert off.headers["Location"] == "/tools/" and not ToolRecord.objects.get().enabled
    on = operator.post(f"/tools/{tool.pk}/switch/", {"on": "1"})
    assert on.headers["Location"] == PAGE and ToolRecord.objects.get().enabled
    assert operator.post("/tools/999/switch/").status_code == 404
    assert operator.get(f"/tools/{tool.pk}/switch/").status_code == 405


def test_a_press_revokes_for_every_agent(operator: Client, tool: ToolRecord) -> None:
    decide(tool)
    answer = operator.post(f"/tools/{tool.pk}/revoke/", follow=True)
    assert "Revoked. 0 held runs given up." in answer.content.decode()
    assert chip_of(tool) == "Off: refused by op1"


def test_foreign_definitions_show_what_they_hide(operator: Client, tool: ToolRecord) -> None:
    assert reveal("a\u202eb\u200bc\x07\nd\ufeff") == "a⟨U+202E⟩b⟨U+200B⟩c⟨U+0007⟩\nd⟨U+FEFF⟩"
    assert reveal("Grüße \N{GRINNING FACE} 一") == "Grüße \N{GRINNING FACE} 一"
    assert "Reads ⟨U+202E⟩one⟨U+200B⟩ order." in operator.get(PAGE).content.decode()


def test_a_name_with_a_slash_has_a_page(operator: Client) -> None:
    ToolRecord.objects.create(server="mcp.example", name="files/read?all <b>")
    page = operator.get("/tools/").content.decode()
    assert "files/read?all &lt;b&gt;" in page and "<b>" not in page
    assert operator.get("/tools/mcp.example/files/read%3Fall%20%3Cb%3E/").status_code == 200


def test_an_expired_decision_is_off_without_anybody_doing_anything(tool: ToolRecord) -> None:
    decide(tool, expires_at=timezone.now() + timedelta(days=1))
    Approval.objects.update(expires_at=Now())
    assert chip_of(tool) == "Off: approval expired"


def test_a_fresh_form_starts_narrow(operator: Client, tool: ToolRecord) -> None:
    agent: AgentProfile = an_agent("support")
    agent.tools.add(tool)
    initial = operator.get(PAGE).context["form"]
    assert initial["level"].value() == "canary" and initial["agent"].value() == agent.pk


def test_the_page_says_which_arguments_take_part_in_matching_and_which_seem_not_to(
    operator: Client, tool: ToolRecord
) -> None:
    tool.definition = {
        "parameters": {"properties": {"id": {}, "note": {}, "why": {}}},
        "annotations": {"cosmetic_arguments": ["why"], "covers": ["line"]},
    }
    tool.save()
    seen = {
        "note": [11, 0, 14, 15],
        "id": [2, 7, 0, 15],
        "why": [20, 0, 0, 20],
        "line": [30, 0, 0, 30],
        "\u202eod": [1, 1, 0, 3],
    }
    support, other = an_agent("support"), an_agent("other")
    support.tools.add(tool)
    for agent in (support, other):
        PatternRecord.objects.create(agent=agent, key="k", tool="get_order", statistics={"hints": seen}, support=3)
    page = " ".join(operator.get(PAGE).content.decode().split())
    assert page.count("suggested cosmetic: equal results in 11 of 11 pairs (agent support)") == 1
    assert (
        "free text not given before in 14 of 15 calls" in page
        and "equal results in 2 of 9 pairs (agent support)" in page
    )
    assert page.count("suggested cosmetic") == 1 and "(agent other)" not in page and "1 of 2 pairs" not in page
    assert '<code>why</code></th> <td class="told">cosmetic by policy</td>' in page
    assert "a call without it may serve one with it" in page and "⟨U+202E⟩od" in page


def test_a_tool_without_arguments_says_so(viewer: Client, tool: ToolRecord) -> None:
    assert "No argument is declared, and none has been seen." in viewer.get(PAGE).content.decode()


def test_servers_are_shown_as_they_answered_last_and_one_that_fails_waits_on_the_overview(
    viewer: Client, settings: Any, tmp_path: Path
) -> None:
    assert "MCP servers" not in viewer.get("/tools/").content.decode()
    keep(Listed("tickets", ["find"], gone=["list_<tags>"]), is_command=False)
    keep(Listed("browser", problem="It <cannot> be started."), is_command=True)
    page = viewer.get("/tools/").content.decode()
    assert "answers" in page and "No longer listed: list_&lt;tags&gt;" in page
    assert "cannot be asked" in page and "It &lt;cannot&gt; be started." in page
    assert "cannot be asked" not in viewer.get("/").content.decode(), "it may just be starting"
    ToolServer.objects.filter(name="browser").update(failing_since=timezone.now() - timedelta(minutes=3))
    assert "MCP server browser cannot be asked" in viewer.get("/").content.decode()
    settings.PASTE_MCP_SERVERS = tmp_path / "servers.json"
    settings.PASTE_MCP_SERVERS.write_text("{")
    for path in ("/", "/tools/"):
        assert "is no JSON." in viewer.get(path).content.decode()
