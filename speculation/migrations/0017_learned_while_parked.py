"""How far a parked session's log was learned from."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('speculation', '0016_remote_agents'),
    ]

    operations = [
        migrations.AddField(
            model_name='session',
            name='mined_seq',
            field=models.PositiveIntegerField(default=0, help_text='Of a remote agent: before which entry of its log it was learned from while parked.'),
        ),
    ]
