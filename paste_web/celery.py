"""The task queue: `agents` runs sessions (they only wait), `tools` runs tools (they work). Its settings are CELERY_*.

What is due each day goes to `agents` as well: beat.py asks for it.
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "paste_web.settings")
# Django's checks import every page, a quarter of the time in which a worker starts. They run where tables are made.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("paste")
app.config_from_object("django.conf:settings", namespace="CELERY")
