"""Breakers: their limits with defaults for every tool, every agent and all, what is open, and what tools say of quotas."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now

KINDS = [
    ("waste", "waste"),
    ("interference", "interference"),
    ("errors", "errors"),
    ("divergence", "divergence"),
    ("quota", "quota"),
    ("auth", "refused credentials"),
]
SCOPES = [("tool", "a tool"), ("agent", "an agent"), ("all", "all speculation")]
LEVELS = [
    ("never", "never"),
    ("shadow", "shadow: predict, run nothing"),
    ("canary", "canary: a share of sessions"),
    ("transformed", "transformed: a dry run that warms"),
    ("full", "full"),
    ("review", "needs review"),
]
DEFAULTS = {
    # kind: limits of a tool, an agent and all; window and reset in seconds
    "waste": ((60, 120, 240), 60, 300),
    "interference": ((5, 10, 10), 60, 300),
    "errors": ((0.5, 0.5, 0.5), 300, 600),
    "divergence": ((1, 3, 5), 3600, 3600),
    "auth": ((1, 5, 10), 600, 600),
    "quota": ((10,), 60, 600),
}


def set_defaults(apps, schema_editor):
    breakers = apps.get_model("speculation", "Breaker")
    for kind, (limits, window_seconds, reset_seconds) in DEFAULTS.items():
        for scope, limit in zip(("tool", "agent", "all"), limits, strict=False):  # a quota is a tool's own
            breakers.objects.create(
                kind=kind, scope=scope, limit=limit, window_seconds=window_seconds, reset_seconds=reset_seconds
            )


def whose(related_name):
    return [
        (
            "tool",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name=related_name,
                to="speculation.toolrecord",
            ),
        ),
        (
            "agent",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name=related_name,
                to="speculation.agentprofile",
            ),
        ),
    ]


class Migration(migrations.Migration):
    dependencies = [("speculation", "0004_isolation")]

    operations = [
        migrations.AlterField(
            model_name="approval", name="level", field=models.CharField(choices=LEVELS, max_length=16)
        ),
        migrations.CreateModel(
            name="Breaker",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=KINDS, max_length=16)),
                ("scope", models.CharField(choices=SCOPES, max_length=8)),
                *whose("breakers"),
                (
                    "limit",
                    models.FloatField(
                        help_text="Waste and interference: seconds. Errors: a share, 0.5 is half. "
                        "Quota: calls left. Others: a count."
                    ),
                ),
                (
                    "window_seconds",
                    models.FloatField(default=60.0, help_text="What is measured is what happened in so long."),
                ),
                ("reset_seconds", models.FloatField(default=300.0, help_text="How long speculation stays off.")),
                ("enabled", models.BooleanField(default=True)),
            ],
            options={
                "ordering": ["kind", models.F("scope").desc(), "tool", "agent"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("kind", "scope", "tool", "agent"), name="breaker_is_unique", nulls_distinct=False
                    ),
                    models.CheckConstraint(
                        name="breaker_names_its_scope",
                        condition=models.Q(scope="tool", agent=None)
                        | models.Q(scope="agent", tool=None)
                        | models.Q(scope="all", tool=None, agent=None),
                    ),
                    models.CheckConstraint(
                        name="breaker_limits_are_above_zero",
                        condition=models.Q(limit__gt=0, window_seconds__gt=0, reset_seconds__gt=0),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="BreakerOpening",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[*KINDS, ("pause", "paused by an operator")], max_length=16)),
                ("scope", models.CharField(choices=SCOPES, max_length=8)),
                *whose("openings"),
                ("reason", models.CharField(max_length=500)),
                ("measured", models.FloatField(blank=True, null=True)),
                ("limit", models.FloatField(blank=True, null=True)),
                (
                    "reopened",
                    models.PositiveIntegerField(default=0, help_text="How often it had opened in the day before."),
                ),
                ("opened_at", models.DateTimeField(db_default=Now())),
                ("open_until", models.DateTimeField(blank=True, null=True)),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                ("closed_by", models.CharField(blank=True, max_length=150)),
            ],
            options={
                "ordering": ["-opened_at", "-id"],
                "indexes": [models.Index(fields=["tool", "opened_at"], name="opening_by_tool")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(closed_at__isnull=True),
                        fields=("kind", "scope", "tool", "agent"),
                        name="breaker_opens_once",
                        nulls_distinct=False,
                    ),
                    models.CheckConstraint(
                        name="opening_names_its_object",
                        condition=models.Q(scope="tool", tool__isnull=False, agent=None)
                        | models.Q(scope="agent", tool=None, agent__isnull=False)
                        | models.Q(scope="all", tool=None, agent=None),
                    ),
                    models.CheckConstraint(
                        name="opening_ends_by_itself",
                        condition=models.Q(kind="pause") | models.Q(open_until__isnull=False),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ToolQuota",
            fields=[
                (
                    "tool",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="quota",
                        serialize=False,
                        to="speculation.toolrecord",
                    ),
                ),
                ("left", models.FloatField(help_text="Calls, or whatever the other side counts.")),
                ("resets_at", models.DateTimeField(blank=True, null=True)),
                ("noted_at", models.DateTimeField(db_default=Now())),
            ],
        ),
        migrations.RunPython(set_defaults, migrations.RunPython.noop),
    ]
