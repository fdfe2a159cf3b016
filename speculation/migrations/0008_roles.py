"""The groups viewer, operator, approver and admin. What each may is set after every migration: see role_groups.py."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def make_groups(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    groups = apps.get_model("auth", "Group")
    names = ("viewer", "operator", "approver", "admin")
    groups.objects.using(schema_editor.connection.alias).bulk_create(
        [groups(name=name) for name in names], ignore_conflicts=True
    )


class Migration(migrations.Migration):
    dependencies = [
        ("speculation", "0007_ledger"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [migrations.RunPython(make_groups, migrations.RunPython.noop)]
