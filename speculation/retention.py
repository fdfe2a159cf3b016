"""Deletes what is older than the days an operator keeps: ended sessions with everything of theirs.

A session goes in a transaction of its own with its log, jobs, figures, seat and schema; its folder goes right before. So a
run that is cut off is simply gone on with, and two at once do each other no harm: one session is deleted at a time, and
what another has deleted is passed over. Nothing of a session that has not ended is locked or touched.

Its figures in the ledger go with it: a sum with a part that nobody can look up any more would be nobody's number. Pages
reach back 30 days at most. What was learned stays, and so does the audit.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from django.contrib.sessions.models import Session as SignIn
from django.db import OperationalError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, Now
from psycopg.errors import LockNotAvailable

from speculation import learning, past_worlds
from speculation.models import (
    AgentProfile,
    AuditEntry,
    BreakerOpening,
    EventRecord,
    IdempotencyRecord,
    JobStatus,
    Session,
    SessionFigures,
    ToolFigures,
    ToolJob,
)
from speculation.turnstiles import Turnstile, go_through

logger = logging.getLogger(__name__)

SESSIONS_AT_A_TIME = 100
ROWS_AT_A_TIME = 1000
IDEMPOTENCY_KEPT = timedelta(hours=24)
KINDS = (
    "sessions", "events", "jobs", "figures", "world folders", "world schemas", "idempotency records", "breaker openings",
    "sign-ins", "other rows",
)  # fmt: skip
"""What is counted, in the order in which it is told."""
_OF_A_SESSION = (
    (EventRecord, "events"), (ToolJob, "jobs"), (SessionFigures, "figures"), (ToolFigures, "figures"),
)  # fmt: skip
_KIND_OF = {"speculation.Session": "sessions", **{model._meta.label: kind for model, kind in _OF_A_SESSION}}
LEARNING_GRACE = timedelta(days=7)
"""Sessions that nobody has learned from wait for the miner so much longer, and not for ever: what is to go must go."""
UNLEARNED = "nobody has learned from them yet (`python manage.py mine` does; after 7 more days they go all the same)"
PAIRED = "a session paired with them has not ended"
RUNNING = "a run of theirs has not let go"
BYTES = "bytes"


@dataclass
class Tally:
    """What was deleted, or would be: rows, folders and schemas by KINDS, and the bytes of the folders' files.

    `waiting`: reason to how many sessions that are old enough stay nevertheless. `problems`: what could not be deleted.
    """

    counts: Counter[str] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @property
    def folder_bytes(self) -> int:
        return self.counts[BYTES]

    def as_json(self) -> dict[str, Any]:
        return {
            "counts": {kind: self.counts[kind] for kind in KINDS},
            "folder_bytes": self.folder_bytes,
            "waiting": dict(self.waiting),
            "problems": self.problems,
        }


def retain(
    before: datetime | None,
    *,
    who: str = "retention",
    is_dry_run: bool = False,
    on_progress: Callable[[int], None] = lambda sessions: None,
) -> Tally:
    """Delete what ended before that moment, and what has expired anyway. None: sessions are kept for ever."""
    tally = Tally()
    if before is not None:
        for agent in AgentProfile.objects.order_by("pk"):
            _of_agent(agent, before, is_dry_run, tally, on_progress)
        _abandoned_worlds(before, is_dry_run, tally)
    for kind, rows in _expired(before).items():
        tally.counts[kind] += rows.count() if is_dry_run else _clear(rows)
    if not is_dry_run and before is not None:
        _audit(who, before, tally)
    return tally


def retain_and_tell(before: datetime | None) -> Tally:
    """The daily round: learn from what only waits for that, delete, and say in the log what came of it."""
    if before is not None:
        learn_first(before)
    tally = retain(before)
    if tally.counts["sessions"] or tally.waiting:
        stay = "; ".join(f"{count} stay: {reason}" for reason, count in tally.waiting.items())
        logger.info("%d old sessions deleted%s", tally.counts["sessions"], f"; {stay}" if stay else "")
    for problem in tally.problems:
        logger.warning("could not delete %s", problem)
    return tally


def learn_first(before: datetime) -> None:
    """Learn from the sessions that only wait for that. Of an agent whose mining fails they wait until LEARNING_GRACE is over."""
    for agent in AgentProfile.objects.order_by("pk"):
        if learning.unmined(agent).filter(ended_at__lt=before).exists():
            try:
                learning.mine(agent)
            except Exception:
                logger.exception("could not learn from old sessions of %s; they are kept some days longer", agent)


def due(agent: AgentProfile, before: datetime) -> QuerySet[Session]:
    """The agent's sessions that may go: ended before, and nothing waits for them."""
    rows = _old(agent, before)
    for condition in _waits(agent, before).values():
        rows = rows.exclude(condition)
    return rows


def _old(agent: AgentProfile, before: datetime) -> QuerySet[Session]:
    return Session.objects.filter(agent=agent, ended_at__lt=before)


def _waits(agent: AgentProfile, before: datetime) -> dict[str, Q]:
    """Why a session stays. Deleting one half of a pair writes to the other, which must not be one that runs."""
    paired = Session.objects.filter(pair=OuterRef("pk"), ended_at=None)
    is_held = Q(status__in=[JobStatus.QUEUED, JobStatus.RUNNING]) | Q(status=JobStatus.PREEMPTED, ended_at=None)
    return {
        UNLEARNED: Q(pk__in=learning.unmined(agent).order_by().values("pk"), ended_at__gte=before - LEARNING_GRACE),
        PAIRED: Q(Exists(paired)),
        RUNNING: Q(Exists(ToolJob.objects.filter(is_held, session=OuterRef("pk")))),
    }


