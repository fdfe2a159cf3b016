"""A breaker that opens where no worker begins guesses: else their messages would pile up at the broker."""

from django.db import migrations, models

KINDS = [
    ("waste", "waste"),
    ("interference", "interference"),
    ("errors", "errors"),
    ("divergence", "divergence"),
    ("quota", "quota"),
    ("auth", "refused credentials"),
    ("unstarted", "guesses not begun"),
]


def set_default(apps, schema_editor):
    """Of all speculation: whether a worker runs has nothing to do with a tool or an agent."""
    apps.get_model("speculation", "Breaker").objects.create(
        kind="unstarted", scope="all", limit=3, window_seconds=60, reset_seconds=120
    )


class Migration(migrations.Migration):
    dependencies = [("speculation", "0012_processor_seconds")]

    operations = [
        migrations.AlterField(
            model_name="breaker", name="kind", field=models.CharField(choices=KINDS, max_length=16)
        ),
        migrations.AlterField(
            model_name="breakeropening",
            name="kind",
            field=models.CharField(choices=[*KINDS, ("pause", "paused by an operator")], max_length=16),
        ),
        migrations.RunPython(set_default, migrations.RunPython.noop),
    ]
