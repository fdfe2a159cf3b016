"""Tools as they are known to operators, and every decision ever taken about them."""

from decimal import Decimal

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

PRICE = {"max_digits": 12, "decimal_places": 6}
"""Digits of an amount of money, in the installation's one currency: whole amounts below a million."""
SUM_OF_PRICES = {"max_digits": 20, "decimal_places": 6}
PRICE_TOO_HIGH = Decimal(10) ** (PRICE["max_digits"] - PRICE["decimal_places"])


class ToolRecord(models.Model):
    """A tool of a server ("builtin", "recorded.<source>", or a remote one). Jobs and approvals point here."""

    server = models.CharField(max_length=100, default="builtin")
    name = models.CharField(max_length=200)
    definition = models.JSONField(default=dict)
    definition_hash = models.CharField(max_length=64, blank=True)
    effect = models.CharField(max_length=32, default="unknown")
    open_world = models.BooleanField(default=False)
    policy_version = models.PositiveIntegerField(default=1, help_text="Steps with every decision, switch and changed definition.")
    enabled = models.BooleanField(default=True, help_text="The operator's switch: off stops speculation now, keeps the decision.")
    disabled_reason = models.CharField(max_length=500, blank=True)
    runs = models.PositiveIntegerField(default=0)
    mean_seconds = models.FloatField(default=1.0)
    quantiles = models.JSONField(default=dict)
    processors = models.FloatField(
        null=True, blank=True, help_text="Kept busy while it runs, of its recent runs: 0 only waits, 1 computes all the time."
    )
    price_per_call = models.DecimalField(
        **PRICE, default=Decimal(0), help_text="What one call of it costs, in the installation's currency; 0 is free."
    )
    credentials_hash = models.CharField(max_length=64, blank=True, help_text="Of what it signs in with, never that itself.")
    verified = models.PositiveIntegerField(default=0, help_text="Served guesses that a second run confirmed.")
    diverged = models.PositiveIntegerField(default=0, help_text="Served guesses that a second run contradicted.")
    shadow = models.JSONField(default=dict, help_text="Shadow statistics: would have started, asked for, seconds.")
    reads_only_by = models.CharField(max_length=150, blank=True, help_text="Who declared that it only reads, where it says nothing.")
    reads_only_hash = models.CharField(max_length=64, blank=True, help_text="The definition that this was declared of.")
    first_seen_at = models.DateTimeField(db_default=Now())
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["server", "name"]
        constraints = [
            models.UniqueConstraint(fields=["server", "name"], name="tool_is_unique_on_server"),
            # PostgreSQL's NaN is above every number, so the upper bound keeps it out
            models.CheckConstraint(
                condition=models.Q(price_per_call__gte=0, price_per_call__lt=PRICE_TOO_HIGH),
                name="tool_price_is_an_amount",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.server}/{self.name}"


class ApprovalLevel(models.TextChoices):
    NEVER = "never", "never"
    SHADOW = "shadow", "shadow: predict, run nothing"
    CANARY = "canary", "canary: a share of sessions"
    TRANSFORMED = "transformed", "transformed: its warm-up alone"
    FULL = "full", "full"
    REVIEW = "review", "needs review"


class Approval(models.Model):
    """One decision about one tool. Append-only; the newest wins; it holds only for the definition it pinned."""

    tool = models.ForeignKey(ToolRecord, on_delete=models.PROTECT, related_name="approvals")
    definition_hash = models.CharField(max_length=64)
    definition = models.JSONField(null=True, blank=True, help_text="As it was read; empty where that was not kept yet.")
    level = models.CharField(max_length=16, choices=ApprovalLevel)
    agent = models.ForeignKey("speculation.AgentProfile", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    canary_percent = models.PositiveSmallIntegerField(default=10)
    argument_rule = models.JSONField(null=True, blank=True, help_text="JSON Schema that a call's arguments must meet.")
    ttl_seconds = models.FloatField(null=True, blank=True)
    max_parallel = models.PositiveIntegerField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    may_tell_new_values = models.BooleanField(
        default=False, help_text="To an outside party: also what the session has not exchanged with its server before."
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    who = models.CharField(max_length=150)
    why = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.tool} {self.level}"
