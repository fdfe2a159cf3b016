"""Sessions in the database whose logs were written by hand."""

from typing import Any

from django.contrib.auth.models import Permission, User

from speculation.bells import bell
from speculation.models import AgentProfile, EventRecord, Session
from tests.speculation.written_log import WrittenLog


def an_agent(name: str = "support", **fields: Any) -> AgentProfile:
    return AgentProfile.objects.get_or_create(name=name, defaults={"model_kind": "openai", "model": "small", **fields})[0]


def store(log: WrittenLog, *, task: str = "Refund the duplicate of order W2378156.", **fields: Any) -> Session:
    """A session with this log, in the state that the log leaves it in."""
    session = Session.objects.create(agent=fields.pop("agent", None) or an_agent(), task=task, **{"status": "running", **fields})
    append(session, log)
    return session


def append(session: Session, log: WrittenLog) -> None:
    """Add entries to a session's log (their own seq), and ring the bell as the product does."""
    records = [EventRecord(session=session, seq=e.seq, kind=e.kind, at=e.at, payload=e.payload) for e in log]
    EventRecord.objects.bulk_create(records)
    fields: dict[str, Any] = {"last_seq": log[-1].seq}
    for entry in log:
        if entry.kind == "session_started":
            fields["started_at"] = entry.at
        if entry.kind == "session_ended":
            fields |= {"ended_at": entry.at, "status": entry.payload["status"], "answer": entry.payload["answer"]}
    Session.objects.filter(pk=session.pk).update(**fields)
    session.refresh_from_db()


def ring(session: Session) -> None:
    bell.ring(session.pk, session.last_seq)


def a_user(name: str = "op1", *permissions: str, **fields: Any) -> User:
    """Signed in by `force_login` or a cookie: hashing a password would take half a second a test."""
    user = User.objects.create_user(name, **fields)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user
