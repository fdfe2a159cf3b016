"""The same figures, worked out by PostgreSQL from the event log alone: a second way to every number.

Holds for logs whose turns ask for reads all at once or for one write alone (see seeded_logs.py), and without usual durations.
"""

from typing import Any
from uuid import UUID

from django.db import connection

_SQL = """
WITH log AS (
    SELECT seq, kind, payload, extract(epoch FROM at)::numeric AS at FROM speculation_eventrecord WHERE session_id = %(session)s
), ends AS (
    SELECT max(at) FILTER (WHERE kind = 'session_started') AS started, max(at) FILTER (WHERE kind = 'session_ended') AS ended FROM log
), runs AS (
    SELECT queued.payload->>'job' AS job, (queued.payload->>'speculative')::boolean AS is_guess, started.at AS started,
           ended.at AS ended, coalesce((queued.payload->>'price')::numeric, 0) AS price
    FROM log AS queued
    JOIN log AS started ON started.kind = 'job_started' AND started.payload->>'job' = queued.payload->>'job'
    JOIN log AS ended ON ended.kind = 'job_ended' AND ended.payload->>'job' = queued.payload->>'job'
    WHERE queued.kind = 'job_queued'
), calls AS (
    SELECT asked.payload->>'job' AS job, (asked.payload->>'turn')::int AS turn, asked.payload->>'outcome' AS outcome,
           asked.payload->>'effect' AS effect, asked.at AS asked, back.at AS returned, back.at - asked.at AS waited
    FROM log AS asked
    JOIN log AS back ON back.kind = 'call_returned' AND back.payload->>'call_id' = asked.payload->>'call_id'
    WHERE asked.kind = 'call_asked'
), held AS (
    SELECT range_agg(numrange(runs.started, least(runs.ended, coalesce(calls.asked, runs.ended)))) AS spans
    FROM runs LEFT JOIN calls USING (job) WHERE is_guess AND (calls.asked IS NULL OR runs.started < calls.asked)
), judged AS (
    SELECT calls.*, runs.started AS begun, runs.ended - runs.started AS ran,
           coalesce((SELECT sum(upper(part) - lower(part)) FROM held, unnest(
               spans * nummultirange(numrange(calls.asked, greatest(calls.asked, least(runs.started, returned))))) AS part), 0) AS interference
    FROM calls JOIN runs USING (job)
), costed AS (
    SELECT *, CASE WHEN outcome IN ('used', 'joined') THEN ran ELSE waited - interference END AS without,
           CASE WHEN outcome IN ('used', 'joined') THEN greatest(0, least(begun + ran, asked) - begun) ELSE 0 END AS hidden
    FROM judged
), turns AS (
    SELECT turn, max(asked - first + waited) AS actual, max(asked - first + without) AS without,
           max(asked - first + waited - interference) AS undisturbed
    FROM (SELECT costed.*, min(asked) OVER (PARTITION BY turn) AS first FROM costed) AS placed GROUP BY turn
)
SELECT (SELECT ended - started FROM ends) AS task_seconds,
       (SELECT coalesce(sum(actual), 0) FROM turns) AS waited_seconds,
       (SELECT coalesce(sum(without - actual), 0) FROM turns) AS net_saved_seconds,
       (SELECT coalesce(sum(actual - undisturbed), 0) FROM turns) AS interference_seconds,
       (SELECT coalesce(sum(hidden), 0) FROM costed) AS hidden_seconds,
       (SELECT coalesce(sum(runs.ended - runs.started), 0) FROM runs LEFT JOIN calls USING (job)
        WHERE is_guess AND calls.job IS NULL) AS wasted_seconds,
       (SELECT coalesce(sum(price), 0) FROM runs LEFT JOIN calls USING (job) WHERE is_guess AND calls.job IS NULL) AS wasted_price,
       (SELECT count(*) FROM runs WHERE is_guess) AS launches,
       (SELECT count(*) FROM calls WHERE outcome IN ('used', 'joined')) AS hits,
       (SELECT count(*) FROM calls WHERE effect = 'none') AS eligible_calls
"""


def figures_in_sql(session_id: UUID) -> dict[str, Any]:
    """Seconds, counts and money by the names of figures.Figures."""
    with connection.cursor() as cursor:
        cursor.execute(_SQL, {"session": session_id})
        names = [column.name for column in cursor.description or ()]
        (row,) = cursor.fetchall()
    return {name: float(value) for name, value in zip(names, row, strict=True)}
