"""Patterns between the engine and their table: mining writes rows.

Mining of one agent holds the agent's row, so two minings never count over each other. It writes the mined columns only:
an operator's are his.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Now

from speculation.engine.calibration import cross_fit
from speculation.engine.mining import MAX_ROWS, Miner
from speculation.engine.types import Calibrations, Event, Pattern, SourceCount, ToolTraits
from speculation.history import events_of
from speculation.leases import UNREACHABLE
from speculation.models import AgentProfile, EventRecord, Origin, PatternRecord, RemoteCall, Session, ToolJob
from speculation.toolbox import Toolbox

logger = logging.getLogger(__name__)

SESSIONS_AT_A_TIME = 100
LEARN_AT_ONCE_BELOW = 32
"""Sessions that were learned from, below which one that may be over is not waited for."""
FEWEST_TO_CALIBRATE = 32
MOST_TO_CALIBRATE = 200
"""Sessions of an agent, the latest, on which its predictions are compared with what happened."""
OUTCOME_HALF_LIFE = 20.0
"""How many outcomes of a pattern it takes until an old hit or miss counts half: what is told apart from all its life."""

MINED_FIELDS = ["mapping", "occurrences", "support", "probability", "statistics", "version", "updated_at"]


def record_key(pattern_key: str) -> str:
    """The key of a pattern's row: long contexts do not fit an index."""
    return hashlib.sha256(pattern_key.encode()).hexdigest()


def _mapping_to_json(mapping: Mapping[str, Sequence[SourceCount]]) -> dict[str, Any]:
    return {name: [[one.source, one.right, one.available] for one in counts] for name, counts in mapping.items()}


def _mapping_from_json(value: Mapping[str, Any]) -> dict[str, tuple[SourceCount, ...]]:
    return {name: tuple(SourceCount(*one) for one in counts) for name, counts in value.items()}


def as_mined(row: PatternRecord) -> Pattern:
    """What mining counted, whatever an operator made of it."""
    return Pattern(
        agent=str(row.agent_id),
        context=tuple(row.context),
        tool=row.tool,
        occurrences=row.occurrences,
        support=row.support,
        mapping=_mapping_from_json(row.mapping),
        statistics=row.statistics,
    )


def as_decided(row: PatternRecord) -> Pattern:
    """What predicts: the mined pattern with the operator's decisions on top."""
    mapping = row.mapping if row.mapping_override is None else row.mapping_override
    return Pattern(
        agent=str(row.agent_id),
        context=tuple(row.context),
        tool=row.tool,
        occurrences=row.occurrences,
        support=row.support,
        mapping=_mapping_from_json(mapping),
        statistics=row.statistics,
        enabled=row.enabled,
        probability_override=row.probability_override,
        has_own_mapping=row.mapping_override is not None,
    )


def _as_row(agent: AgentProfile, pattern: Pattern, versions: Mapping[str, int]) -> PatternRecord:
    key = record_key(pattern.key)
    return PatternRecord(
        agent=agent,
        key=key,
        context=list(pattern.context),
        tool=pattern.tool,
        mapping=_mapping_to_json(pattern.mapping),
        occurrences=pattern.occurrences,
        support=pattern.support,
        probability=pattern.support / pattern.occurrences if pattern.occurrences else 0.0,
        statistics=dict(pattern.statistics),
        version=versions.get(key, 0) + 1,
        updated_at=Now(),
    )


def _hold(agent: AgentProfile) -> None:
    """Whoever writes an agent's patterns holds the agent until the transaction ends."""
    AgentProfile.objects.select_for_update(no_key=True).get(pk=agent.pk)


