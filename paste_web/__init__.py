"""Shows and is spoken to: settings, pages, admin entry, HTTP API, websockets."""

from paste_web.celery import app as celery_app

__all__ = ["celery_app"]  # loaded with the settings, so that tasks bind to this application in every process
