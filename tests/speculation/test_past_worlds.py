"""Worlds go with their sessions, those of sessions that are gone go as well, and nothing else does."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from speculation import past_worlds
from speculation.models import Session
from speculation.retention import retain
from tests.paste_web.stored_sessions import an_agent
from tests.speculation.old_sessions import (
    LONG_AGO,
    give_world,
    held_elsewhere,
    ninety_days_ago,
    old_session,
    where_marker_stands,
)


@pytest.fixture(autouse=True)
def no_worlds(settings: Any, tmp_path: Path) -> None:
    settings.PASTE_WORLDS = tmp_path / "worlds"
    settings.PASTE_WORLDS.mkdir()


def test_a_schema_that_somebody_reads_is_told_and_goes_the_next_time(
    transactional_db: None, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past_worlds, "LOCK_SECONDS", 0.1)
    stuck, _free = old_session(), old_session()
    give_world(stuck)
    with held_elsewhere(database_url, f"SELECT * FROM {past_worlds.schema_of(stuck.pk)}.letters"):
        tally = retain(ninety_days_ago())
        assert tally.problems == [f"session {stuck.pk}: somebody holds on to its schema"]
        assert Session.objects.get() == stuck
    assert retain(ninety_days_ago()).counts["sessions"] == 1
    assert where_marker_stands() == set()


@pytest.mark.django_db
def test_a_folder_that_cannot_be_removed_keeps_its_session_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    session, other = old_session(), old_session()
    past_worlds.folder_of(session.pk).mkdir()

    def refuse(folder: Path, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(past_worlds.shutil, "rmtree", refuse)
    tally = retain(ninety_days_ago())
    assert tally.problems == [f"session {session.pk}: Permission denied"] and tally.counts["sessions"] == 1
    assert Session.objects.get() == session and other != session


def test_folders_that_a_tool_closed_are_removed_and_no_link_is_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "kept").mkdir(parents=True)
    outside.chmod(0o750)
    folder = tmp_path / "world"
    (folder / "closed" / "inner").mkdir(parents=True)
    (folder / "closed" / "inner" / "file").write_text("x" * 100)
    (folder / "link").symlink_to(outside)
    (folder / "closed").chmod(0o000)
    past_worlds._open_up(folder)
    assert past_worlds.bytes_in(folder) >= 100, "opened"
    (folder / "closed").chmod(0o000)
    assert past_worlds.remove_folder(folder) and not folder.exists()
    assert not past_worlds.remove_folder(folder)
    assert (outside / "kept").exists() and outside.stat().st_mode & 0o777 == 0o750


def drawn_at(moment: datetime) -> UUID:
    """An id of that time (UUIDv7)."""
    return UUID(int=(int(moment.timestamp() * 1000) << 80) | (7 << 76) | (2 << 62) | (uuid4().int & (1 << 62) - 1))


def test_worlds_of_sessions_that_are_gone_go_once_they_are_old(transactional_db: None) -> None:
    old, young = drawn_at(timezone.now() - LONG_AGO), drawn_at(timezone.now() - timedelta(days=1))
    there = Session.objects.create(id=drawn_at(timezone.now() - LONG_AGO), agent=an_agent(), task="runs still")
    root = settings.PASTE_WORLDS
    nanoseconds = {
        name: int((timezone.now() - age).timestamp() * 1e9)
        for name, age in {"old": LONG_AGO, "new": timedelta(1)}.items()
    }
    names = [old.hex, young.hex, there.pk.hex, uuid4().hex, "someones-notes"]
    names += [
        f"replay/{nanoseconds['old']}/0-agent-on",
        f"replay/{nanoseconds['new']}",
        f"benchmark/{nanoseconds['old']}",
    ]
    for name in names:
        (root / name).mkdir(parents=True)
    Session.objects.create(
        agent=an_agent(), task="t", world={"root": str(root / f"benchmark/{nanoseconds['old']}" / "0")}
    )
    with connection.cursor() as cursor:
        for each in (old, young, there.pk):
            cursor.execute(f"CREATE SCHEMA {past_worlds.schema_of(each)}")
        try:
            foretold = retain(ninety_days_ago(), is_dry_run=True)
            tally = retain(ninety_days_ago())
            assert +foretold.counts == +tally.counts == {"world folders": 2, "world schemas": 1}
            assert [past_worlds.has_schema(each) for each in (old, young, there.pk)] == [False, True, True]
        finally:
            for each in (young, there.pk):
                cursor.execute(f"DROP SCHEMA {past_worlds.schema_of(each)}")
    left = {str(path.relative_to(root)) for path in root.rglob("*")} - {"replay", "benchmark"}
    assert left == {*names[1:5], f"replay/{nanoseconds['new']}", f"benchmark/{nanoseconds['old']}"}
