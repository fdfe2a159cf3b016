"""The one job table, and the pools whose slots its rows take. What must never be is forbidden here, by PostgreSQL."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from uuid6 import uuid7

from speculation.models.policy import ToolRecord
from speculation.models.sessions import Session


class JobStatus(models.TextChoices):
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    PREEMPTED = "preempted", "preempted"
    DISCARDED = "discarded", "discarded"


class WorkerPool(models.Model):
    """Slots shared by jobs, some reserved for authoritative ones. Admission locks this row."""

    name = models.SlugField(primary_key=True)
    slots = models.PositiveIntegerField(default=4)
    reserved = models.PositiveIntegerField(default=1, help_text="Slots that speculation never takes.")
    is_paused = models.BooleanField(default=False, help_text="No speculation at all.")
    pause_reason = models.CharField(max_length=500, blank=True)
    throttle_percent = models.PositiveSmallIntegerField(
        default=0, help_text="Share of the guesses worth running that is not run, in %."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(name="pool_throttle_is_a_percentage", condition=Q(throttle_percent__lte=100)),
            models.CheckConstraint(name="pool_reserves_no_more_than_it_has", condition=Q(reserved__lte=models.F("slots")))
        ]

    def __str__(self) -> str:
        return self.name


class ResourceScope(models.Model):
    """State that sessions share through tools. `epoch` steps when a call that may change it starts, and when it ends."""

    name = models.CharField(max_length=200, primary_key=True)
    epoch = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class ToolJob(models.Model):
    """One run of one tool. Speculative as long as `call_id` is empty; promotion writes the agent's call id into it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="jobs")
    tool = models.ForeignKey(ToolRecord, on_delete=models.PROTECT, related_name="jobs")
    pool = models.ForeignKey(
        WorkerPool, null=True, blank=True, on_delete=models.PROTECT, related_name="jobs",
        help_text="Whose slot it takes; empty where its session's own worker runs it, in place.",
    )  # fmt: skip
    arguments = models.JSONField(default=dict)
    fingerprint = models.CharField(max_length=64)
    effect = models.CharField(max_length=32, help_text="Of this very call.")
    transformed = models.BooleanField(default=False, help_text="A warm-up or a check; never served.")
    verifies = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="checks",
        help_text="The promoted job whose result this run checks.",
    )  # fmt: skip
    epoch = models.PositiveIntegerField(help_text="The session's when the job was made.")
    scope = models.CharField(max_length=200, blank=True, help_text="The shared state it reads or changes, if any.")
    scope_epoch = models.PositiveIntegerField(default=0, help_text="The scope's when the job was made.")
    repeat = models.PositiveIntegerField(default=0, help_text="How often the session had asked for this call before.")
    status = models.CharField(max_length=16, choices=JobStatus, default=JobStatus.QUEUED)
    call_id = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001  (null: nobody asked yet)
    warmed = models.BooleanField(default=False, help_text="A warm-up for it had ended when it was asked for.")
    in_part = models.BooleanField(default=False, help_text="Its call asked for a part: the answer is cut out.")
    attempt = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=200, blank=True)
    pattern = models.ForeignKey(
        "speculation.PatternRecord", null=True, blank=True, on_delete=models.SET_NULL, related_name="jobs"
    )
    policy_version = models.PositiveIntegerField(default=0)
    probability = models.FloatField(default=0.0)
    utility = models.FloatField(default=0.0, help_text="Expected net seconds saved, when admitted.")
    expected_seconds = models.FloatField(default=1.0)
    ttl_seconds = models.FloatField(default=60.0)
    timeout_seconds = models.FloatField(default=60.0)
    result = models.JSONField(null=True, blank=True)
    error = models.TextField(blank=True)
    end_reason = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    enqueued_at = models.DateTimeField(db_default=Now(), help_text="When the broker was last told.")
    started_at = models.DateTimeField(null=True, blank=True)
    promoted_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True, help_text="When the worker let go of it.")
    processor_seconds = models.FloatField(
        null=True, blank=True, help_text="Used by the run and the programs it started; empty where nothing came of it."
    )
    start_before = models.DateTimeField(null=True, blank=True, help_text="A queued speculation is not started later.")
    expires_at = models.DateTimeField(null=True, blank=True, help_text="A speculated result is not served later.")

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["session", "call_id"], name="job_answers_one_call", condition=Q(call_id__isnull=False)
            ),
            models.UniqueConstraint(
                fields=["session", "epoch", "fingerprint"],
                name="job_speculated_once",
                condition=Q(call_id__isnull=True, status__in=["queued", "running", "succeeded"]),
            ),
            models.CheckConstraint(
                name="job_has_no_side_effect_before_its_call",
                condition=Q(effect="none") | Q(transformed=True) | Q(call_id__isnull=False),
            ),
            models.CheckConstraint(
                name="job_dry_run_answers_no_call", condition=~Q(transformed=True, call_id__isnull=False)
            ),
            models.CheckConstraint(
                name="job_check_is_never_served", condition=Q(verifies__isnull=True) | Q(transformed=True)
            ),
            models.CheckConstraint(
                name="job_running_has_a_lease",
                condition=~Q(status="running") | Q(lease_until__isnull=False, started_at__isnull=False),
            ),
            models.CheckConstraint(
                name="job_asked_for_is_never_preempted",
                condition=~Q(status__in=["preempted", "discarded"]) | Q(call_id__isnull=True),
            ),
        ]
        indexes = [
            models.Index(
                fields=["pool"],
                name="job_holds_a_slot",
                condition=Q(status__in=["queued", "running", "preempted"], ended_at__isnull=True),
            ),
            models.Index(fields=["session", "created_at"], name="job_by_session"),
            models.Index(fields=["session", "fingerprint"], name="job_by_work"),
            models.Index(fields=["lease_until"], name="job_recovery", condition=Q(status="running")),
            models.Index(fields=["tool", "-created_at"], name="job_by_tool"),
            models.Index(fields=["created_at"], name="job_warm_up", condition=Q(transformed=True, verifies=None)),
            models.Index(fields=["scope"], name="job_changing_a_scope", condition=~Q(scope="") & ~Q(effect="none")),
        ]

    def __str__(self) -> str:
        return f"{self.tool.name} {self.status}"

    @property
    def is_speculative(self) -> bool:
        return self.call_id is None

    @property
    def is_warm_up(self) -> bool:
        """True if it is no run of the call, only of what makes the call quicker."""
        return self.transformed and self.verifies_id is None
