"""What an operator wants to hear of: a figure of the latest hours that lies beyond a value."""

from django.db import models
from django.db.models import Q


class AlertMetric(models.TextChoices):
    NET_SAVED = "net_saved", "net saved, seconds"
    PRECISION = "precision", "precision, a share"
    WASTE = "waste", "worker seconds wasted for each second saved"
    INTERFERENCE = "interference", "interference a session, seconds"
    FAILED = "failed", "sessions that failed, a share"
    UNKNOWN = "unknown", "calls with an unknown outcome, a share"
    QUEUE_WAIT = "queue_wait", "queue wait of real calls, 95th percentile, seconds"
    EFFECT = "effect", "estimate outside the measured effect, by a share"
    HOLDOUT = "holdout", "sessions in the holdout, a share"


class AlertSide(models.TextChoices):
    ABOVE = "above", "above"
    BELOW = "below", "below"


class AlertThreshold(models.Model):
    """One alert: it stands while `metric` of the last `window_hours` is above, or below, `value`."""

    metric = models.CharField(max_length=16, choices=AlertMetric)
    side = models.CharField(max_length=8, choices=AlertSide)
    value = models.FloatField(help_text="Seconds, or a share: 0.4 is 40 %.")
    window_hours = models.FloatField(
        default=24.0, help_text="What is measured is the latest so many hours; at most 720."
    )
    least = models.PositiveIntegerField(
        default=30, help_text="Fewer sessions, runs or calls than this raise no alert: what the figure is of."
    )
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["metric", "side", "window_hours"]
        constraints = [
            models.UniqueConstraint(fields=["metric", "side", "window_hours"], name="alert_is_set_once"),
            models.CheckConstraint(
                name="alert_window_is_a_month_at_most", condition=Q(window_hours__gt=0, window_hours__lte=720)
            ),
            # NaN, in PostgreSQL larger than every number, fails the second.
            models.CheckConstraint(name="alert_value_is_a_number", condition=Q(value__gte=-1e9, value__lte=1e9)),
        ]

    def __str__(self) -> str:
        return f"{self.get_metric_display()} {self.side} {self.value:g}"
