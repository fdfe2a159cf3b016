"""A plain-Python model of one session and its jobs: what each verb of the state machine means, without a database.

Every verb answers as the real one must, and moves the model. Moments are told apart only as far as the rules do: a lease
is live or out, a result fresh or expired, a queued guess in time or late.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

HELD = ("queued", "running", "succeeded")
MOST_ATTEMPTS = 3


@dataclass(eq=False)
class ModelTool:
    """A tool, its declared effect, and the version of what is decided about it."""

    name: str
    effect: str
    policy_version: int = 1

    @property
    def only_reads(self) -> bool:
        return self.effect == "none"


@dataclass(eq=False)
class ModelJob:
    """One run of one tool on one path. `call_id` None: nobody asked yet."""

    tool: ModelTool
    path: str
    epoch: int
    policy_version: int
    call_id: str | None
    is_in_time: bool | None
    status: str = "queued"
    attempt: int = 0
    lease: str | None = None
    freshness: str | None = None
    is_promoted: bool = False
    in_part: bool = False
    is_answered: bool = False
    has_started: bool = False
    has_ended: bool = False
    reason: str = ""
    result: str | None = None

    @property
    def work(self) -> tuple[str, str]:
        return self.tool.name, self.path

    @property
    def is_held_guess(self) -> bool:
        return self.call_id is None and self.status in HELD

    @property
    def is_expired(self) -> bool:
        return self.freshness == "expired"


@dataclass
class ModelSession:
    """One session: its jobs in the order of their making, its epoch, who owns it."""

    jobs: list[ModelJob] = field(default_factory=list)
    epoch: int = 0
    attempt: int = 1
    has_ended: bool = False

    @property
    def is_changing(self) -> bool:
        return self.epoch % 2 == 1

    def guesses(self, tool: ModelTool, path: str, *statuses: str) -> list[ModelJob]:
        """This epoch's jobs for that work that nobody asked for."""
        return [
            job
            for job in self.jobs
            if job.work == (tool.name, path)
            and job.epoch == self.epoch
            and job.call_id is None
            and job.status in statuses
        ]

    def of_call(self, call_id: str) -> ModelJob | None:
        return next((job for job in self.jobs if job.call_id == call_id), None)

    def has_change_under_way(self) -> bool:
        """A call that may change something runs, or waits for its next run after its worker was lost."""
        return any(self._is_under_way(job) for job in self.jobs)

    def _is_under_way(self, job: ModelJob) -> bool:
        return not job.tool.only_reads and (job.status == "running" or (job.status == "queued" and job.attempt > 0))

    # What the agent's side does

    def request(self, tool: ModelTool, path: str, call_id: str) -> ModelJob | None:
        """None: the call has a job already."""
        if self.of_call(call_id) is not None:
            return None
        job = ModelJob(tool, path, self.epoch, tool.policy_version, call_id, is_in_time=None)
        self.jobs.append(job)
        return job

    def speculate(self, tool: ModelTool, path: str) -> ModelJob | None:
        if self.is_changing or not tool.only_reads:
            return None
        for twin in self.guesses(tool, path, "succeeded"):
            if twin.is_expired:
                self.discard(twin, "expired")
        if self.guesses(tool, path, *HELD, "failed"):
            return None
        job = ModelJob(tool, path, self.epoch, tool.policy_version, None, is_in_time=True)
        self.jobs.append(job)
        return job

    def ask(self, tool: ModelTool, path: str, call_id: str) -> tuple[ModelJob, str]:
        """The call's job, and how it came to it: there, used, joined, raised or requested."""
        existing = self.of_call(call_id)
        if existing is not None:
            return existing, "there"
        if tool.only_reads:
            for guess in self.guesses(tool, path, *HELD):
                if self.promote(guess, call_id):
                    guess.is_answered = guess.status == "succeeded"
                    return guess, {"succeeded": "used", "running": "joined", "queued": "raised"}[guess.status]
        requested = self.request(tool, path, call_id)
        assert requested is not None
        return requested, "requested"

    def promote(self, job: ModelJob, call_id: str, in_part: bool = False) -> bool:
        is_current = job.epoch == self.epoch and job.policy_version == job.tool.policy_version
        if not (job.is_held_guess and is_current and not job.is_expired):
            return False
        job.call_id, job.is_promoted, job.in_part, job.is_in_time = call_id, True, in_part, None
        return True

    def give_back(self, job: ModelJob, reason: str) -> bool:
        if not (job.status in ("succeeded", "failed") and job.call_id and job.is_promoted and job.tool.only_reads):
            return False
        job.status, job.call_id, job.is_promoted, job.in_part, job.reason = "discarded", None, False, False, reason
        return True

    def finish(self, reason: str) -> bool:
        if self.has_ended:
            return False
        self.drop_guesses(reason)
        for job in self.jobs:
            self.withdraw(job)
        self.has_ended = True
        return True

    def withdraw(self, job: ModelJob) -> bool:
        if not (job.status == "queued" and job.call_id):
            return False
        job.status, job.has_ended, job.reason = "failed", True, "session ended"
        return True

    # What workers do

    def start(self, job: ModelJob, attempt: int) -> bool:
        is_wanted = job.is_in_time and job.epoch == self.epoch and job.policy_version == job.tool.policy_version
        if self.has_ended or job.status != "queued" or job.attempt != attempt or not (job.call_id or is_wanted):
            return False
        job.status, job.attempt, job.lease, job.freshness = "running", job.attempt + 1, "live", "fresh"
        job.has_started, job.has_ended = True, False
        if not job.tool.only_reads:
            self.drop_guesses("invalidated")
            self.epoch += 2 if self.is_changing else 1
        return True

    def commit(self, job: ModelJob, attempt: int, result: str) -> bool:
        if job.status != "running" or job.attempt != attempt:
            return False
        job.result = result
        self._end(job, "succeeded", job.reason)
        return True

    def fail(self, job: ModelJob, attempt: int, reason: str) -> bool:
        if job.status != "running" or job.attempt != attempt:
            return False
        self._end(job, "failed", reason)
        return True

    def fail_unasked(self, job: ModelJob, attempt: int, reason: str) -> bool:
        return job.call_id is None and self.fail(job, attempt, reason)

    def _end(self, job: ModelJob, status: str, reason: str) -> None:
        job.status, job.reason, job.has_ended = status, reason, True
        job.is_answered = job.call_id is not None and not job.in_part and not self.has_ended
        if not job.tool.only_reads:
            self.epoch += 2 if self.has_change_under_way() else 1

    def release(self, job: ModelJob, attempt: int) -> bool:
        if job.status != "preempted" or job.attempt != attempt or job.has_ended:
            return False
        job.has_ended = True
        return True

    def renew(self, job: ModelJob, attempt: int) -> bool:
        if job.status != "running" or job.attempt != attempt:
            return False
        job.lease = "live"
        return True

    # What is given up, and what was lost

    def preempt(self, job: ModelJob, reason: str) -> bool:
        if job.status not in ("queued", "running") or job.call_id is not None:
            return False
        job.status, job.reason, job.has_ended = "preempted", reason, not job.has_started
        return True

    def discard(self, job: ModelJob, reason: str) -> bool:
        if job.status != "succeeded" or job.call_id is not None:
            return False
        job.status, job.reason = "discarded", reason
        return True

    def drop_guesses(self, reason: str, tool: ModelTool | None = None) -> int:
        """Give up what is held; of one tool: what is held under an older version of its policy."""
        return sum(self.discard(job, reason) or self.preempt(job, reason) for job in list(self._dropped_with(tool)))

    def _dropped_with(self, tool: ModelTool | None) -> Iterator[ModelJob]:
        for job in self.jobs:
            if tool is None or (job.tool is tool and job.policy_version < tool.policy_version):
                yield job

    def fail_lost(self, job: ModelJob) -> bool:
        return job.lease == "out" and self.fail(job, job.attempt, "worker lost")

    def retry_lost(self, job: ModelJob) -> bool:
        may_repeat = job.tool.effect in ("none", "idempotent_write")
        is_lost = job.status == "running" and job.lease == "out"
        if not (is_lost and job.call_id and job.attempt < MOST_ATTEMPTS and may_repeat):
            return False
        job.status, job.lease = "queued", None
        return True

    def retry_joined(self, job: ModelJob, attempt: int) -> bool:
        if not (job.status == "running" and job.call_id and job.is_promoted and job.attempt == attempt == 1):
            return False
        job.status, job.lease = "queued", None
        return True

    def sweep(self) -> None:
        """One round of the recovery, in its own order."""
        for job in self.jobs:
            if job.status == "running" and job.lease == "out":
                self._recover(job)
        for job in self.jobs:
            if job.status == "preempted" and job.lease == "out":
                job.has_ended = True
        for job in self.jobs:
            if job.status == "queued" and job.is_in_time is False:
                self.preempt(job, "not started in time")
            if job.is_expired:
                self.discard(job, "expired")

    def _recover(self, job: ModelJob) -> None:
        if job.call_id is None:
            self.preempt(job, "worker lost")
            self.release(job, job.attempt)
        elif self.has_ended or not self.retry_lost(job):
            self.fail_lost(job)
