"""One session moved by the real verbs and by a plain model of them at once; what may happen, and how often."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models.functions import Now
from hypothesis import currently_in_test_context, note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from speculation import events, jobs
from speculation.events import SessionLog, SessionLost
from speculation.models import AgentProfile, Session, ToolJob, ToolRecord
from speculation.specs import JobSpec
from tests.speculation.job_model import ModelJob, ModelSession, ModelTool
from tools.base import SideEffect, ToolCall, ToolPolicy

LONG_SECONDS = 3600.0
"""Leases and results do not run out by themselves: a step lets them."""
FEW_JOBS = 8
SLOTS = 1000
"""Room for all: who gives way to whom is another test's."""
TOOLS = {"read_file": "none", "list_files": "none", "write_file": "write", "update_record": "idempotent_write"}
SHARES = {
    "speculate": 6, "ask": 5, "start": 12, "commit": 8, "fail": 2, "fail_unasked": 2, "let_go": 2, "renew": 1, "preempt": 2,
    "promote_this_very_job": 5, "discard": 2, "give_back": 4, "retry_joined": 2, "retry_lost": 2, "fail_lost": 2,
    "sweep": 1, "withdraw": 1, "let_the_lease_run_out": 6, "let_the_result_expire": 1, "let_it_be_too_late_to_start": 1,
    "decide_about_the_tool": 1, "finish": 1, "another_owner_takes_over": 1, "ask_again_after_a_crash": 1,
    "a_second_job_for_one_call_is_refused": 1,
}  # fmt: skip
"""What may happen, and how often as a share of all."""
FITTING: Mapping[str, Callable[[ModelJob], bool]] = {
    "start": lambda job: job.status == "queued",
    "commit": lambda job: job.status == "running",
    "fail": lambda job: job.status == "running",
    "renew": lambda job: job.status == "running",
    "let_go": lambda job: job.status == "preempted" and not job.has_ended,
    "preempt": lambda job: job.status in ("queued", "running") and job.call_id is None,
    "promote_this_very_job": lambda job: job.is_held_guess,
    "discard": lambda job: job.status == "succeeded" and job.call_id is None,
    "give_back": lambda job: job.status in ("succeeded", "failed") and job.in_part,
    "retry_joined": lambda job: job.status == "running" and job.is_promoted,
    "fail_unasked": lambda job: job.status == "running",
    "retry_lost": lambda job: job.status == "running" and job.lease == "out",
    "fail_lost": lambda job: job.status == "running" and job.lease == "out",
    "withdraw": lambda job: job.status == "queued",
    "let_the_lease_run_out": lambda job: job.status in ("running", "preempted") and job.lease == "live",
    "let_the_result_expire": lambda job: job.status == "succeeded",
    "let_it_be_too_late_to_start": lambda job: job.status == "queued" and job.call_id is None,
    "a_second_job_for_one_call_is_refused": lambda job: job.call_id is not None,
}
"""Which jobs each is about."""
seen: Counter[tuple[str, bool]] = Counter()
"""How often each verb said yes, and no."""


class Step(NamedTuple):
    """`which` job, among those it fits; how far `off` its attempt; what a new job is of."""

    what: str
    which: int
    off: int
    tool: str
    path: str

    def attempt_of(self, job: ModelJob) -> int:
        return max(0, job.attempt + self.off)


def step_of(number: int, position: int) -> Step:
    """Evenly spread, which Hypothesis's own choices are not: they repeat themselves, so that few verbs get anywhere.

    The position counts as well, or a number that comes again would do the same again.
    """
    dice = Random(f"{number} at {position}")
    return Step(
        what=dice.choices(list(SHARES), list(SHARES.values()))[0],
        which=dice.randrange(96),
        off=dice.choice([0] * 10 + [1, -1]),
        tool=dice.choice(["read_file"] * 4 + ["list_files"] * 4 + ["write_file", "update_record"]),
        path=dice.choice(["a.txt", "b.txt"]),
    )


