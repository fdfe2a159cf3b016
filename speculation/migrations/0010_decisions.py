from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("speculation", "0009_pattern_edits")]

    operations = []
