"""A call that the agent asks for, and which jobs may answer it: its own work, or a whole that it is a part of.

A whole serves a part where the tool itself says how: the part is cut out of the whole's result, or the call runs. Nothing
of it is stored: the job stays the whole's, and whoever hands its result over cuts the part out anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from speculation import answers
from speculation.models import JobStatus, ToolJob
from speculation.specs import JobSpec
from tools.base import Tool, ToolResult
from tools.running import cut_out


@dataclass(frozen=True)
class Part:
    """What a call asks for as a part. `whole_fingerprint`: of the call that covers it."""

    tool: Tool
    arguments: Mapping[str, Any]
    whole_fingerprint: str

    def may_come_of(self, job: ToolJob) -> bool:
        """True if the job is the whole, and has not ended without giving the part."""
        is_open = job.status in (JobStatus.QUEUED, JobStatus.RUNNING)
        return job.fingerprint == self.whole_fingerprint and (is_open or self.cut_from(job) is not None)

    def cut_from(self, job: ToolJob) -> ToolResult | None:
        """Exactly what a run of its own would have stored, or None: the job is no such whole, or it cannot be told."""
        if job.status != JobStatus.SUCCEEDED or job.fingerprint != self.whole_fingerprint:
            return None
        return cut_out(self.tool, ToolResult.from_json(job.result), job.arguments, self.arguments)


@dataclass(frozen=True)
class AskedCall:
    """One call of the agent, ready to be served. `reason`: why nothing was speculated, if nothing was.

    `part`: set where the call asks for a part that a whole may give.
    """

    call_id: str
    turn: int
    spec: JobSpec
    reason: str = "not predicted"
    part: Part | None = None

    @property
    def fingerprints(self) -> Sequence[str]:
        """Of the jobs that may answer it, the best first."""
        return [self.spec.fingerprint, *([self.part.whole_fingerprint] if self.part else [])]

    def may_be_answered_by(self, guess: ToolJob) -> bool:
        is_same_work = guess.fingerprint == self.spec.fingerprint
        return is_same_work or (self.part is not None and self.part.may_come_of(guess))

    def is_part_of(self, job: ToolJob) -> bool:
        """True if this call's job was a guess at other work: only what is cut out of its result may answer."""
        return job.promoted_at is not None and job.fingerprint != self.spec.fingerprint

    def is_let_down_by(self, job: ToolJob) -> bool:
        """True if this call's job has ended as a whole that does not give the part."""
        has_ended = job.status in (JobStatus.SUCCEEDED, JobStatus.FAILED)
        return has_ended and self.is_part_of(job) and self._cut_from(job) is None

    def answered_by(self, job: ToolJob) -> dict[str, Any]:
        """What the call is told by its job, which has ended and does not let it down: the payload of `call_returned`."""
        if not self.is_part_of(job):
            return answers.returned_by(job)
        part = self._cut_from(job)
        assert part is not None
        return answers.returned(self.call_id, job.tool.name, part, job)

    def _cut_from(self, job: ToolJob) -> ToolResult | None:
        return self.part.cut_from(job) if self.part is not None else None
