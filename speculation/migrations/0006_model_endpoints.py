"""Whose turn a session uses, and seats at model endpoints that have a limit."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [
        ("speculation", "0005_breakers"),
    ]

    operations = [
        migrations.AddField(
            model_name="session",
            name="party",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Whose share of the workers it uses: a key's, a user's, an origin's.",
                max_length=64,
            ),
        ),
        migrations.AddIndex(
            model_name="session",
            index=models.Index(fields=["started_at"], name="session_by_start"),
        ),
        migrations.AddIndex(
            model_name="session",
            index=models.Index(fields=["party", "started_at"], name="session_by_party"),
        ),
        migrations.AddIndex(
            model_name="session",
            index=models.Index(
                condition=models.Q(("status__in", ["queued", "running"])),
                fields=["party", "status", "created_at", "id"],
                name="session_in_line",
            ),
        ),
        migrations.CreateModel(
            name="ModelEndpoint",
            fields=[
                (
                    "name",
                    models.CharField(
                        help_text='A base URL, or "scripted" or "recorded".',
                        max_length=500,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "most_requests",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="At once; 0 is no limit, empty takes PASTE_MOST_MODEL_REQUESTS.",
                        null=True,
                    ),
                ),
            ],
            options={"ordering": ["name"]},
        ),
        migrations.CreateModel(
            name="ModelSeat",
            fields=[
                (
                    "session",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="seat",
                        serialize=False,
                        to="speculation.session",
                    ),
                ),
                ("attempt", models.PositiveIntegerField()),
                (
                    "usual_tool_seconds",
                    models.FloatField(help_text="A call of this agent usually takes so long."),
                ),
                ("model_seconds", models.FloatField(help_text="Expected length of the request.")),
                ("asked_at", models.DateTimeField(db_default=Now())),
                ("seated_at", models.DateTimeField(blank=True, null=True)),
                (
                    "endpoint",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="seats",
                        to="speculation.modelendpoint",
                    ),
                ),
            ],
            options={"ordering": ["asked_at"]},
        ),
    ]
