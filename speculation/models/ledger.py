"""What ended sessions came to: their figures, kept so that pages can add up thousands. Written by ledger.py alone."""

from decimal import Decimal

from django.db import models
from django.db.models.functions import Now

from speculation.models.policy import SUM_OF_PRICES, ToolRecord
from speculation.models.sessions import Session


class SessionFigures(models.Model):
    """One ended session's figures, as figures.py has them. Seconds; sums over its turns and runs."""

    session = models.OneToOneField(Session, primary_key=True, on_delete=models.CASCADE, related_name="booked")
    last_seq = models.PositiveIntegerField(help_text="How far its log was read: a longer log is booked anew.")
    queued_seconds = models.FloatField()
    task_seconds = models.FloatField()
    decode_seconds = models.FloatField()
    waited_seconds = models.FloatField()
    net_saved_seconds = models.FloatField(help_text="Estimated; below zero where speculation cost more than it saved.")
    interference_seconds = models.FloatField()
    hidden_seconds = models.FloatField()
    would_hide_seconds = models.FloatField(help_text="Shadow: what predictions that nobody acted on would have hidden.")
    wasted_seconds = models.FloatField(help_text="Of workers.")
    used_seconds = models.FloatField(help_text="Of workers, by runs that started early and served a call.")
    turns = models.PositiveIntegerField()
    calls = models.PositiveIntegerField()
    eligible_calls = models.PositiveIntegerField()
    launches = models.PositiveIntegerField(help_text="Runs that started before anyone asked.")
    hits = models.PositiveIntegerField(help_text="Those of them that were asked for.")
    wasted_runs = models.PositiveIntegerField()
    wasted_price = models.DecimalField(
        **SUM_OF_PRICES, default=Decimal(0), help_text="What those runs' calls cost, at the prices they were admitted at."
    )
    usual = models.JSONField(
        default=dict,
        help_text="What was usual when it was booked, seconds: {tools: {name: run}, queue}. Old runs are deleted, figures stay.",
    )
    by_minute = models.JSONField(
        default=list, help_text="[minute since 1970, net saved, interference, used, wasted], seconds, where any is not 0."
    )
    booked_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "figures of sessions"

    def __str__(self) -> str:
        return f"figures of {str(self.session_id)[-8:]}"


class ToolFigures(models.Model):
    """One tool's part in one ended session. Seconds of workers, but what was hidden and would be, of the agent."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="booked_tools")
    tool = models.ForeignKey(ToolRecord, on_delete=models.CASCADE, related_name="booked")
    calls = models.PositiveIntegerField()
    eligible_calls = models.PositiveIntegerField()
    failed_calls = models.PositiveIntegerField()
    launches = models.PositiveIntegerField()
    hits = models.PositiveIntegerField()
    hidden_seconds = models.FloatField()
    wasted_seconds = models.FloatField()
    waste = models.JSONField(default=dict, help_text="Reason: [runs, seconds].")
    wasted_price = models.DecimalField(**SUM_OF_PRICES, default=Decimal(0))
    price_by_reason = models.JSONField(default=dict, help_text="Reason: what of wasted_price is its, as text; without those that were free.")
    would_launches = models.PositiveIntegerField(help_text="Shadow: distinct calls foreseen that no decision let run.")
    would_hits = models.PositiveIntegerField(help_text="Shadow: those of them that were asked for.")
    would_hide_seconds = models.FloatField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["session", "tool"], name="tool_is_booked_once_in_session")]
        verbose_name_plural = "figures of tools"

    def __str__(self) -> str:
        return f"{self.tool} in {str(self.session_id)[-8:]}"
