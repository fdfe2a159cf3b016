"""What is older than it is to be kept is really gone; what is not, or cannot go yet, stays."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session as SignIn
from django.db import connection
from django.utils import timezone

from paste_web.api import idempotency
from speculation import ledger, retention
from speculation.access import create_key
from speculation.models import (
    AuditEntry,
    BreakerOpening,
    EventRecord,
    IdempotencyRecord,
    PatternRecord,
    Session,
    SessionFigures,
    ToolFigures,
    ToolRecord,
    WorkerPool,
)
from speculation.retention import PAIRED, RUNNING, UNLEARNED, Tally, retain
from tests.paste_web.stored_sessions import an_agent, store
from tests.speculation.conftest import Race
from tests.speculation.old_sessions import (
    LONG_AGO,
    MARKER,
    add_job,
    give_world,
    held_elsewhere,
    ninety_days_ago,
    old_session,
    where_marker_stands,
)
from tests.speculation.written_log import WrittenLog


@pytest.fixture(autouse=True)
def no_worlds(settings: Any, tmp_path: Path) -> None:
    settings.PASTE_WORLDS = tmp_path / "worlds"
    settings.PASTE_WORLDS.mkdir()


@pytest.fixture
def tool(db: None) -> ToolRecord:
    return ToolRecord.objects.create(name="get_order", effect="none")


def test_nothing_of_an_old_session_is_left_in_any_table_or_folder(transactional_db: None, tool: ToolRecord) -> None:
    session = old_session(answer=MARKER, error=MARKER)
    session.agent.tools.add(tool)
    served = add_job(session, tool)
    add_job(session, tool, call_id=None, transformed=True, verifies=served)
    give_world(session)
    ledger.book_ended()
    key, _ = create_key("ci", ["tasks:write"], who="tester")
    IdempotencyRecord.objects.create(
        api_key=key, path="/", key="k", body_hash="b", response={"task": MARKER}, created_at=timezone.now() - timedelta(hours=25)
    )  # fmt: skip
    pattern = PatternRecord.objects.create(agent=session.agent, key="k", tool="get_order")
    tables = {"session", "eventrecord", "tooljob", "idempotencyrecord"}
    assert where_marker_stands() == {f"speculation_{name}" for name in tables} | {"letters", "a file"}

    tally = retain(ninety_days_ago())

    assert where_marker_stands() == set()
    assert not Session.objects.exists() and not SessionFigures.objects.exists() and not ToolFigures.objects.exists()
    assert list(settings.PASTE_WORLDS.iterdir()) == []
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_namespace WHERE nspname = %s", [session.world["schema"]])
        assert cursor.fetchone() == (0,)
    counts = {kind: count for kind, count in tally.counts.items() if count}
    assert counts.pop("bytes") >= len(MARKER)
    assert counts == {
        "sessions": 1, "events": 12, "jobs": 2, "figures": 2, "world folders": 1, "world schemas": 1, "idempotency records": 1,
    }  # fmt: skip
    assert PatternRecord.objects.get() == pattern and ToolRecord.objects.get() == tool
    entry = AuditEntry.objects.first()
    assert entry.who == "retention" and entry.after["sessions"] == 1 and MARKER not in str(entry.after)


def test_a_dry_run_foretells_exactly_what_is_deleted_and_deletes_nothing(
    transactional_db: None, tool: ToolRecord
) -> None:
    for number in range(3):
        session = old_session()
        add_job(session, tool)
        if number:
            give_world(session)
    SignIn.objects.create(session_key="gone", expire_date=timezone.now() - timedelta(days=1))
    ledger.book_ended()
    before = where_marker_stands()
    foretold = retain(ninety_days_ago(), is_dry_run=True)
    assert where_marker_stands() == before and SignIn.objects.exists() and not AuditEntry.objects.exists()
    deleted = retain(ninety_days_ago())
    assert +foretold.counts == +deleted.counts
    assert (deleted.counts["sessions"], deleted.counts["world folders"], deleted.counts["sign-ins"]) == (3, 2, 1)
    assert +retain(ninety_days_ago()).counts == {}


@pytest.mark.django_db
def test_what_is_young_or_has_not_ended_is_never_touched() -> None:
    running = store(WrittenLog().started(), created_at=timezone.now() - LONG_AGO)
    young = old_session(ended_at=timezone.now() - timedelta(days=89))
    old_session()
    retain(ninety_days_ago())
    assert set(Session.objects.all()) == {running, young}
    assert EventRecord.objects.filter(session=running).count() == 3


@pytest.mark.django_db
def test_sessions_that_something_waits_for_stay_and_it_is_said_why(tool: ToolRecord) -> None:
    unlearned = old_session(mined_at=None, ended_at=timezone.now() - timedelta(days=96))
    old_session(mined_at=None, ended_at=timezone.now() - timedelta(days=98))
    paired = old_session()
    Session.objects.create(agent=paired.agent, task="again", pair=paired)
    held = old_session()
    add_job(held, tool, call_id=None, status="preempted", ended_at=None)
    replayed = old_session(mined_at=None, origin="replay")
    lone_demo = old_session(mined_at=None, origin="demo")
    tally = retain(ninety_days_ago())
    assert tally.waiting == {UNLEARNED: 1, PAIRED: 1, RUNNING: 1}
    left = set(Session.objects.filter(ended_at__isnull=False))
    assert left == {unlearned, paired, held} and not left & {replayed, lone_demo}


@pytest.mark.django_db
def test_the_other_half_of_a_pair_stays_without_it() -> None:
    first, second = old_session(), old_session(ended_at=timezone.now())
    Session.objects.filter(pk=first.pk).update(pair=second)
    Session.objects.filter(pk=second.pk).update(pair=first)
    retain(ninety_days_ago())
    assert Session.objects.get() == second and Session.objects.get().pair is None


def test_it_waits_for_no_lock_that_a_running_session_holds(
    transactional_db: None, tool: ToolRecord, database_url: str
) -> None:
    pool = WorkerPool.objects.get_or_create(name="tools")[0]
    running = store(WrittenLog().started())
    add_job(running, tool, pool=pool, status="running", ended_at=None, lease_until=timezone.now())
    for _ in range(2):
        add_job(old_session(), tool, pool=pool)
    tables = (
        "session WHERE ended_at IS NULL",
        "tooljob WHERE status = 'running'",
        "toolrecord",
        "workerpool",
        "agentprofile",
    )
    with held_elsewhere(database_url, *(f"SELECT 1 FROM speculation_{table} FOR NO KEY UPDATE" for table in tables)):
        tally = retain(ninety_days_ago())
    assert tally.counts["sessions"] == 2 and tally.problems == []
    assert Session.objects.get() == running


def test_two_at_once_delete_each_session_once(transactional_db: None, tool: ToolRecord, race: Race) -> None:
    made = [old_session() for _ in range(12)]
    for one, other in zip(made[::2], made[1::2], strict=True):
        Session.objects.filter(pk=one.pk).update(pair=other)
        Session.objects.filter(pk=other.pk).update(pair=one)
        add_job(one, tool)
    for session in made[:4]:
        give_world(session)
    tallies: list[Tally] = race.run(*(lambda: retain(ninety_days_ago()) for _ in range(3)))
    assert [tally.problems for tally in tallies] == [[], [], []]
    assert sum(tally.counts["sessions"] for tally in tallies) == 12
    assert sum(tally.counts["jobs"] for tally in tallies) == 6
    assert sum(tally.counts["world schemas"] for tally in tallies) == 4
    assert where_marker_stands() == set()


@pytest.mark.django_db
def test_what_has_expired_goes_and_what_is_open_or_audited_stays() -> None:
    key, _ = create_key("ci", ["tasks:write"], who="tester")
    now = timezone.now()
    for name, age in (("old", 25), ("new", 23)):
        at = now - timedelta(hours=age)
        IdempotencyRecord.objects.create(api_key=key, path="/", key=name, body_hash="b", created_at=at)
        SignIn.objects.create(session_key=name, expire_date=now - timedelta(hours=24 * (age - 24)))
    openings = {
        "closed long ago": {"open_until": now, "closed_at": now - LONG_AGO},
        "over long ago": {"open_until": now - LONG_AGO},
        "closed lately": {"open_until": now, "closed_at": now},
        "paused long ago": {"kind": "pause", "opened_at": now - LONG_AGO},
    }
    for reason, fields in openings.items():
        agent = an_agent(reason.replace(" ", "-"))
        BreakerOpening.objects.create(scope="agent", agent=agent, reason=reason, **{"kind": "waste", **fields})
    assert retain(None).counts == {"idempotency records": 1, "sign-ins": 1}, "kept for ever, but for what has expired"
    assert retain(ninety_days_ago()).counts["breaker openings"] == 2
    assert set(BreakerOpening.objects.values_list("reason", flat=True)) == {"closed lately", "paused long ago"}
    assert IdempotencyRecord.objects.get().key == SignIn.objects.get().session_key == "new"
    assert AuditEntry.objects.filter(what__startswith="key created").exists()
    assert retention.IDEMPOTENCY_KEPT == idempotency.KEPT
