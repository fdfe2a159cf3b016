from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("speculation", "0008_roles")]

    operations = []
