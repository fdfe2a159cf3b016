"""The audit as it is read: kinds, filters, and the fields that differ."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from speculation import audit_log
from speculation.audit_log import AuditFilter, FieldChange, difference, exported, kind_of, tool_of
from speculation.models import AuditEntry

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def entry(what: str, hours: float = 0, **fields: Any) -> AuditEntry:
    return AuditEntry.objects.create(what=what, at=NOON + timedelta(hours=hours), **{"who": "op1", **fields})


def found(**narrowed: Any) -> list[str]:
    return [one.what for one in AuditFilter(**narrowed).entries()]


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("decided: builtin/get_order", "tool"),
        ("revoked: builtin/get_order", "tool"),
        ("switched off: builtin/get_order", "tool"),
        ("definition changed: builtin/get_order", "tool"),
        ("declared to read only: builtin/run_command", "tool"),
        ("canary rolled back: builtin/get_order", "tool"),
        ("price changed: builtin/get_order", "tool"),
        ("pattern record changed: get_user:ok => get_order", "pattern"),
        ("speculation paused: all speculation", "pause"),
        ("agent pause opened: agent support", "pause"),
        ("limits changed: waste breaker of every tool", "breaker"),
        ("waste breaker opened: builtin/get_order", "breaker"),
        ("key created: ci (paste_abc…)", "key"),
        ("key revoked: revoked: x (paste_abc…)", "key"),
        ("worker pool changed: tools", "setup"),
        ("agent profile changed: decided: x", "setup"),
        ("something new: of another kind", "other"),
        ("decided", "other"),
    ],
)
@pytest.mark.django_db
def test_an_entry_is_of_one_kind_in_the_list_and_in_the_filter(what: str, kind: str) -> None:
    entry(what)
    assert kind_of(what).name == kind
    assert found(kind=kind) == [what]
    assert [one for one in (*audit_log.KINDS, audit_log.OTHER) if found(kind=one.name)] == [kind_of(what)]


@pytest.mark.parametrize(
    ("what", "tool"),
    [
        ("decided: builtin/get_order", ("builtin", "get_order")),
        ("waste breaker opened: recorded.x/a/b", ("recorded.x", "a/b")),
        ("waste breaker opened: all speculation", None),
        ("agent pause opened: agent a/b", None),
        ("key created: a/b (paste_x…)", None),
        ("decided: builtin/", None),
        ("decided: builtin/two\nlines", None),
    ],
)
def test_the_tool_of_an_entry_is_told_from_its_words(what: str, tool: tuple[str, str] | None) -> None:
    assert tool_of(what) == tool


def test_a_difference_opens_objects_and_leaves_out_what_stayed() -> None:
    before = {"level": "shadow", "rule": None, "definition": {"name": "x", "parameters": {"required": ["a"]}}}
    after = {
        "level": "full",
        "rule": {"maxLength": 3},
        "definition": {"name": "x", "parameters": {"required": ["a", "b"]}},
    }
    told = difference(before, after)
    assert told.changes == [
        FieldChange("level", "shadow", "full"),
        FieldChange("definition.parameters.required", "a", "a, b"),
        FieldChange("rule.maxLength", "–", "3"),
    ]
    assert [field.name for field in told.unchanged] == ["definition.name"]


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        (None, None, []),
        (None, {"enabled": True}, [("enabled", "–", "yes")]),
        ({"enabled": True}, {"enabled": False}, [("enabled", "yes", "no")]),
        ({"n": 1}, {"n": True}, [("n", "1", "yes")]),
        ({"text": ""}, {"text": "a"}, [("text", "–", "a")]),
        ({}, {"rule": {}}, [("rule", "–", "{}")]),
        ({"until": None}, {"until": "2026-11-22T14:02:07.412+00:00"}, [("until", "–", "2026-11-22 14:02:07 UTC")]),
        ({"n": [1]}, {"n": []}, [("n", "[1]", "[]")]),
        ("a", ["b"], [("value", "a", "b")]),
    ],
)
def test_a_difference_of_odd_values(before: Any, after: Any, changes: list[tuple[str, str, str]]) -> None:
    assert [(one.name, one.before, one.after) for one in difference(before, after).changes] == changes


@pytest.mark.django_db
def test_filters_narrow_and_go_together() -> None:
    entry("decided: builtin/a", hours=-40, why="It only reads.", after={"argument_rule": {"maxLength": 77}})
    entry("decided: builtin/b", hours=-13, who="op2")
    entry("speculation paused: all speculation", hours=11.9)
    assert found() == ["speculation paused: all speculation", "decided: builtin/b", "decided: builtin/a"]
    assert found(who="op2") == ["decided: builtin/b"]
    assert found(text="ONLY reads") == found(text='maxlength": 77') == ["decided: builtin/a"]
    assert found(text="100 %") == []
    assert found(since=date(2026, 11, 22)) == ["speculation paused: all speculation"]
    assert found(until=date(2026, 11, 21)) == ["decided: builtin/b", "decided: builtin/a"]
    assert found(since=date(2026, 11, 21), until=date(2026, 11, 21), kind="tool") == ["decided: builtin/b"]
    assert found(kind="no such kind") == []


@pytest.mark.django_db
def test_the_export_reads_on_where_it_ended_also_among_equal_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "ENTRIES_A_READ", 2)
    ids = [
        entry(f"decided: builtin/t{number}", hours=number // 3, before=None, after={"n": number}).pk
        for number in range(7)
    ]
    rows = list(exported(AuditFilter()))
    assert [int(row[0]) for row in rows] == ids[::-1]
    assert rows[-1][1:4] == ("2026-11-22T12:00:00.000Z", "tool", "op1")
    assert (rows[-1][6], json.loads(rows[-1][7])) == ("", {"n": 0})
