from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("speculation", "0010_decisions")]

    operations = []
