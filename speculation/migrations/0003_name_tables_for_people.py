"""What the admin calls the tables: no change in the database."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("speculation", "0002_tools_pool"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="apikey",
            options={"ordering": ["-created_at"], "verbose_name": "API key"},
        ),
        migrations.AlterModelOptions(
            name="auditentry",
            options={"ordering": ["-at", "-id"], "verbose_name_plural": "audit entries"},
        ),
    ]
