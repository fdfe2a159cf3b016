"""The admin: every page answers, nothing that a module owns can be written there, and payloads stay hidden."""

import json
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from speculation.access import create_key
from speculation.models import (
    AgentProfile,
    AlertThreshold,
    ApiKey,
    Approval,
    AuditEntry,
    Breaker,
    BreakerOpening,
    EventRecord,
    IdempotencyRecord,
    ModelEndpoint,
    ModelSeat,
    PatternEdit,
    PatternRecord,
    RemoteCall,
    Session,
    ToolJob,
    ToolQuota,
    ToolRecord,
    WorkerPool,
)

SECRET = "the-payload-nobody-may-see"
admin.autodiscover()  # as urls.py does
OURS = [model for model in admin.site._registry if model._meta.app_label == "speculation"]
EDITABLE = {AgentProfile, AlertThreshold, Breaker, ModelEndpoint, WorkerPool, PatternRecord, ToolRecord}
NEVER_ADDED = {PatternRecord, ToolRecord}
SEARCHES = [
    "",
    "support",
    "0198f3c2",
    "%",
    "' OR 1=1",
    "\N{GRINNING FACE}",
    "x" * 500,
    "00000000-0000-0000-0000-000000000000",
]


@pytest.fixture
def rows(db: None) -> dict[type, Any]:
    """One row of every table."""
    agent = AgentProfile.objects.create(name="support")
    tool = ToolRecord.objects.create(name="get_order", definition_hash="a" * 64, definition={"name": "get_order"})
    agent.tools.add(tool)
    key, _text = create_key("ci", ["tasks:write"], who="tester")
    session = Session.objects.create(
        agent=agent, task="Refund it.", submitted_by=key, world={"root": SECRET}, labels={"a": "b"}
    )
    pool = WorkerPool.objects.get_or_create(name="tools")[0]
    pattern = PatternRecord.objects.create(
        agent=agent, key="k", context=["get_user:ok"], tool="get_order", mapping={"id": [["result(get_user).id", 3, 3]]}
    )
    endpoint = ModelEndpoint.objects.create(name="http://127.0.0.1:9/v1", most_requests=2)
    return {
        AgentProfile: agent,
        AlertThreshold: AlertThreshold.objects.create(metric="precision", side="above", value=0.99),
        ToolRecord: tool,
        ApiKey: key,
        Session: session,
        WorkerPool: pool,
        ModelEndpoint: endpoint,
        ModelSeat: ModelSeat.objects.create(
            session=session, endpoint=endpoint, attempt=1, usual_tool_seconds=1, model_seconds=1
        ),
        AuditEntry: AuditEntry.objects.get(),
        Breaker: Breaker.objects.create(kind="waste", scope="tool", tool=tool, limit=30),
        BreakerOpening: BreakerOpening.objects.create(
            kind="waste", scope="all", reason="too much", open_until=key.created_at
        ),
        ToolQuota: ToolQuota.objects.create(tool=tool, left=7),
        RemoteCall: RemoteCall.objects.create(session=session, tool="get_order", arguments={"id": SECRET}, said=SECRET),
        EventRecord: EventRecord.objects.create(session=session, seq=1, kind="user_said", at=key.created_at, payload={"text": SECRET}),
        ToolJob: ToolJob.objects.create(
            session=session, tool=tool, pool=pool, effect="none", epoch=0, fingerprint=SECRET,
            arguments={"id": SECRET}, result={"content": SECRET}, error=SECRET,
        ),
        Approval: Approval.objects.create(tool=tool, definition_hash="a" * 64, level="full", who="op1", why="reads"),
        IdempotencyRecord: IdempotencyRecord.objects.create(
            api_key=key, path="/api/v1/tasks", key="k", body_hash="b" * 64, response={"answer": SECRET}
        ),
        PatternRecord: pattern,
        PatternEdit: PatternEdit.objects.create(pattern=pattern, number=1, before={}, after={}, mined_version=1, who="op1"),
    }  # fmt: skip


@pytest.fixture
def chief(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("chief"))
    return client