def learn(
    agent: AgentProfile,
    sessions: Iterable[Sequence[Event]],
    traits: Mapping[str, ToolTraits] | None = None,
    known_turns: Iterable[int] = repeat(0),
) -> int:
    """Count these sessions into the agent's patterns, all in one transaction. Returns how many rows changed.

    known_turns: how many turns of each were learned from before.
    """
    with transaction.atomic():
        _hold(agent)
        rows = list(PatternRecord.objects.filter(agent=agent))
        miner = Miner(str(agent.pk), map(as_mined, rows), traits if traits is not None else Toolbox.of(agent).traits())
        for events, known in zip(sessions, known_turns, strict=False):
            miner.observe_session(events, known)
        versions = {row.key: row.version for row in rows}
        changed = [_as_row(agent, pattern, versions) for pattern in miner.changed()]
        PatternRecord.objects.bulk_create(
            changed, batch_size=500, update_conflicts=True, unique_fields=["agent", "key"], update_fields=MINED_FIELDS
        )
        if len(rows) + len(changed) > MAX_ROWS:
            _forget(agent, miner)
        return len(changed)


def _forget(agent: AgentProfile, miner: Miner) -> None:
    """Remove the rows that the miner has let go, except those an operator decided about."""
    kept = [record_key(pattern.key) for pattern in miner.patterns()]
    PatternRecord.objects.filter(agent=agent, overridden_at=None).exclude(key__in=kept).delete()


def unmined(agent: AgentProfile) -> QuerySet[Session]:
    """Ended sessions that nobody has learned from: never those of a replay, and a pair only once both have ended.

    A demo session always has a twin, even while the twin is not submitted yet.
    """
    alone = Q(pair__isnull=True) & ~Q(origin=Origin.DEMO)
    return (
        Session.objects.filter(alone | Q(pair__ended_at__isnull=False), agent=agent, ended_at__isnull=False)
        .filter(mined_at__isnull=True)
        .exclude(origin=Origin.REPLAY)
        .order_by("ended_at", "pk")
    )


def mine(agent: AgentProfile, on_progress: Callable[[int], None] = lambda read: None) -> int:
    """Learn from everything unmined, some sessions at a time. Returns how many; `on_progress` hears how many are read."""
    done, known = 0, _mined(agent).count()
    while batch := _mine_some(agent, done, on_progress):
        done += batch
    if known + done >= FEWEST_TO_CALIBRATE and (known + done).bit_length() > known.bit_length():
        calibrate(agent)
    return done


def _mined(agent: AgentProfile) -> QuerySet[Session]:
    return Session.objects.filter(agent=agent, mined_at__isnull=False)


def calibrate(agent: AgentProfile) -> Calibrations:
    """Measure on the latest mined sessions what this agent's predictions need to keep their word, and keep it in its rows
    without context. Costs some minings of these sessions, so it is done whenever their number has doubled."""
    latest = list(_mined(agent).order_by("-ended_at", "pk")[:MOST_TO_CALIBRATE])
    calibrations = cross_fit([events_of(session) for session in reversed(latest)], Toolbox.of(agent).traits())
    with transaction.atomic():
        _hold(agent)
        for row in PatternRecord.objects.filter(agent=agent, context=[], tool__in=calibrations.tools):
            row.statistics = {**row.statistics, **calibrations.shown(row.tool)}
            row.version, row.updated_at = row.version + 1, Now()
            row.save(update_fields=["statistics", "version", "updated_at"])
    return calibrations


def _mine_some(agent: AgentProfile, done: int, on_progress: Callable[[int], None]) -> int:
    """Together if that can be done, else one by one: what cannot be learned from must not keep the agent from all the rest."""
    try:
        return _mine_together(agent, unmined(agent)[:SESSIONS_AT_A_TIME], done, on_progress)
    except UNREACHABLE:
        raise
    except Exception:
        logger.exception("agent %s: not all of its sessions can be learned from, so one by one", agent.name)
    alone = list(unmined(agent).values_list("pk", flat=True)[:SESSIONS_AT_A_TIME])
    for number, session_id in enumerate(alone, start=done):
        _mine_alone(agent, session_id, number, on_progress)
    return len(alone)


def _mine_alone(agent: AgentProfile, session_id: UUID, done: int, on_progress: Callable[[int], None]) -> None:
    """A session that teaches nothing counts as learned from: it would do so for ever."""
    try:
        _mine_together(agent, unmined(agent).filter(pk=session_id), done, on_progress)
    except UNREACHABLE:
        raise
    except Exception:
        logger.exception("session %s cannot be learned from and is left out", session_id)
        Session.objects.filter(pk=session_id).update(mined_at=Now())


