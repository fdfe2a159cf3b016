"""Breakers: the limits whose passing switches speculation off, what is off at present, and quotas that tools report."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from speculation.models.policy import ToolRecord
from speculation.models.sessions import AgentProfile


class BreakerKind(models.TextChoices):
    WASTE = "waste", "waste"
    INTERFERENCE = "interference", "interference"
    ERRORS = "errors", "errors"
    DIVERGENCE = "divergence", "divergence"
    QUOTA = "quota", "quota"
    AUTH = "auth", "refused credentials"
    UNSTARTED = "unstarted", "guesses not begun"
    PAUSE = "pause", "paused by an operator"


class BreakerScope(models.TextChoices):
    TOOL = "tool", "a tool"
    AGENT = "agent", "an agent"
    ALL = "all", "all speculation"


class Breaker(models.Model):
    """The limits of one kind for one tool, one agent or all; without a tool or an agent of its own: for every one."""

    kind = models.CharField(max_length=16, choices=[one for one in BreakerKind.choices if one[0] != "pause"])
    scope = models.CharField(max_length=8, choices=BreakerScope)
    tool = models.ForeignKey(ToolRecord, null=True, blank=True, on_delete=models.CASCADE, related_name="breakers")
    agent = models.ForeignKey(AgentProfile, null=True, blank=True, on_delete=models.CASCADE, related_name="breakers")
    limit = models.FloatField(
        help_text="Waste and interference: seconds. Errors: a share, 0.5 is half. Quota: calls left. Others: a count."
    )
    window_seconds = models.FloatField(default=60.0, help_text="What is measured is what happened in so long.")
    reset_seconds = models.FloatField(default=300.0, help_text="How long speculation stays off.")
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["kind", F("scope").desc(), "tool", "agent"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "scope", "tool", "agent"], name="breaker_is_unique", nulls_distinct=False
            ),
            models.CheckConstraint(
                name="breaker_names_its_scope",
                condition=Q(scope="tool", agent=None)
                | Q(scope="agent", tool=None)
                | Q(scope="all", tool=None, agent=None),
            ),
            models.CheckConstraint(
                name="breaker_limits_are_above_zero",
                condition=Q(limit__gt=0, window_seconds__gt=0, reset_seconds__gt=0),
            ),
        ]

    def __str__(self) -> str:
        whose = self.tool or (f"agent {self.agent}" if self.agent else _EVERY[BreakerScope(self.scope)])
        return f"{self.kind} breaker of {whose}"


_EVERY = {BreakerScope.TOOL: "every tool", BreakerScope.AGENT: "every agent", BreakerScope.ALL: "all speculation"}


class BreakerOpening(models.Model):
    """One time that speculation was switched off. Append-only but for its end; at most one is open for each object.

    It holds from `opened_at` until it is closed or `open_until` has passed, by the database's clock. A pause by an
    operator has no `open_until`.
    """

    kind = models.CharField(max_length=16, choices=BreakerKind)
    scope = models.CharField(max_length=8, choices=BreakerScope)
    tool = models.ForeignKey(ToolRecord, null=True, blank=True, on_delete=models.CASCADE, related_name="openings")
    agent = models.ForeignKey(AgentProfile, null=True, blank=True, on_delete=models.CASCADE, related_name="openings")
    reason = models.CharField(max_length=500)
    measured = models.FloatField(null=True, blank=True)
    limit = models.FloatField(null=True, blank=True)
    reopened = models.PositiveIntegerField(default=0, help_text="How often it had opened in the day before.")
    opened_at = models.DateTimeField(db_default=Now())
    open_until = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-opened_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "scope", "tool", "agent"],
                name="breaker_opens_once",
                condition=Q(closed_at__isnull=True),
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                name="opening_names_its_object",
                condition=Q(scope="tool", tool__isnull=False, agent=None)
                | Q(scope="agent", tool=None, agent__isnull=False)
                | Q(scope="all", tool=None, agent=None),
            ),
            models.CheckConstraint(
                name="opening_ends_by_itself", condition=Q(kind="pause") | Q(open_until__isnull=False)
            ),
        ]
        indexes = [models.Index(fields=["tool", "opened_at"], name="opening_by_tool")]

    def __str__(self) -> str:
        whose = self.tool or (f"agent {self.agent}" if self.agent else _EVERY[BreakerScope.ALL])
        return f"{self.kind} of {whose}"


class ToolQuota(models.Model):
    """What a tool last said of its quota at the other side."""

    tool = models.OneToOneField(ToolRecord, primary_key=True, on_delete=models.CASCADE, related_name="quota")
    left = models.FloatField(help_text="Calls, or whatever the other side counts.")
    resets_at = models.DateTimeField(null=True, blank=True)
    noted_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.tool}: {self.left:g} left"
