"""Decisions keep the definition they pin; a tool of unknown effect keeps who declared that it only reads."""

from django.db import migrations, models

_KEEP_WHAT_IS_STILL_KNOWN = """
UPDATE speculation_approval AS approval SET definition = tool.definition
FROM speculation_toolrecord AS tool
WHERE tool.id = approval.tool_id AND tool.definition_hash = approval.definition_hash AND approval.definition IS NULL
"""


class Migration(migrations.Migration):
    dependencies = [("speculation", "0009_pattern_edits")]

    operations = [
        migrations.AddField(
            model_name="approval",
            name="definition",
            field=models.JSONField(
                blank=True, help_text="As it was read; empty where that was not kept yet.", null=True
            ),
        ),
        migrations.AddField(
            model_name="approval",
            name="may_tell_new_values",
            field=models.BooleanField(
                default=False,
                help_text="To an outside party: also what the session has not exchanged with its server before.",
            ),
        ),
        migrations.AddField(
            model_name="toolrecord",
            name="reads_only_by",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Who declared that it only reads, where it says nothing.",
                max_length=150,
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="toolrecord",
            name="reads_only_hash",
            field=models.CharField(
                blank=True, default="", help_text="The definition that this was declared of.", max_length=64
            ),
            preserve_default=False,
        ),
        migrations.RunSQL(_KEEP_WHAT_IS_STILL_KNOWN, migrations.RunSQL.noop),
    ]
