"""The pool that tool jobs take their slots from. `manage.py up` sets its size from the settings."""

from django.db import migrations


def make_pool(apps, schema_editor):
    apps.get_model("speculation", "WorkerPool").objects.get_or_create(name="tools", defaults={"slots": 4, "reserved": 1})


class Migration(migrations.Migration):
    dependencies = [("speculation", "0001_first_tables")]
    operations = [migrations.RunPython(make_pool, migrations.RunPython.noop)]
