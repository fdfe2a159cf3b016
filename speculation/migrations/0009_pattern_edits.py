"""Versions of what operators say about patterns, and the lifetime counts that a pattern's recent ones are held against."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Now

COUNT_WHAT_IS_KNOWN = """
UPDATE speculation_patternrecord AS pattern SET hits_ever = known.hits, runs_ever = known.runs
FROM (
    SELECT job.pattern_id, count(job.call_id) AS hits, count(*) AS runs
    FROM speculation_tooljob AS job JOIN speculation_session AS session ON session.id = job.session_id
    WHERE job.pattern_id IS NOT NULL AND job.started_at IS NOT NULL AND session.ended_at IS NOT NULL
    GROUP BY job.pattern_id
) AS known
WHERE pattern.id = known.pattern_id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("speculation", "0008_roles"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            "patternrecord",
            "hits_ever",
            models.PositiveIntegerField(default=0, help_text="The same, each counted once and for good."),
        ),
        migrations.AddField(
            "patternrecord",
            "runs_ever",
            models.PositiveIntegerField(default=0, help_text="Speculations that started, in sessions that have ended."),
        ),
        migrations.AlterField(
            "patternrecord",
            "version",
            models.PositiveIntegerField(default=1, help_text="Steps whenever mining changes the pattern."),
        ),
        migrations.CreateModel(
            name="PatternEdit",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "pattern",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="edits",
                        to="speculation.patternrecord",
                    ),
                ),
                ("number", models.PositiveIntegerField(help_text="1 is the first; before it stands what was mined.")),
                ("before", models.JSONField()),
                ("after", models.JSONField()),
                (
                    "mined_version",
                    models.PositiveIntegerField(help_text="The pattern's own version when it was edited."),
                ),
                (
                    "reverts_to",
                    models.PositiveIntegerField(blank=True, help_text="The version that it brought back.", null=True),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("who", models.CharField(max_length=150)),
                ("why", models.TextField(blank=True)),
                ("at", models.DateTimeField(db_default=Now())),
            ],
            options={"ordering": ["pattern", "-number"]},
        ),
        migrations.AddConstraint(
            "patternedit", models.UniqueConstraint(fields=("pattern", "number"), name="pattern_edit_is_numbered_once")
        ),
        migrations.RunSQL(COUNT_WHAT_IS_KNOWN, migrations.RunSQL.noop),
    ]
