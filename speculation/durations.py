"""How long each tool really takes, and how much of that it computes: measured from its own finished jobs, kept beside the
tool for the forecast and pages.
"""

from typing import Any

from django.db import connection

from speculation.models import ToolRecord

RECENT_RUNS = 200

# A warm-up is no run of its tool.
_MEASURE = """
SELECT tool.id, total.runs, avg(recent.seconds), percentile_cont(ARRAY[0.5, 0.9, 0.99]) WITHIN GROUP (ORDER BY recent.seconds),
    sum(recent.processor_seconds) / nullif(sum(recent.seconds) FILTER (WHERE recent.processor_seconds IS NOT NULL), 0)
FROM speculation_toolrecord AS tool
CROSS JOIN LATERAL (
    SELECT count(*) AS runs FROM speculation_tooljob WHERE tool_id = tool.id AND status = 'succeeded' AND {run}
) AS total
CROSS JOIN LATERAL (
    SELECT extract(epoch FROM job.ended_at - job.started_at)::float8 AS seconds, job.processor_seconds
    FROM speculation_tooljob AS job
    WHERE job.tool_id = tool.id AND job.status = 'succeeded' AND {run} ORDER BY job.created_at DESC LIMIT %s
) AS recent
WHERE total.runs <> tool.runs
GROUP BY tool.id, total.runs
""".format(run="NOT (transformed AND verifies_id IS NULL)")


def measure() -> int:
    """Bring every tool with new runs up to date. Returns how many changed. Seconds; quantiles of the recent runs;
    `processors`: those kept busy while it runs, None where no recent run tells."""
    with connection.cursor() as cursor:
        cursor.execute(_MEASURE, [RECENT_RUNS])
        rows: list[Any] = cursor.fetchall()
    for tool_id, runs, mean, (median, p90, p99), processors in rows:
        ToolRecord.objects.filter(pk=tool_id).update(
            runs=runs, mean_seconds=mean, quantiles={"p50": median, "p90": p90, "p99": p99}, processors=processors
        )
    return len(rows)
