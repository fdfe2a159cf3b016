"""Alerts: what is judged is pure, what is measured comes from the ledger and from jobs."""

import math
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from speculation.alerts import Measured, judge, open_alerts, span_in_words
from speculation.models import AlertMetric, AlertThreshold, AuditEntry, Session, SessionFigures, ToolJob, ToolRecord
from tests.paste_web.stored_sessions import an_agent

HOURS = 24.0


def threshold(metric: str, side: str, value: float, **fields: Any) -> AlertThreshold:
    return AlertThreshold(metric=metric, side=side, value=value, **{"window_hours": HOURS, "least": 30, **fields})


def judged(one: AlertThreshold, value: float | None, count: int, *told: str) -> list[str]:
    key = (AlertMetric(one.metric), one.window_hours)
    return [str(alert) for alert in judge({key: Measured(value, count, *told)}, [one])]


def test_a_figure_beyond_its_threshold_is_said_with_what_it_is_of() -> None:
    low = threshold("precision", "below", 0.4)
    assert judged(low, 0.31, 212) == ["Precision 31 % is below 40 % (n 212, last 24 hours)"]
    assert judged(low, 0.4, 212) == []
    cost = threshold("interference", "above", 1.0, window_hours=168.0)
    assert judged(cost, 1.44, 50) == ["Interference a session 1.4 s is above 1.0 s (n 50, last 7 days)"]


def test_too_few_raise_no_alarm_however_bad_they_are() -> None:
    assert judged(threshold("failed", "above", 0.2), 1.0, 3) == []
    assert judged(threshold("failed", "above", 0.2, least=0), 1.0, 0) == [], "nothing was measured"
    assert judged(threshold("failed", "above", 0.2, least=3), 1.0, 3) != []


def test_what_is_switched_off_or_cannot_be_measured_raises_no_alarm() -> None:
    assert judged(threshold("precision", "below", 0.4, enabled=False), 0.1, 500) == []
    assert judged(threshold("precision", "below", 0.4), None, 500) == []
    assert judge({}, [threshold("precision", "below", 0.4)]) == []


@pytest.mark.parametrize(
    ("metric", "side", "limit", "value", "says"),
    [
        ("net_saved", "below", 0.0, -252.0, "Net saved \N{MINUS SIGN}4 min 12 s is below 0.0 s"),
        ("unknown", "above", 0.01, 0.014, "Share of calls with an unknown outcome 1.4 % is above 1.0 %"),
        ("holdout", "below", 0.01, 0.0, "Share of sessions in the holdout 0 % is below 1 %"),
        ("queue_wait", "above", 2.0, 2.0004, "Queue wait of real calls (95th percentile) 2.0004 s is above 2.0000 s"),
    ],
)
def test_both_numbers_have_the_digits_that_tell_them_apart(
    metric: str, side: str, limit: float, value: float, says: str
) -> None:
    assert judged(threshold(metric, side, limit), value, 100) == [f"{says} (n 100, last 24 hours)"]


def test_a_figure_without_a_number_says_its_own_words() -> None:
    told = judged(threshold("waste", "above", 5.0), math.inf, 40, "40.0 s of worker time wasted, and nothing saved")
    assert told == ["40.0 s of worker time wasted, and nothing saved (n 40, last 24 hours)"]


def test_what_fails_stands_before_what_costs() -> None:
    rules = [threshold("waste", "above", 1.0), threshold("precision", "below", 0.4), threshold("failed", "above", 0.1)]
    measured = {(AlertMetric(one.metric), HOURS): Measured(0.3 if one.metric != "waste" else 3.0, 100) for one in rules}
    assert [alert.metric for alert in judge(measured, rules)] == ["failed", "precision", "waste"]


@pytest.mark.parametrize(
    ("hours", "words"), [(1, "last hour"), (24, "last 24 hours"), (36.5, "last 36.5 hours"), (168, "last 7 days")]
)
def test_spans_are_said_in_words(hours: float, words: str) -> None:
    assert span_in_words(hours) == words


COUNTS = {"turns": 3, "calls": 5, "eligible_calls": 4, "launches": 4, "hits": 1, "wasted_runs": 3}
SECONDS = {
    "queued_seconds": 0.0, "decode_seconds": 8.0, "waited_seconds": 2.0, "net_saved_seconds": -1.0, "hidden_seconds": 0.0,
    "interference_seconds": 0.0, "would_hide_seconds": 0.0, "wasted_seconds": 6.0, "used_seconds": 1.0, "task_seconds": 10.0,
}  # fmt: skip


