"""What isolation, verification and invalidation need: throttle, shared scopes, checks of served guesses, calls in place."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("speculation", "0003_name_tables_for_people"),
    ]

    operations = [
        migrations.CreateModel(
            name="ResourceScope",
            fields=[
                ("name", models.CharField(max_length=200, primary_key=True, serialize=False)),
                ("epoch", models.PositiveIntegerField(default=0)),
            ],
        ),
        migrations.AddField(
            model_name="tooljob",
            name="in_part",
            field=models.BooleanField(default=False, help_text="Its call asked for a part: the answer is cut out."),
        ),
        migrations.AddField(
            model_name="tooljob",
            name="scope",
            field=models.CharField(
                blank=True, help_text="The shared state it reads or changes, if any.", max_length=200
            ),
        ),
        migrations.AddField(
            model_name="tooljob",
            name="scope_epoch",
            field=models.PositiveIntegerField(default=0, help_text="The scope's when the job was made."),
        ),
        migrations.AddField(
            model_name="tooljob",
            name="verifies",
            field=models.ForeignKey(
                blank=True,
                help_text="The promoted job whose result this run checks.",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="checks",
                to="speculation.tooljob",
            ),
        ),
        migrations.AddField(
            model_name="toolrecord",
            name="credentials_hash",
            field=models.CharField(blank=True, help_text="Of what it signs in with, never that itself.", max_length=64),
        ),
        migrations.AddField(
            model_name="toolrecord",
            name="diverged",
            field=models.PositiveIntegerField(default=0, help_text="Served guesses that a second run contradicted."),
        ),
        migrations.AddField(
            model_name="toolrecord",
            name="verified",
            field=models.PositiveIntegerField(default=0, help_text="Served guesses that a second run confirmed."),
        ),
        migrations.AddField(
            model_name="workerpool",
            name="throttle_percent",
            field=models.PositiveSmallIntegerField(
                default=0, help_text="Share of the guesses worth running that is not run, in %."
            ),
        ),
        migrations.AlterField(
            model_name="tooljob",
            name="pool",
            field=models.ForeignKey(
                blank=True,
                help_text="Whose slot it takes; empty where its session's own worker runs it, in place.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="jobs",
                to="speculation.workerpool",
            ),
        ),
        migrations.AlterField(
            model_name="tooljob",
            name="transformed",
            field=models.BooleanField(default=False, help_text="A dry run or a check; never served."),
        ),
        migrations.AddIndex(
            model_name="tooljob",
            index=models.Index(fields=["session", "fingerprint"], name="job_by_work"),
        ),
        migrations.AddIndex(
            model_name="tooljob",
            index=models.Index(
                condition=models.Q(models.Q(("scope", ""), _negated=True), models.Q(("effect", "none"), _negated=True)),
                fields=["scope"],
                name="job_changing_a_scope",
            ),
        ),
        migrations.AddConstraint(
            model_name="tooljob",
            constraint=models.CheckConstraint(
                condition=models.Q(("verifies__isnull", True), ("transformed", True), _connector="OR"),
                name="job_check_is_never_served",
            ),
        ),
        migrations.AddConstraint(
            model_name="workerpool",
            constraint=models.CheckConstraint(
                condition=models.Q(("throttle_percent__lte", 100)), name="pool_throttle_is_a_percentage"
            ),
        ),
    ]
