"""The task queue: two queues, one for sessions (they only wait) and one for tools (they work)."""

import os

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "paste_web.settings")

app = Celery("paste")
app.conf.update(
    broker_url=settings.PASTE_BROKER_URL,
    broker_connection_retry_on_startup=True,
    # A message carries a job's id and attempt and nothing else; the row is the result and the truth.
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    # Acknowledged when taken: what a dead worker held is recovered by the sweep from leases, never by redelivery.
    task_acks_late=False,
    worker_prefetch_multiplier=1,
    task_default_queue="agents",
    task_routes={"speculation.worker.*": {"queue": "tools"}, "speculation.tasks.*": {"queue": "agents"}},
    imports=["speculation.tasks", "speculation.worker"],
    worker_hijack_root_logger=False,
    enable_utc=True,
    timezone="UTC",
)
