"""What a session's log alone says of its jobs, read line by line. A line that cannot follow what went before fails."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

FOLLOWS: Mapping[str, tuple[str, ...]] = {
    "job_started": ("queued",),
    "job_ended": ("running", "queued"),
    "job_preempted": ("queued", "running"),
    "job_released": ("preempted",),
    "job_discarded": ("succeeded", "failed"),
    "job_retried": ("running", "failed"),
}
"""The statuses that a line may follow."""

LEADS_TO: Mapping[str, str] = {
    "job_started": "running",
    "job_preempted": "preempted",
    "job_released": "preempted",
    "job_discarded": "discarded",
    "job_retried": "queued",
}
"""The status after a line; after job_ended its own."""


class Told:
    """By job's id: status, call, attempt. By call's id: how often it was answered. And the epoch."""

    def __init__(self, log: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        self.jobs: dict[str, tuple[str, str | None, int]] = {}
        self.answers: Counter[str] = Counter()
        self.epoch = 0
        for kind, payload in log:
            self._hear(kind, payload)

    def _hear(self, kind: str, payload: Mapping[str, Any]) -> None:
        if kind == "epoch_stepped":
            assert payload["epoch"] > self.epoch, "an epoch never comes back"
            self.epoch = payload["epoch"]
        elif kind == "job_queued":
            assert payload["job"] not in self.jobs, "queued twice"
            self.jobs[payload["job"]] = ("queued", payload["call_id"], 0)
        elif kind == "call_asked":
            status, call_id, attempt = self.jobs[payload["job"]]
            assert call_id in (None, payload["call_id"]), "a call's job is nobody else's"
            self.jobs[payload["job"]] = (status, payload["call_id"], attempt)
        elif kind == "call_returned":
            self.answers[payload["call_id"]] += 1
        elif kind in FOLLOWS:
            self._move(kind, payload)

    def _move(self, kind: str, payload: Mapping[str, Any]) -> None:
        status, call_id, attempt = self.jobs[payload["job"]]
        assert status in FOLLOWS[kind], f"{kind} after {status}"
        if kind == "job_started":
            assert payload["attempt"] == attempt + 1, "attempts have no gap"
            attempt = payload["attempt"]
        to = LEADS_TO.get(kind) or payload["status"]
        self.jobs[payload["job"]] = (to, None if kind == "job_discarded" else call_id, attempt)
