"""What breakers judge, measured in the database over each subject's window. All times are the database's clock.

A run is wasted at the moment that it is given up, which only the log knows: a result may be held for long before. What
was before a breaker last closed is not held against its subject again.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from speculation.engine.breaking import Figure, Kind, Limits, Subject
from speculation.ids import drawn_after
from speculation.jobs import ERROR_ANSWER
from speculation.specs import NOT_STARTED_IN_TIME

LONGEST_JOB_SECONDS = 300.0
"""Jobs are found by when their ids were drawn (UUIDv7): so long before the window, or they are not looked at."""
HOP_SECONDS = 0.05
"""A call that waits no longer than this pays for the way to its worker, not for a slot."""


@dataclass(frozen=True)
class Watch:
    """One subject to measure. `since`: when its breaker last closed."""

    subject: Subject
    limits: Limits
    since: datetime | None = None


_WATCHED = """
WITH watched AS MATERIALIZED (
    SELECT tool_id, agent_id, greatest(now() - window_seconds * interval '1 second', closed_at) AS since
    FROM unnest(%(tools)s::bigint[], %(agents)s::bigint[], %(windows)s::float8[], %(closed)s::timestamptz[])
        AS one (tool_id, agent_id, window_seconds, closed_at)
), logged AS MATERIALIZED (
    SELECT CASE WHEN payload->>'job' ~ '^[0-9a-f-]{{36}}$' THEN (payload->>'job')::uuid END AS job_id, kind, at, payload
    FROM speculation_eventrecord
    WHERE kind = ANY(%(kinds)s) AND at > (SELECT min(since) FROM watched)
), fact AS MATERIALIZED ({fact})
SELECT watched.tool_id, watched.agent_id, sum(fact.amount)::float8, count(*)
FROM fact
CROSS JOIN LATERAL (VALUES (fact.tool_id, 0), (0, fact.agent_id), (0, 0)) AS whose (tool_id, agent_id)
JOIN watched ON coalesce(watched.tool_id, 0) = whose.tool_id AND coalesce(watched.agent_id, 0) = whose.agent_id
    AND fact.at > watched.since
GROUP BY watched.tool_id, watched.agent_id
ORDER BY watched.tool_id NULLS LAST, watched.agent_id NULLS LAST
"""

_WASTE = """
    SELECT job.tool_id, session.agent_id, max(logged.at) AS at,
        extract(epoch FROM coalesce(job.ended_at, now()) - job.started_at) AS amount
    FROM logged
    JOIN speculation_tooljob AS job ON job.id = logged.job_id
    JOIN speculation_session AS session ON session.id = job.session_id
    WHERE job.call_id IS NULL AND NOT job.transformed AND job.started_at IS NOT NULL
        AND job.status IN ('failed', 'preempted', 'discarded')
    GROUP BY job.id, session.agent_id
"""

_ERRORS = """
    SELECT job.tool_id, session.agent_id, logged.at,
        (logged.payload->>'status' = 'failed' AND job.end_reason <> %(error_answer)s)::int AS amount
    FROM logged
    JOIN speculation_tooljob AS job ON job.id = logged.job_id
    JOIN speculation_session AS session ON session.id = job.session_id
    WHERE logged.payload->'speculative' = 'true' AND NOT job.transformed
"""

_COUNTED = """
    SELECT job.tool_id, session.agent_id, job.ended_at AS at, 1 AS amount
    FROM speculation_tooljob AS job JOIN speculation_session AS session ON session.id = job.session_id
    WHERE job.id > %(drawn_after)s AND job.call_id IS NULL AND job.end_reason = %(end_reason)s
"""

# Unless a worker has begun a later guess: then it is only slow.
_UNSTARTED = f"""{_COUNTED}
    AND NOT EXISTS (
        SELECT FROM speculation_tooljob AS begun
        WHERE begun.id > %(drawn_after)s AND begun.pool_id = job.pool_id AND begun.started_at > job.created_at
            AND (begun.call_id IS NULL OR begun.promoted_at > begun.started_at)
    )
