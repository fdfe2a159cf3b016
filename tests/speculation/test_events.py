"""One event in a statement of its own: what it writes, whom it refuses, and how it stands in a race."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from speculation import events
from speculation.bells import bell
from speculation.models import Session, SessionStatus
from tests.speculation.conftest import Desk, Race

EACH = 25


def test_an_event_is_one_statement_and_one_step_of_the_log(session: Session) -> None:
    with CaptureQueriesContext(
        connection,
    ) as asked:
        seq = events.append(session.pk, "first_token", as_attempt=1, turn=3)
    session.refresh_from_db()
    written = session.events.get()
    assert (seq, written.seq, session.last_seq) == (1, 1, 1)
    assert (written.kind, written.payload) == ("first_token", {"turn": 3})
    assert len(asked) == 1, [one["sql"] for one in asked]


def test_an_event_of_an_attempt_that_has_moved_on_writes_nothing(session: Session) -> None:
    with pytest.raises(events.SessionLost, match=session.short_id):
        events.append(session.pk, "first_token", as_attempt=2, turn=1)
    session.refresh_from_db()
    assert session.last_seq == 0
    assert not session.events.exists()


@pytest.mark.parametrize("status", [SessionStatus.SUCCEEDED, SessionStatus.FAILED, SessionStatus.CANCELLED])
def test_an_attempt_writes_nothing_into_a_session_that_has_ended(session: Session, status: SessionStatus) -> None:
    Session.objects.filter(pk=session.pk).update(status=status, ended_at=Now())
    with pytest.raises(events.SessionLost):
        events.append(session.pk, "first_token", as_attempt=1, turn=1)
    assert not session.events.exists()
    assert events.append(session.pk, "user_said", text="nobody's attempt asks not to") == 1


@pytest.mark.django_db
def test_an_event_of_a_session_that_is_not_there_says_so() -> None:
    with pytest.raises(Session.DoesNotExist):
        events.append(uuid4(), "first_token", as_attempt=1, turn=1)


def test_the_bell_rings_once_the_event_is_committed_and_not_before(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[int] = []
    monkeypatch.setattr(bell, "ring", lambda _, seq: rung.append(seq))
    events.append(session.pk, "user_said", text="a")
    with transaction.atomic():
        events.append(session.pk, "user_said", text="b")
        assert rung == [1]
    with transaction.atomic():
        events.append(session.pk, "user_said", text="c")
        transaction.set_rollback(True)
    assert rung == [1, 2]
    session.refresh_from_db()
    assert session.last_seq == 2


def test_events_that_race_stand_in_the_log_without_gap_in_the_order_of_their_moments(desk: Desk, race: Race) -> None:
    """Two streams, and a third who adds two at a time under the lock."""
    pk = desk.session.pk

    def stream(text: str) -> Callable[[], list[int]]:
        return lambda: [events.append(pk, "user_said", as_attempt=1, text=text) for _ in range(EACH)]

    def in_pairs() -> list[int]:
        seqs = []
        for _ in range(EACH):
            with events.writing(pk, attempt=1) as log:
                seqs += [log.append("user_said", text="first"), log.append("user_said", text="second")]
        return seqs

    told = race.run(stream("a"), stream("b"), in_pairs)
    log = list(desk.session.events.order_by("seq"))
    assert sorted(seq for seqs in told for seq in seqs) == [event.seq for event in log] == list(range(1, 4 * EACH + 1))
    assert [event.at for event in log] == sorted(event.at for event in log)
    texts = [event.payload["text"] for event in log]
    assert all(texts[at + 1] == "second" for at, text in enumerate(texts) if text == "first"), "a pair is written whole"


def test_an_attempt_that_is_taken_over_while_it_waits_for_the_lock_writes_nothing(desk: Desk, race: Race) -> None:
    pk = desk.session.pk

    def taken_over() -> None:
        with events.writing(pk) as log:
            connection.cursor().execute("SELECT pg_sleep(0.2)")
            Session.objects.filter(pk=pk).update(attempt=2)
            log.append("session_resumed", attempt=2, owner="other")

    def streams() -> str:
        connection.cursor().execute("SELECT pg_sleep(0.1)")
        with pytest.raises(events.SessionLost):
            events.append(pk, "first_token", as_attempt=1, turn=1)
        return "refused"

    assert race.run(taken_over, streams)[1] == "refused"
    assert [kind for _, kind in desk.log()] == ["session_resumed"]