def _mine_together(
    agent: AgentProfile, sessions: "QuerySet[Session]", done: int, on_progress: Callable[[int], None]
) -> int:
    """One transaction: whoever comes second waits for the agent's row and then finds these sessions mined."""
    with transaction.atomic():
        _hold(agent)
        batch = list(sessions)
        if batch:
            learn(agent, _read(batch, done, on_progress), known_turns=map(_known_turns, batch))
            Session.objects.filter(pk__in=[session.pk for session in batch]).update(mined_at=Now())
        return len(batch)


def _read(sessions: Sequence[Session], done: int, on_progress: Callable[[int], None]) -> Iterator[Sequence[Event]]:
    for number, session in enumerate(sessions, start=done + 1):
        yield events_of(session)
        on_progress(number)


def _known_turns(session: Session) -> int:
    """How many of its turns were learned from while it was parked."""
    ended = EventRecord.objects.filter(session=session, kind="turn_ended", seq__lt=session.mined_seq)
    return ended.count() if session.mined_seq else 0


def learn_so_far(session_id: UUID) -> None:
    """Learn from a session that may be over: a client that says no goodbye leaves it open until it has been quiet for minutes,
    and its agent's next task may come sooner. Only while little is known: later nobody misses what these minutes held, and each mining costs.

    What it does later counts when it is quiet again, or ends; nothing counts twice.
    """
    agent = Session.objects.select_related("agent").get(pk=session_id).agent
    if _mined(agent).count() >= LEARN_AT_ONCE_BELOW:
        return
    with transaction.atomic():
        _hold(agent)
        session = Session.objects.get(pk=session_id)
        begun = EventRecord.objects.filter(session=session, kind="turn_started").order_by("-seq").first()
        if session.mined_at or begun is None or begun.seq <= session.mined_seq:
            return
        learn(agent, [events_of(session, until=begun.seq)], known_turns=[_known_turns(session)])
        Session.objects.filter(pk=session.pk).update(mined_seq=begun.seq)


def learn_from_the_one_before(session: Session) -> None:
    """Learn from the session that the same client opened before this one, unless a call of it is open or somebody has.

    Who begins with another task has most likely done with the last, whether that was said or not; and this one's guesses are
    made of what is known now. Only while little is known, as `learn_so_far`.
    """
    earlier = Session.objects.filter(agent=session.agent, submitted_by=session.submitted_by, created_at__lt=session.created_at)
    before = earlier.order_by("-created_at").first()
    if before is None or before.mined_at or RemoteCall.objects.filter(session=before).exists():
        return
    if _mined(session.agent).count() >= LEARN_AT_ONCE_BELOW:
        return
    if before.has_ended:
        mine(session.agent)
    else:
        learn_so_far(before.pk)


def session_ended(session_id: UUID) -> None:
    """Count what became of its guesses, once, and learn from it, once its pair has ended too."""
    session = Session.objects.select_related("agent", "pair").get(pk=session_id)
    record_outcomes(session)
    if session.origin != Origin.REPLAY:
        mine(session.agent)


def record_outcomes(session: Session) -> None:
    """Turn the fates of the session's guesses into decayed hits and misses of their patterns. Call it once a session."""
    guesses = ToolJob.objects.filter(session=session, pattern__isnull=False, started_at__isnull=False)
    outcomes = guesses.values("pattern").annotate(hits=Count("pk", filter=Q(call_id__isnull=False)), all=Count("pk"))
    with transaction.atomic():
        _hold(session.agent)
        counts = {row["pattern"]: row for row in outcomes}
        for record in PatternRecord.objects.filter(pk__in=counts):
            hits, total = counts[record.pk]["hits"], counts[record.pk]["all"]
            decay = 0.5 ** (total / OUTCOME_HALF_LIFE)
            PatternRecord.objects.filter(pk=record.pk).update(
                hits=record.hits * decay + hits,
                misses=record.misses * decay + total - hits,
                hits_ever=F("hits_ever") + hits,
                runs_ever=F("runs_ever") + total,
                last_promoted_at=Now() if hits else record.last_promoted_at,
            )
