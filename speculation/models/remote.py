"""What remote agents have called and not yet been told."""

from django.db import models
from django.db.models.functions import Now
from uuid6 import uuid7


class RemoteCall(models.Model):
    """One call of an agent that runs elsewhere, on its way from the endpoint to the worker that runs its session.

    The endpoint puts it in; the session's owner takes it, which gives it a `call_id`, and puts the answer beside it; the
    endpoint takes both out. So a row stands only while somebody waits. The session's log holds all of it for good.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    session = models.ForeignKey("speculation.Session", on_delete=models.CASCADE, related_name="remote_calls")
    tool = models.CharField(max_length=200)
    arguments = models.JSONField(default=dict)
    said = models.TextField(blank=True, default="", help_text="The user's words that led to the call, where the client tells them.")
    call_id = models.CharField(max_length=32, blank=True, default="", help_text="Empty until the session's owner has taken it.")
    answer = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                name="remote_call_is_taken_once", fields=["session", "call_id"], condition=~models.Q(call_id="")
            ),
            models.CheckConstraint(
                name="remote_call_is_answered_once_taken",
                condition=models.Q(answer__isnull=True) | ~models.Q(call_id=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tool} {self.call_id}".strip()