def book(
    count: int, *, ended_at: datetime | None = None, status: str = "succeeded", arm: str = "on", **figures: Any
) -> None:
    """So many ended sessions, an hour ago, with these figures in the ledger."""
    ended_at = ended_at or timezone.now() - timedelta(hours=1)
    fields = {"agent": an_agent(), "task": "t", "status": status, "arm": arm, "ended_at": ended_at}
    for session in Session.objects.bulk_create(Session(**fields) for _ in range(count)):
        SessionFigures.objects.create(session=session, last_seq=1, **{**COUNTS, **SECONDS, **figures})


def alarms() -> dict[str, str]:
    return {alert.metric: str(alert) for alert in open_alerts(timezone.now())}


@pytest.mark.django_db
def test_an_installation_that_has_done_nothing_has_no_alert() -> None:
    assert AlertThreshold.objects.filter(enabled=True).count() == len(AlertMetric)
    assert alarms() == {}


@pytest.mark.django_db
def test_alerts_come_from_the_ledger_of_their_own_hours() -> None:
    book(40, ended_at=timezone.now() - timedelta(hours=30))
    assert not {"net_saved", "precision", "waste"} & alarms().keys()
    book(30)
    book(15, status="failed", arm="off")
    told = alarms()
    assert told["net_saved"] == "Net saved \N{MINUS SIGN}30.0 s is below 0.0 s (n 30, last 24 hours)"
    assert told["precision"] == "Precision 25 % is below 30 % (n 120, last 24 hours)"
    assert told["waste"] == "3 min 00 s of worker time wasted, and nothing saved (n 30, last 24 hours)"
    assert told["failed"] == "Share of failed sessions 33 % is above 20 % (n 45, last 24 hours)"
    assert "holdout" not in told, "85 sessions are too few to say that the holdout is missing"


@pytest.mark.django_db
def test_an_estimate_that_the_holdout_contradicts_is_an_alert_and_resampled_once_only() -> None:
    for seconds in range(40):
        book(1, task_seconds=20.0 + seconds / 40, net_saved_seconds=15.0)
        book(1, arm="holdout", task_seconds=20.0 + seconds / 40)
    told = alarms()
    assert told["effect"].startswith("The estimate contradicts the measurement (estimated 42 % less time, measured ")
    assert "n 40, last 7 days" in told["effect"] and "holdout" not in told
    with CaptureQueriesContext(
        connection,
    ) as again:
        assert alarms() == told
    assert not [one for one in again.captured_queries if "ORDER BY" in one["sql"] and "task_seconds" in one["sql"]]
    assert len(again) <= 8


@pytest.mark.django_db
def test_lost_outcomes_and_a_missing_holdout_are_alerts() -> None:
    book(100)
    tool = ToolRecord.objects.create(name="get_order", effect="none")
    session, now = Session.objects.first(), timezone.now()
    ToolJob.objects.bulk_create(
        ToolJob(
            session=session, tool=tool, effect="none", epoch=0, fingerprint=str(number), call_id=f"1.{number}",
            status="failed" if number < 4 else "succeeded", started_at=now, ended_at=now,
        )
        for number in range(100)
    )  # fmt: skip
    told = alarms()
    assert told["unknown"] == "Share of calls with an unknown outcome 4 % is above 1 % (n 100, last 24 hours)"
    assert told["holdout"] == "Share of sessions in the holdout 0 % is below 1 % (n 100, last 7 days)"
    ToolJob.objects.filter(status="failed").update(started_at=None)
    assert "unknown" not in alarms(), "what was withdrawn before it began has an outcome: nothing happened"


@pytest.mark.django_db
def test_an_operator_sets_thresholds_in_the_admin_and_the_audit_has_it(client: Client) -> None:
    client.force_login(User.objects.create_superuser("chief"))
    row = AlertThreshold.objects.get(metric="precision")
    form = {
        "metric": "precision",
        "side": "below",
        "value": "0.2",
        "window_hours": "24",
        "least": "50",
        "enabled": "on",
    }
    path = reverse("admin:speculation_alertthreshold_change", args=[row.pk])
    assert client.post(path, form).status_code == 302
    entry = AuditEntry.objects.get()
    assert (entry.who, entry.before, entry.after) == ("chief", {"value": 0.3}, {"value": 0.2})
    for wrong in (
        {"value": "nan"},
        {"window_hours": "0"},
        {"window_hours": "721"},
        {"metric": "mood"},
        {"value": "1e300"},
    ):
        assert client.post(path, {**form, **wrong}).status_code == 200
    add = reverse("admin:speculation_alertthreshold_add")
    assert client.post(add, form).status_code == 200, "set once for one span"
    assert AuditEntry.objects.count() == 1


@pytest.mark.django_db
def test_the_database_refuses_a_threshold_that_nothing_can_be_held_against() -> None:
    for fields in ({"value": math.nan}, {"window_hours": 0.0}):
        with pytest.raises(IntegrityError), transaction.atomic():
            AlertThreshold.objects.create(**{"metric": "waste", "side": "below", "value": 1.0, **fields})
