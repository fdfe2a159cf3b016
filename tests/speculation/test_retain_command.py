"""What is deleted each night, and by the command."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from speculation import tasks
from speculation.models import AuditEntry, PatternRecord, Session
from speculation.retention import UNLEARNED
from tests.speculation.old_sessions import old_session


@pytest.fixture(autouse=True)
def no_worlds(settings: Any, tmp_path: Path) -> None:
    settings.PASTE_WORLDS = tmp_path / "worlds"
    settings.PASTE_WORLDS.mkdir()


def told(*arguments: str) -> str:
    out = StringIO()
    call_command("retain", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_the_daily_round_learns_first_and_then_deletes(transactional_db: None, settings: Any) -> None:
    old_session(mined_at=None, ended_at=timezone.now() - timedelta(days=95))
    settings.PASTE_RETENTION_DAYS = 0
    tasks.retain()
    assert Session.objects.exists() and not PatternRecord.objects.exists()
    settings.PASTE_RETENTION_DAYS = 90
    tasks.retain()
    assert not Session.objects.exists() and PatternRecord.objects.exists()


def test_the_command_says_what_would_go_deletes_it_and_knows_when_nothing_does(
    transactional_db: None, settings: Any
) -> None:
    old_session()
    old_session(mined_at=None, ended_at=timezone.now() - timedelta(days=95))
    dry = told("--dry-run")
    assert dry.startswith("Would be deleted: what ended before ") and "sessions      1\n" in dry
    assert f"1 session stays: {UNLEARNED}." in dry and Session.objects.count() == 2
    assert json.loads(told("--days", "101", "--format", "json"))["counts"]["sessions"] == 0
    document = json.loads(told("--format", "json"))
    assert (document["dry_run"], document["days"], document["counts"]["sessions"]) == (False, 90, 1)
    assert document["waiting"] == {UNLEARNED: 1} and document["problems"] == []
    assert AuditEntry.objects.get().who == "command line"
    settings.PASTE_RETENTION_DAYS = 0
    assert told().startswith("Deleted: only what has expired")


@pytest.mark.django_db
@pytest.mark.parametrize("days", [0, -1, 36_501])
def test_days_that_cannot_be_are_refused_in_one_line(days: int) -> None:
    old_session()
    with pytest.raises(CommandError, match=f"--days takes 1 to 36500, not {days}.") as refused:
        call_command("retain", days=days)
    assert refused.value.returncode == 2 and Session.objects.exists()
