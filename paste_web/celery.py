"""The task queue: `agents` runs sessions (they only wait), `tools` runs tools (they work). Its settings are CELERY_*.

What is due each day goes to `agents` as well: beat.py asks for it.
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "paste_web.settings")

app = Celery("paste")
app.config_from_object("django.conf:settings", namespace="CELERY")
