"""How MCP servers answered when they were asked last."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('speculation', '0017_learned_while_parked'),
    ]

    operations = [
        migrations.CreateModel(
            name='ToolServer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, unique=True)),
                ('is_command', models.BooleanField(default=False)),
                ('asked_at', models.DateTimeField()),
                ('answered_at', models.DateTimeField(help_text='When it last listed its tools.', null=True)),
                ('failing_since', models.DateTimeField(help_text='The first time that it could not be asked since it last answered.', null=True)),
                ('problem', models.CharField(blank=True, help_text='Why it could not be asked; empty where it answered.', max_length=500)),
                ('tools', models.PositiveIntegerField(default=0, help_text='How many it listed.')),
                ('gone', models.JSONField(default=list, help_text='Tools that it has listed before and lists no more.')),
            ],
            options={
                'ordering': ['name'],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('failing_since', None), ('problem', '')), models.Q(models.Q(('problem', ''), _negated=True), ('failing_since__isnull', False)), _connector='OR'), name='tool_server_fails_for_a_reason')],
            },
        ),
    ]
