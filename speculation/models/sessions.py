"""Agents, their sessions, and the one append-only log of each session."""

from django.db import models
from django.db.models.functions import Now
from uuid6 import uuid7


class ModelKind(models.TextChoices):
    OPENAI = "openai", "OpenAI-compatible endpoint"
    SCRIPTED = "scripted", "scripted model"
    RECORDED = "recorded", "recorded model"
    REMOTE = "remote", "agent elsewhere, over MCP"


TAKE_NO_TASKS = (ModelKind.RECORDED, ModelKind.REMOTE)
"""Agents to which nobody submits a task: they live recordings again, or run elsewhere."""


class SpeculationMode(models.TextChoices):
    OFF = "off", "off"
    SHADOW = "shadow", "shadow: predict, run nothing"
    CANARY = "canary", "canary: a share of sessions"
    ON = "on", "on"


class AgentProfile(models.Model):
    """An agent as an operator sets it up: which model, which tools, how much speculation."""

    name = models.SlugField(unique=True)
    title = models.CharField(max_length=200, blank=True)
    model_kind = models.CharField(max_length=16, choices=ModelKind, default=ModelKind.OPENAI)
    endpoint = models.CharField(max_length=500, blank=True, help_text="Base URL; empty takes PASTE_LLM_BASE_URL.")
    model = models.CharField(max_length=200, blank=True, help_text="Model name; empty takes PASTE_LLM_MODEL.")
    tool_call_style = models.CharField(
        max_length=16, default="native", choices=[("native", "native tool calls"), ("json", "JSON schema for small models")]
    )
    script = models.CharField(max_length=100, blank=True, help_text="Which scripted model, for demo agents.")
    world = models.CharField(max_length=100, blank=True, help_text="Template of files and records each session gets a copy of.")
    system_prompt = models.TextField(blank=True)
    tools = models.ManyToManyField("speculation.ToolRecord", blank=True, related_name="agents")
    mode = models.CharField(max_length=16, choices=SpeculationMode, default=SpeculationMode.SHADOW)
    canary_percent = models.PositiveSmallIntegerField(default=10)
    holdout_percent = models.PositiveSmallIntegerField(default=0)
    max_turns = models.PositiveIntegerField(default=30)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_scripted(self) -> bool:
        return self.model_kind == ModelKind.SCRIPTED

    @property
    def takes_tasks(self) -> bool:
        return self.model_kind not in TAKE_NO_TASKS

    @property
    def is_remote(self) -> bool:
        """True if it runs elsewhere and calls its tools over MCP: it takes no tasks."""
        return self.model_kind == ModelKind.REMOTE


class SessionStatus(models.TextChoices):
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


class Arm(models.TextChoices):
    ON = "on", "with speculation"
    OFF = "off", "without speculation"
    SHADOW = "shadow", "shadow"
    HOLDOUT = "holdout", "holdout"


class Origin(models.TextChoices):
    TASK = "task", "submitted"
    DEMO = "demo", "demo"
    LEARNING = "learning", "demo, learning"
    REPLAY = "replay", "replayed recording"
    REMOTE = "remote", "called over MCP"
    IMPORTED = "imported", "imported trace"


class Session(models.Model):
    """One task from submission to answer. `epoch` is odd while a call that may change something is running."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    agent = models.ForeignKey(AgentProfile, on_delete=models.PROTECT, related_name="sessions")
    task = models.TextField()
    status = models.CharField(max_length=16, choices=SessionStatus, default=SessionStatus.QUEUED)
    arm = models.CharField(max_length=16, choices=Arm, default=Arm.ON)
    speculation = models.CharField(max_length=16, default="auto", help_text="What was asked for: auto, on, off, shadow.")
    origin = models.CharField(max_length=16, choices=Origin, default=Origin.TASK)
    model_name = models.CharField(max_length=200, blank=True)
    epoch = models.PositiveIntegerField(default=0)
    last_seq = models.PositiveIntegerField(default=0)
    owner = models.CharField(max_length=200, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    max_turns = models.PositiveIntegerField(default=30)
    timeout_seconds = models.FloatField(null=True, blank=True)
    labels = models.JSONField(default=dict, blank=True)
    world = models.JSONField(default=dict, blank=True, help_text="Template, working directory, schema of this session's own copy.")
    pair = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    submitted_by = models.ForeignKey("speculation.ApiKey", null=True, blank=True, on_delete=models.SET_NULL, related_name="sessions")
    client_session = models.CharField(max_length=64, blank=True, default="", help_text="Of a remote agent: a hash of how its client names the session.")
    client_left_at = models.DateTimeField(null=True, blank=True, help_text="Of a remote agent: its client said that it makes no more calls.")
    parked_at = models.DateTimeField(null=True, blank=True, help_text="Of a remote agent: since when no worker waits for its next call.")
    parks = models.PositiveIntegerField(default=0, help_text="How often it was parked: so many of its attempts lost no worker.")
    party = models.CharField(max_length=64, blank=True, default="", help_text="Whose share of the workers it uses: a key's, a user's, an origin's.")
    answer = models.TextField(null=True, blank=True)  # noqa: DJ001  (no answer yet and an empty answer differ)
    error = models.TextField(null=True, blank=True)  # noqa: DJ001  (the same)
    mined_seq = models.PositiveIntegerField(default=0, help_text="Of a remote agent: before which entry of its log it was learned from while parked.")
    mined_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["status", "lease_until"], name="session_recovery"),
            models.Index(fields=["-created_at"], name="session_newest"),
            models.Index(fields=["agent", "-created_at"], name="session_by_agent"),
            models.Index(fields=["started_at"], name="session_by_start"),
            models.Index(fields=["party", "started_at"], name="session_by_party"),
            models.Index(fields=["ended_at"], name="session_by_end"),
            models.Index(
                fields=["party", "status", "created_at", "id"],
                name="session_in_line",
                condition=models.Q(status__in=["queued", "running"]),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                name="client_session_is_open_once",
                fields=["submitted_by", "agent", "client_session"],
                condition=models.Q(status__in=["queued", "running"]) & ~models.Q(client_session=""),
            ),
            models.CheckConstraint(
                name="session_ended_exactly_when_final",
                condition=models.Q(status__in=["queued", "running"], ended_at__isnull=True)
                | models.Q(status__in=["succeeded", "failed", "cancelled"], ended_at__isnull=False),
            ),
        ]
        permissions = [("view_payloads", "Can read arguments, results and texts of sessions")]

    def __str__(self) -> str:
        return self.short_id

    @property
    def short_id(self) -> str:
        """The last 8 characters: the first ones of a UUIDv7 are time, alike for sessions of one minute."""
        return str(self.pk)[-8:]

    @property
    def has_ended(self) -> bool:
        return self.status not in (SessionStatus.QUEUED, SessionStatus.RUNNING)


class EventRecord(models.Model):
    """One line of a session's log. Append-only; written by events.py alone; `seq` has no gaps within a session."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=32)
    at = models.DateTimeField()
    payload = models.JSONField(default=dict)

    class Meta:
        ordering = ["session", "seq"]
        constraints = [models.UniqueConstraint(fields=["session", "seq"], name="event_seq_is_unique_in_session")]
        indexes = [models.Index(fields=["kind", "at"], name="event_by_kind")]

    def __str__(self) -> str:
        return f"{self.seq} {self.kind}"