"""

_INTERFERENCE = """
WITH watched AS MATERIALIZED (
    SELECT tool_id, agent_id, greatest(now() - window_seconds * interval '1 second', closed_at) AS since
    FROM unnest(%(tools)s::bigint[], %(agents)s::bigint[], %(windows)s::float8[], %(closed)s::timestamptz[])
        AS one (tool_id, agent_id, window_seconds, closed_at)
), recent AS MATERIALIZED (
    SELECT job.tool_id, session.agent_id, job.pool_id, job.call_id, job.status,
        coalesce(job.promoted_at, job.created_at) AS asked_at, job.promoted_at, job.started_at,
        coalesce(job.ended_at, least(now(), job.lease_until)) AS let_go_at
    FROM speculation_tooljob AS job JOIN speculation_session AS session ON session.id = job.session_id
    WHERE job.id > %(drawn_after)s AND job.pool_id IS NOT NULL AND job.attempt <= 1
), waiting AS MATERIALIZED (
    SELECT pool_id, asked_at, coalesce(started_at, now()) AS until_at FROM recent
    WHERE call_id IS NOT NULL AND (started_at IS NOT NULL OR status = 'queued')
        AND coalesce(started_at, now()) > asked_at + %(hop_seconds)s * interval '1 second'
        AND coalesce(started_at, now()) > (SELECT min(since) FROM watched)
), guessing AS MATERIALIZED (
    SELECT tool_id, agent_id, pool_id, range_agg(tstzrange(started_at, least(let_go_at, promoted_at))) AS spans
    FROM recent
    WHERE (call_id IS NULL OR promoted_at IS NOT NULL)
        AND started_at < least(let_go_at, promoted_at)
        AND least(let_go_at, promoted_at) > (SELECT min(asked_at) FROM waiting)
    GROUP BY tool_id, agent_id, pool_id
), held AS (
    SELECT watched.tool_id, watched.agent_id, watched.since, guessing.pool_id, range_agg(guessing.spans) AS spans
    FROM guessing
    CROSS JOIN LATERAL (VALUES (guessing.tool_id, 0), (0, guessing.agent_id), (0, 0)) AS whose (tool_id, agent_id)
    JOIN watched ON coalesce(watched.tool_id, 0) = whose.tool_id AND coalesce(watched.agent_id, 0) = whose.agent_id
    GROUP BY watched.tool_id, watched.agent_id, watched.since, guessing.pool_id
)
SELECT held.tool_id, held.agent_id, sum(extract(epoch FROM upper(part) - lower(part)))::float8, count(*)
FROM held
JOIN waiting ON waiting.pool_id = held.pool_id AND waiting.until_at > held.since
CROSS JOIN LATERAL unnest(
    held.spans * tstzmultirange(tstzrange(greatest(waiting.asked_at, held.since), waiting.until_at))
) AS part
GROUP BY held.tool_id, held.agent_id
ORDER BY held.tool_id NULLS LAST, held.agent_id NULLS LAST
"""


def measure(kind: Kind, watches: Iterable[Watch]) -> list[Figure]:
    """Of each watched subject of which there is anything to count: tools first, then agents, then all."""
    watches = list(watches)
    return MEASURES[kind](watches) if watches else []


def _wasted(watches: list[Watch]) -> list[Figure]:
    """Worker seconds of runs that were given up before anyone asked for them."""
    kinds = ["job_ended", "job_preempted", "job_released", "job_discarded"]
    return _ask(_WATCHED.format(fact=_WASTE), watches, kinds=kinds)


def _failed(watches: list[Watch]) -> list[Figure]:
    """Runs in which the tool failed, of those that ended as guesses.

    A tool that answers "there is no such record" did its work: such a guess was wrong, and counts as waste alone.
    """
    return _ask(_WATCHED.format(fact=_ERRORS), watches, kinds=["job_ended"], error_answer=ERROR_ANSWER)


def _interfering(watches: list[Watch]) -> list[Figure]:
    """Seconds that calls queued while a guess of the subject held a slot of their pool, as in figures.py.

    Whether another slot was free is not known here either, so this never flatters.
    """
    return _ask(_INTERFERENCE, watches, hop_seconds=HOP_SECONDS, drawn_after=_drawn_after(watches))


def _counting(end_reason: str, fact: str = _COUNTED) -> Callable[[list[Watch]], list[Figure]]:
    """Counts guesses that ended for this reason."""

    def count(watches: list[Watch]) -> list[Figure]:
        return _ask(
            _WATCHED.format(fact=fact), watches, kinds=[], end_reason=end_reason, drawn_after=_drawn_after(watches)
        )

    return count


MEASURES: Mapping[Kind, Callable[[list[Watch]], list[Figure]]] = {
    Kind.WASTE: _wasted,
    Kind.INTERFERENCE: _interfering,
    Kind.ERRORS: _failed,
    Kind.DIVERGENCE: _counting("diverged"),
    Kind.AUTH: _counting("auth"),
    Kind.UNSTARTED: _counting(NOT_STARTED_IN_TIME, _UNSTARTED),
}


def _ask(query: str, watches: list[Watch], **more: Any) -> list[Figure]:
    subjects = {
        "tools": [watch.subject.tool for watch in watches],
        "agents": [watch.subject.agent for watch in watches],
        "windows": [watch.limits.window_seconds for watch in watches],
        "closed": [watch.since for watch in watches],
    }
    with connection.cursor() as cursor:
        cursor.execute(query, {**subjects, **more})
        return [Figure(Subject(tool, agent), amount, of) for tool, agent, amount, of in cursor.fetchall()]


def _drawn_after(watches: list[Watch]) -> UUID:
    """The smallest id of a job that may have run within the longest window."""
    return drawn_after(max(watch.limits.window_seconds for watch in watches) + LONGEST_JOB_SECONDS)
