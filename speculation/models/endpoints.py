"""Model endpoints with a limit of concurrent requests, and who has or waits for a seat at one."""

from django.db import models
from django.db.models.functions import Now


class ModelEndpoint(models.Model):
    """Also the row that whoever gives out its seats locks. Made with the first request, once there is a limit."""

    name = models.CharField(max_length=500, primary_key=True, help_text='A base URL, or "scripted" or "recorded".')
    most_requests = models.PositiveIntegerField(
        null=True, blank=True, help_text="At once; 0 is no limit, empty takes PASTE_MOST_MODEL_REQUESTS."
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ModelSeat(models.Model):
    """One session's request: waiting until `seated_at` is set, gone when it has ended.

    It holds as long as the session's own lease does, under the attempt that asked.
    """

    session = models.OneToOneField(
        "speculation.Session", on_delete=models.CASCADE, primary_key=True, related_name="seat"
    )
    endpoint = models.ForeignKey(ModelEndpoint, on_delete=models.CASCADE, related_name="seats")
    attempt = models.PositiveIntegerField()
    usual_tool_seconds = models.FloatField(help_text="A call of this agent usually takes so long.")
    model_seconds = models.FloatField(help_text="Expected length of the request.")
    asked_at = models.DateTimeField(db_default=Now())
    seated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["asked_at"]

    def __str__(self) -> str:
        return f"{self.session_id} at {self.endpoint_id}"
