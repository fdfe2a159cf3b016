"""What pages read. Every figure comes out of figures.py; here is only which rows go in."""

from speculation.models import WorkerPool


def pause_reason() -> str:
    """Why no speculation runs at present; empty where it does."""
    paused = WorkerPool.objects.filter(is_paused=True).values_list("pause_reason", flat=True).first()
    return "" if paused is None else paused or "paused"
