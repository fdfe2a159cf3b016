"""The beat asks for what is due each day (CELERY_BEAT_SCHEDULE), and for that needs neither Django's apps nor our tasks.

An application of its own, since Celery's for workers loads all of them: 130 MB to send one message a day.
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "paste_web.settings")

app = Celery("beat", fixups=[], set_as_current=False)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.imports = ()