def _in_batches(rows: QuerySet[Session]) -> Iterator[UUID]:
    """Each once, whatever becomes of it."""
    last = UUID(int=0)
    while batch := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:SESSIONS_AT_A_TIME]):
        yield from batch
        last = batch[-1]


def _of_agent(
    agent: AgentProfile, before: datetime, is_dry_run: bool, tally: Tally, on_progress: Callable[[int], None]
) -> None:
    for session_id in _in_batches(due(agent, before)):
        act = partial(_foresee, session_id) if is_dry_run else partial(_delete, agent, session_id, before)
        _attempt(f"session {session_id}", act, tally)
        on_progress(tally.counts["sessions"])
    for reason, condition in _waits(agent, before).items():
        if count := _old(agent, before).filter(condition).count():
            tally.waiting[reason] += count


def _attempt(what: str, act: Callable[[], Mapping[str, int]], tally: Tally) -> None:
    """Count what it deleted. What cannot be deleted is told, and does not keep the others."""
    try:
        tally.counts.update(act())
    except OSError as problem:
        tally.problems.append(f"{what}: {problem.strerror or type(problem).__name__}")
    except OperationalError as problem:
        if not isinstance(problem.__cause__, LockNotAvailable):
            raise
        tally.problems.append(f"{what}: somebody holds on to its schema")


def _foresee(session_id: UUID) -> Mapping[str, int]:
    found: Counter[str] = Counter()
    for model, kind in _OF_A_SESSION:
        found[kind] += model._base_manager.filter(session=session_id).count()
    found += Counter({"sessions": 1, "world schemas": int(past_worlds.has_schema(session_id))})
    return found + _foresee_folder(past_worlds.folder_of(session_id))


def _delete(agent: AgentProfile, session_id: UUID, before: datetime) -> Mapping[str, int]:
    """The folder first, so that what has no row any more has nothing else either."""
    counts = _delete_folder(past_worlds.folder_of(session_id))
    with transaction.atomic():
        go_through(Turnstile.RETAIN)  # two that delete the halves of a pair would each wait for the other's row
        mine = due(agent, before).select_for_update(skip_locked=True, of=("self",)).filter(pk=session_id)
        if not list(mine.values_list("pk")):
            return counts  # another has deleted it, or reads it for the ledger at this moment
        counts["world schemas"] += past_worlds.drop_schema(session_id)
        _, rows = Session.objects.filter(pk=session_id).delete()
    for label, count in rows.items():
        counts[_KIND_OF.get(label, "other rows")] += count
    return counts


def _foresee_folder(folder: Path) -> Counter[str]:
    return Counter({"world folders": int(folder.exists()), BYTES: past_worlds.bytes_in(folder)})


def _delete_folder(folder: Path) -> Counter[str]:
    foreseen = _foresee_folder(folder)
    return foreseen if past_worlds.remove_folder(folder) else Counter()


def _delete_schema(session_id: UUID) -> Counter[str]:
    with transaction.atomic():
        return Counter({"world schemas": int(past_worlds.drop_schema(session_id))})


def _abandoned_worlds(before: datetime, is_dry_run: bool, tally: Tally) -> None:
    """Those of sessions that are no longer there, whatever removed them."""
    for folder in past_worlds.abandoned_folders(before):
        _attempt(f"folder {folder.name}", partial(_foresee_folder if is_dry_run else _delete_folder, folder), tally)
    for session_id in past_worlds.abandoned_schemas(before):
        act = partial(Counter, {"world schemas": 1}) if is_dry_run else partial(_delete_schema, session_id)
        _attempt(f"schema {past_worlds.schema_of(session_id)}", act, tally)


def _expired(before: datetime | None) -> dict[str, QuerySet[Any]]:
    """Rows that belong to no session, by KINDS."""
    rows: dict[str, QuerySet[Any]] = {
        "idempotency records": IdempotencyRecord.objects.filter(created_at__lt=Now() - IDEMPOTENCY_KEPT),
        "sign-ins": SignIn.objects.filter(expire_date__lt=Now()),
    }
    if before is not None:
        over = BreakerOpening.objects.annotate(over_at=Coalesce("closed_at", "open_until"))
        rows["breaker openings"] = over.filter(over_at__lt=before)
    return rows


def _clear(rows: QuerySet[Any]) -> int:
    """Some at a time; those that somebody else holds are left to him."""
    count = 0
    while True:
        with transaction.atomic():
            some = rows.order_by("pk").select_for_update(skip_locked=True)
            keys = list(some.values_list("pk", flat=True)[:ROWS_AT_A_TIME])
            rows.model._base_manager.filter(pk__in=keys).delete()
        count += len(keys)
        if len(keys) < ROWS_AT_A_TIME:
            return count


def _audit(who: str, before: datetime, tally: Tally) -> None:
    """Numbers alone, and only where there are any: the audit is kept for ever."""
    after = {kind: tally.counts[kind] for kind in KINDS if tally.counts[kind] and kind != "sign-ins"}
    if after:
        what = f"deleted what ended before {before:%Y-%m-%d %H:%M} UTC"
        AuditEntry.objects.create(who=who, what=what, after=after, why="Older than it is to be kept.")
