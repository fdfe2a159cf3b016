"""Alerts: which figures an operator wants to hear of, with defaults. What is deleted by days needs no table of its own."""

from django.db import migrations, models

METRICS = [
    ("net_saved", "net saved, seconds"),
    ("precision", "precision, a share"),
    ("waste", "worker seconds wasted for each second saved"),
    ("interference", "interference a session, seconds"),
    ("failed", "sessions that failed, a share"),
    ("unknown", "calls with an unknown outcome, a share"),
    ("queue_wait", "queue wait of real calls, 95th percentile, seconds"),
    ("effect", "estimate outside the measured effect, by a share"),
    ("holdout", "sessions in the holdout, a share"),
]
DEFAULTS = [
    # metric, side, value, window in hours, least count
    ("net_saved", "below", 0.0, 24, 30),
    ("precision", "below", 0.3, 24, 50),
    ("waste", "above", 5.0, 24, 30),
    ("interference", "above", 1.0, 24, 30),
    ("failed", "above", 0.2, 24, 20),
    ("unknown", "above", 0.01, 24, 100),
    ("queue_wait", "above", 2.0, 1, 30),
    ("effect", "above", 0.0, 168, 30),
    ("holdout", "below", 0.01, 168, 100),
]


def set_defaults(apps, schema_editor):
    thresholds = apps.get_model("speculation", "AlertThreshold")
    for metric, side, value, window_hours, least in DEFAULTS:
        thresholds.objects.create(metric=metric, side=side, value=value, window_hours=window_hours, least=least)


class Migration(migrations.Migration):
    dependencies = [("speculation", "0010_decisions")]

    operations = [
        migrations.CreateModel(
            name="AlertThreshold",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("metric", models.CharField(choices=METRICS, max_length=16)),
                ("side", models.CharField(choices=[("above", "above"), ("below", "below")], max_length=8)),
                ("value", models.FloatField(help_text="Seconds, or a share: 0.4 is 40 %.")),
                (
                    "window_hours",
                    models.FloatField(
                        default=24.0, help_text="What is measured is the latest so many hours; at most 720."
                    ),
                ),
                (
                    "least",
                    models.PositiveIntegerField(
                        default=30,
                        help_text="Fewer sessions, runs or calls than this raise no alert: what the figure is of.",
                    ),
                ),
                ("enabled", models.BooleanField(default=True)),
            ],
            options={
                "ordering": ["metric", "side", "window_hours"],
                "constraints": [
                    models.UniqueConstraint(fields=["metric", "side", "window_hours"], name="alert_is_set_once"),
                    models.CheckConstraint(
                        condition=models.Q(window_hours__gt=0, window_hours__lte=720),
                        name="alert_window_is_a_month_at_most",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(value__gte=-1e9, value__lte=1e9), name="alert_value_is_a_number"
                    ),
                ],
            },
        ),
        migrations.RunPython(set_defaults, migrations.RunPython.noop),
    ]