class BothSides(RuleBasedStateMachine):
    """One session, its jobs moved by the real verbs and by the model at once."""

    agent: ClassVar[AgentProfile]
    names: ClassVar[dict[int, str]]

    @initialize()
    def begin(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE speculation_session CASCADE")
        ToolRecord.objects.update(policy_version=1, enabled=True)
        self.records = {tool.name: tool for tool in ToolRecord.objects.all()}
        self.tools = {name: ModelTool(name, effect) for name, effect in TOOLS.items()}
        self.model = ModelSession()
        self.keys: dict[int, UUID] = {}
        self.calls = self.results = self.position = 0
        self.row = Session.objects.create(
            agent=self.agent, task="find it", status="running", attempt=1, started_at=Now()
        )

    @rule(number=st.integers(0, 2**48))
    def happens(self, number: int) -> None:
        """One rule for all: Hypothesis leaves rules out at random, and without the everyday ones nothing happens."""
        self.position += 1
        step = step_of(number, self.position)
        what = step.what if self.fits(step) else "start" if self.fitting("start") else "speculate"
        if currently_in_test_context():
            note(f"{what}: {step}")
        getattr(self, what)(step._replace(what=what))

    def spec(self, step: Step) -> JobSpec:
        tool, effect = self.records[step.tool], SideEffect(TOOLS[step.tool])
        fingerprint = ToolCall(step.tool, {"path": step.path}).fingerprint(ToolPolicy())
        arguments = {"path": step.path}
        return JobSpec(tool, "tools", arguments, fingerprint, effect, ttl_seconds=LONG_SECONDS, max_parallel=SLOTS)

    def fitting(self, what: str) -> list[ModelJob]:
        return list(filter(FITTING[what], self.model.jobs))

    def fits(self, step: Step) -> bool:
        """True if there is a job for what is to happen. One step in eight does not care."""
        return step.what not in FITTING or bool(self.fitting(step.what)) or step.which % 8 == 0

    def pick(self, step: Step) -> ModelJob | None:
        """One of the jobs; seven times in eight one that the verb may move, so that verbs get somewhere."""
        among = (self.fitting(step.what) if step.what in FITTING and step.which % 8 else []) or self.model.jobs
        return among[step.which // 8 % len(among)] if among else None

    def fetch(self, job: ModelJob) -> ToolJob:
        return ToolJob.objects.select_related("tool").get(pk=self.keys[id(job)])

    def agree(self, verb: str, expected: bool, real: bool) -> None:
        assert real is expected, f"{verb}: the model says {expected}, the database {real}"
        seen[verb, real] += 1

    def move(self, verb: str, job: ModelJob, expected: bool, *arguments: Any, **options: Any) -> None:
        """The verb on the row as it stands; what it says must be what the model said."""
        with events.writing(self.row.pk) as log:
            real = getattr(jobs, verb)(log, self.fetch(job), *arguments, **options)
        self.agree(verb, expected, real)

    def as_owner(self, act: Callable[[SessionLog], Any]) -> Any:
        """What the session's owner does, refused once the session has ended."""
        try:
            with events.writing(self.row.pk, attempt=self.model.attempt) as log:
                answer = act(log)
        except SessionLost:
            assert self.model.has_ended
            return None
        assert not self.model.has_ended
        return answer


def as_model(job: ModelJob) -> tuple[Any, ...]:
    return (
        *(job.work, job.status, job.call_id, job.attempt, job.epoch, job.policy_version, job.reason, job.result),
        *(job.is_promoted, job.has_started, job.has_ended, job.lease, job.freshness, job.is_in_time),
    )


def as_row(row: dict[str, Any]) -> tuple[Any, ...]:
    now = datetime.now(UTC)
    lies_ahead = {name: row[name] and row[name] > now for name in ("lease_until", "expires_at", "start_before")}
    return (
        *((BothSides.names[row["tool_id"]], row["arguments"]["path"]), row["status"], row["call_id"], row["attempt"]),
        *(row["epoch"], row["policy_version"], row["end_reason"], (row["result"] or {}).get("content")),
        *(row["promoted_at"] is not None, row["started_at"] is not None, row["ended_at"] is not None),
        {None: None, True: "live", False: "out"}[lies_ahead["lease_until"]],
        {None: None, True: "fresh", False: "expired"}[lies_ahead["expires_at"]],
        lies_ahead["start_before"],
    )
