"""A session's world: made once, by whoever owns the session then, and by nobody who has lost it."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from speculation import events, worlds
from speculation.events import SessionLost
from speculation.models import AgentProfile, Session
from tests.speculation.conftest import Race


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.PASTE_WORLDS = tmp_path / "worlds"
    return tmp_path / "worlds"


@pytest.fixture
def of_support(session: Session, agent: AgentProfile) -> Session:
    AgentProfile.objects.filter(pk=agent.pk).update(world="support")
    return read(session)


def read(session: Session) -> Session:
    """As a worker reads the session that it has claimed."""
    return Session.objects.select_related("agent").get(pk=session.pk)


def hand_over(session: Session) -> Session:
    """To another worker: the attempt moves on."""
    Session.objects.filter(pk=session.pk).update(attempt=session.attempt + 1)
    return read(session)


def refunds(session: Session, change: str = "") -> list[Any]:
    with connection.cursor() as cursor:
        if change:
            cursor.execute(f"UPDATE {session.world['schema']}.refunds SET status = %s", [change])
        cursor.execute(f"SELECT DISTINCT status FROM {session.world['schema']}.refunds")
        return [status for (status,) in cursor.fetchall()]


def test_a_worker_that_wakes_up_late_leaves_the_world_of_its_successor_alone(of_support: Session) -> None:
    late, now = of_support, hand_over(of_support)
    worlds.prepare(now)
    root = Path(now.world["root"])
    (root / "written.txt").write_text("by the successor")
    assert refunds(now, "settled") == ["settled"]
    with pytest.raises(SessionLost):
        worlds.prepare(late)
    assert refunds(now) == ["settled"], "its records are as the successor left them"
    assert (root / "written.txt").read_text() == "by the successor"
    assert read(now).world == now.world


def test_a_world_that_was_made_is_not_made_again_by_the_next_owner(of_support: Session) -> None:
    worlds.prepare(of_support)
    assert refunds(of_support, "settled") == ["settled"]
    now = hand_over(of_support)
    worlds.prepare(now)
    assert refunds(now) == ["settled"] and now.world == of_support.world


def test_nobody_takes_a_session_over_while_its_world_is_made(of_support: Session, race: Race) -> None:
    def take_over() -> str:
        with events.writing(of_support.pk) as log:
            log.session.attempt += 1
            Session.objects.filter(pk=of_support.pk).update(attempt=log.session.attempt)
            return str(read(of_support).world.get("schema", ""))

    def make() -> str:
        try:
            worlds.prepare(of_support)
        except SessionLost:
            return ""
        return str(of_support.world["schema"])

    made, seen = race.run(make, take_over)
    assert seen in (made, ""), "the next owner sees a whole world or none"
    now = read(of_support)
    assert now.world.get("schema", "") == made
    worlds.prepare(now)
    assert refunds(now)
