"""The MCP servers whose tools our agents may be given, as they answered when they were asked last."""

from django.db import models


class ToolServer(models.Model):
    """One server of the file PASTE_MCP_SERVERS; its tools are ToolRecords with its name. The file says where it is."""

    name = models.CharField(max_length=100, unique=True)
    is_command = models.BooleanField(default=False)
    asked_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, help_text="When it last listed its tools.")
    failing_since = models.DateTimeField(null=True, help_text="The first time that it could not be asked since it last answered.")
    problem = models.CharField(max_length=500, blank=True, help_text="Why it could not be asked; empty where it answered.")
    tools = models.PositiveIntegerField(default=0, help_text="How many it listed.")
    gone = models.JSONField(default=list, help_text="Tools that it has listed before and lists no more.")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(problem="", failing_since=None) | ~models.Q(problem="") & models.Q(failing_since__isnull=False),
                name="tool_server_fails_for_a_reason",
            ),
        ]

    def __str__(self) -> str:
        return self.name