@pytest.fixture
def onlooker(client: Client, db: None) -> Client:
    """May view every table, and no payload."""
    user = User.objects.create_user("onlooker", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_").exclude(codename="view_payloads"))
    client.force_login(user)
    return client


def url(page: str, model: type, *arguments: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


def test_every_table_has_an_admin_and_the_fixture_a_row_of_it(rows: dict[type, Any]) -> None:
    assert set(OURS) == set(rows)


@pytest.mark.parametrize("model", OURS)
def test_every_admin_page_of_a_table_answers(rows: dict[type, Any], chief: Client, model: type) -> None:
    row = rows[model]
    for text in SEARCHES:
        assert chief.get(url("changelist", model), {"q": text} if text else {}).status_code == 200
    assert chief.get(url("change", model, row.pk)).status_code == 200
    assert chief.get(url("history", model, row.pk)).status_code == 200
    may_add = model in EDITABLE - NEVER_ADDED
    assert chief.get(url("add", model)).status_code == (200 if may_add else 403)
    for each in admin.site._registry[model].get_list_filter(None):
        field = model._meta.get_field(each)
        value = getattr(row, field.attname)
        name = f"{each}__{field.target_field.name}__exact" if field.is_relation else f"{each}__exact"
        assert chief.get(url("changelist", model), {name: value}).status_code == 200


def test_the_other_admin_pages_answer(rows: dict[type, Any], chief: Client) -> None:
    paths = [reverse("admin:index"), reverse("admin:app_list", args=["speculation"]), reverse("admin:password_change")]
    paths += [url("changelist", User), url("add", User), url("change", User, User.objects.get().pk)]
    for path in paths:
        assert chief.get(path).status_code == 200, path


@pytest.mark.parametrize("model", [model for model in OURS if model not in EDITABLE])
def test_what_a_module_owns_cannot_be_written_in_the_admin(rows: dict[type, Any], chief: Client, model: type) -> None:
    row = rows[model]
    for path in (url("add", model), url("change", model, row.pk), url("delete", model, row.pk)):
        assert chief.post(path, {"post": "yes", "name": "other", "status": "succeeded"}).status_code == 403
    stored = model.objects.get(pk=row.pk)
    assert all(
        getattr(stored, field.attname) == getattr(row, field.attname)
        for field in model._meta.concrete_fields
        if field.name != "created_at"
    )


@pytest.mark.parametrize("model", OURS)
def test_payloads_need_a_permission_of_their_own(rows: dict[type, Any], onlooker: Client, model: type) -> None:
    pages = [url("changelist", model), url("change", model, rows[model].pk)]
    assert all(SECRET not in onlooker.get(page).content.decode() for page in pages)
    assert [each.get(url("changelist", model), {"q": SECRET}).status_code for each in [onlooker]] == [200]


@pytest.mark.parametrize("model", [EventRecord, ToolJob, IdempotencyRecord])
def test_who_may_read_payloads_sees_them(rows: dict[type, Any], chief: Client, model: type) -> None:
    assert SECRET in chief.get(url("change", model, rows[model].pk)).content.decode()


def test_a_key_is_never_shown_not_even_as_a_hash(rows: dict[type, Any], chief: Client) -> None:
    key = rows[ApiKey]
    for page in (url("changelist", ApiKey), url("change", ApiKey, key.pk)):
        assert key.key_hash not in chief.get(page).content.decode()


def test_keys_are_revoked_by_the_module_that_owns_them(rows: dict[type, Any], chief: Client) -> None:
    chief.post(url("changelist", ApiKey), {"action": "revoke", "_selected_action": [rows[ApiKey].pk]})
    assert ApiKey.objects.get().revoked_at is not None
    assert AuditEntry.objects.first().what.startswith("key revoked: ci")


def test_new_credentials_are_said_for_the_selected_tools(rows: dict[type, Any], chief: Client) -> None:
    tool = rows[ToolRecord]
    Session.objects.update(last_seq=1)  # the fixture has written one event
    chief.post(url("changelist", ToolRecord), {"action": "credentials_changed", "_selected_action": [tool.pk]})
    assert ToolRecord.objects.get(pk=tool.pk).policy_version == tool.policy_version + 1
    assert AuditEntry.objects.first().what.startswith("credentials changed")


def test_of_a_tool_only_its_price_is_written_by_the_module_that_owns_it(rows: dict[type, Any], chief: Client) -> None:
    tool = rows[ToolRecord]
    path = url("change", ToolRecord, tool.pk)
    posted = {"price_per_call": "0.0025", "why": "Its provider says so.", "name": "other", "enabled": "", "effect": "write"}
    assert chief.post(path, posted).status_code == 302
    stored = ToolRecord.objects.get(pk=tool.pk)
    assert str(stored.price_per_call) == "0.002500"
    others = [field.attname for field in ToolRecord._meta.concrete_fields if field.name != "price_per_call"]
    assert all(getattr(stored, name) == getattr(tool, name) for name in others)
    entry = AuditEntry.objects.first()
    assert (entry.what, entry.who, entry.why) == ("price changed: builtin/get_order", "chief", "Its provider says so.")
    for odd in ({"price_per_call": "-1"}, {"price_per_call": "NaN"}, {"price_per_call": "0.0000001"}, {"why": " "}):
        assert chief.post(path, {**posted, "price_per_call": "7", **odd}).status_code == 200, odd
    assert ToolRecord.objects.get(pk=tool.pk).price_per_call == stored.price_per_call
    for path in (url("add", ToolRecord), url("delete", ToolRecord, tool.pk)):
        assert chief.post(path, {**posted, "post": "yes"}).status_code == 403
    assert ToolRecord.objects.count() == 1


def test_whoever_may_not_change_tools_prices_none_in_the_admin(rows: dict[type, Any], onlooker: Client) -> None:
    path = url("change", ToolRecord, rows[ToolRecord].pk)
    assert onlooker.post(path, {"price_per_call": "7", "why": "because"}).status_code == 403
    assert ToolRecord.objects.get().price_per_call == 0 and 'name="why"' not in onlooker.get(path).content.decode()


def pattern_form(**fields: Any) -> dict[str, Any]:
    return {"enabled": "on", "probability_override": "", "mapping_override": "null", **fields}


def test_an_operator_overrides_a_pattern_and_the_audit_says_what_was(rows: dict[type, Any], chief: Client) -> None:
    pattern = rows[PatternRecord]
    override = {"id": [["result(get_user).orders[0]", 1, 1]]}
    form = pattern_form(probability_override="0.25", mapping_override=json.dumps(override), support="999", tool="other")
    assert chief.post(url("change", PatternRecord, pattern.pk), form).status_code == 302
    stored = PatternRecord.objects.get()
    assert (stored.probability_override, stored.mapping_override, stored.overridden_by) == (0.25, override, "chief")
    assert stored.overridden_at is not None and (stored.support, stored.tool) == (0.0, "get_order")
    entry = AuditEntry.objects.first()
    assert entry.who == "chief" and entry.before == {"probability_override": None, "mapping_override": None}
    assert entry.after == {"probability_override": 0.25, "mapping_override": override}
    newest = PatternEdit.objects.first()
    assert (newest.number, newest.who) == (2, "chief") and newest.after["mapping_override"] == override


def test_patterns_are_switched_off_and_on_in_bulk_and_the_form_leads_to_the_dry_run(
    rows: dict[type, Any], chief: Client
) -> None:
    pattern = rows[PatternRecord]
    chosen = {"_selected_action": [pattern.pk]}
    chief.post(url("changelist", PatternRecord), {"action": "disable", **chosen})
    assert not PatternRecord.objects.get().enabled
    chief.post(url("changelist", PatternRecord), {"action": "enable", **chosen})
    assert PatternRecord.objects.get().enabled and PatternEdit.objects.first().number == 3
    page = chief.get(url("change", PatternRecord, pattern.pk)).content.decode()
    assert f'href="/patterns/{pattern.pk}/#edit"' in page


def test_what_was_mined_meanwhile_survives_an_override(
    rows: dict[type, Any], chief: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern = rows[PatternRecord]
    read = PatternRecord.refresh_from_db

    def mine_meanwhile(form: Any) -> None:
        PatternRecord.objects.update(support=77, version=9)
        full_clean(form)

    form_class = admin.site._registry[PatternRecord].form
    full_clean = form_class.full_clean
    monkeypatch.setattr(form_class, "full_clean", mine_meanwhile)
    chief.post(url("change", PatternRecord, pattern.pk), pattern_form(probability_override="0.5"))
    read(pattern)
    assert (pattern.support, pattern.version, pattern.probability_override) == (77.0, 9, 0.5)


@pytest.mark.parametrize(
    "fields",
    [
        {"probability_override": "1.5"},
        {"probability_override": "nan"},
        {"mapping_override": "{"},
        {"mapping_override": "[]"},
        {"mapping_override": '{"id": "result(get_user).id"}'},
        {"mapping_override": '{"id": [["result(get_user).id", 1]]}'},
        {"mapping_override": '{"id": [["nonsense of nothing", 1, 1]]}'},
        {"mapping_override": '{"id": [["result(get_user).id", true, -1]]}'},
        {"mapping_override": '{"id": [["= \\"\\\\u0000\\"", 1, 1]]}'},
        {"mapping_override": '{"\\u0000": [["= 1", 1, 1]]}'},
        {"mapping_override": '{"\\ud800": [["= 1", 1, 1]]}'},
    ],
)
def test_an_override_that_the_engine_could_not_read_is_refused(
    rows: dict[type, Any], chief: Client, fields: dict[str, str]
) -> None:
    assert chief.post(url("change", PatternRecord, rows[PatternRecord].pk), pattern_form(**fields)).status_code == 200
    stored = PatternRecord.objects.get()
    assert stored.probability_override is None and stored.mapping_override is None and not stored.overridden_by


def test_a_changed_pool_is_audited_and_an_impossible_one_refused(rows: dict[type, Any], chief: Client) -> None:
    path = url("change", WorkerPool, "tools")
    assert chief.post(path, {"slots": 8, "reserved": 2, "throttle_percent": 0, "pause_reason": ""}).status_code == 302
    assert AuditEntry.objects.first().before == {"slots": 4, "reserved": 1}
    assert chief.post(path, {"slots": 1, "reserved": 2, "throttle_percent": 0, "pause_reason": ""}).status_code == 200
    assert WorkerPool.objects.get(name="tools").slots == 8


def test_a_changed_agent_is_audited_with_its_tools(rows: dict[type, Any], chief: Client) -> None:
    agent = rows[AgentProfile]
    page = chief.get(url("change", AgentProfile, agent.pk)).context["adminform"].form
    form = {name: value for name, value in page.initial.items() if isinstance(value, (str, int)) and name != "id"}
    assert chief.post(url("change", AgentProfile, agent.pk), {**form, "mode": "on", "tools": []}).status_code == 302
    entry = AuditEntry.objects.first()
    assert entry.before == {"mode": "shadow", "tools": ["builtin/get_order"]} and entry.after == {
        "mode": "on",
        "tools": [],
    }


def limits_form(**fields: Any) -> dict[str, Any]:
    return {"limit": 45, "window_seconds": 60, "reset_seconds": 300, "enabled": "on", "why": "its runs are long", **fields}


def test_limits_are_stored_by_the_module_that_owns_them(rows: dict[type, Any], chief: Client) -> None:
    path = url("change", Breaker, rows[Breaker].pk)
    assert chief.post(path, limits_form(kind="auth", scope="all")).status_code == 302
    stored = Breaker.objects.get(pk=rows[Breaker].pk)
    assert (stored.kind, stored.scope, stored.limit) == ("waste", "tool", 45)
    entry = AuditEntry.objects.first()
    assert entry.what == "limits changed: waste breaker of builtin/get_order" and entry.why == "its runs are long"
    assert (entry.before["limit"], entry.after["limit"]) == (30, 45)


def test_an_agent_is_given_limits_of_its_own(rows: dict[type, Any], chief: Client) -> None:
    own = limits_form(kind="errors", scope="agent", agent=rows[AgentProfile].pk, tool="", limit="0.25")
    assert chief.post(url("add", Breaker), own).status_code == 302
    assert Breaker.objects.get(kind="errors", agent=rows[AgentProfile]).limit == 0.25
    assert chief.post(url("add", Breaker), own).status_code == 200, "one row an agent"


@pytest.mark.parametrize(
    "fields", [{"why": " "}, {"limit": "0"}, {"limit": "nan"}, {"reset_seconds": "100000"}, {"scope": "all"}, {"kind": "pause"}]
)
def test_limits_that_cannot_be_are_refused(rows: dict[type, Any], chief: Client, fields: dict[str, str]) -> None:
    before, audited = Breaker.objects.count(), AuditEntry.objects.count()
    own = limits_form(**{"kind": "errors", "scope": "agent", "agent": rows[AgentProfile].pk, "limit": "0.25", **fields})
    assert chief.post(url("add", Breaker), own).status_code == 200
    assert (Breaker.objects.count(), AuditEntry.objects.count()) == (before, audited)


def test_a_pool_paused_in_the_admin_gives_up_its_guesses(rows: dict[type, Any], chief: Client) -> None:
    Session.objects.update(last_seq=1)  # the fixture wrote its event past the log
    form = {"slots": 8, "reserved": 2, "throttle_percent": 0, "is_paused": "on", "pause_reason": "an incident"}
    assert chief.post(url("change", WorkerPool, "tools"), form).status_code == 302
    assert ToolJob.objects.get().end_reason == "paused"
