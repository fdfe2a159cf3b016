from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("speculation", "0007_ledger")]

    operations = []
