"""Mined patterns. Mining writes the mined columns, operators the override columns, and neither the other's."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.urls import reverse

from speculation.models.sessions import AgentProfile


class PatternRecord(models.Model):
    """(C, T, f, p) of one agent: after `context`, `tool` comes next with `probability`, arguments by `mapping`.

    `context`: list of signature texts, oldest first. `mapping`: argument -> [[source, right, available], ...], best
    first. `tool` empty: the model answered. Counts are decayed.
    """

    agent = models.ForeignKey(AgentProfile, on_delete=models.CASCADE, related_name="patterns")
    key = models.CharField(max_length=64, help_text="SHA-256 of context and tool: long contexts do not fit an index.")
    context = models.JSONField(default=list)
    tool = models.CharField(max_length=200, blank=True)
    mapping = models.JSONField(default=dict)
    occurrences = models.FloatField(default=0.0)
    support = models.FloatField(default=0.0)
    probability = models.FloatField(default=0.0)
    statistics = models.JSONField(default=dict)
    hits = models.FloatField(default=0.0, help_text="Decayed count of speculations that were asked for.")
    misses = models.FloatField(default=0.0, help_text="Decayed count of speculations nobody asked for.")
    hits_ever = models.PositiveIntegerField(default=0, help_text="The same, each counted once and for good.")
    runs_ever = models.PositiveIntegerField(default=0, help_text="Speculations that started, in sessions that have ended.")
    version = models.PositiveIntegerField(default=1, help_text="Steps whenever mining changes the pattern.")
    origin = models.CharField(max_length=16, default="mined")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    last_promoted_at = models.DateTimeField(null=True, blank=True)

    enabled = models.BooleanField(default=True, help_text="Operator: off removes it from every prediction.")
    probability_override = models.FloatField(null=True, blank=True, help_text="Operator: replaces the mined probability.")
    mapping_override = models.JSONField(null=True, blank=True, help_text="Operator: replaces the mined mapping.")
    overridden_by = models.CharField(max_length=150, blank=True)
    overridden_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["agent", "-support"]
        constraints = [
            models.UniqueConstraint(fields=["agent", "key"], name="pattern_is_unique_in_agent"),
            models.CheckConstraint(
                name="pattern_override_is_a_probability",
                condition=models.Q(probability_override__isnull=True)
                | models.Q(probability_override__gte=0, probability_override__lte=1),
            ),
        ]
        indexes = [models.Index(fields=["agent", "updated_at"], name="pattern_newest")]

    def __str__(self) -> str:
        return f"{' > '.join(self.context) or '*'} => {self.tool or 'answer'}"

    def get_absolute_url(self) -> str:
        return reverse("pattern", args=[self.pk])


class PatternEdit(models.Model):
    """One version of an operator's word about a pattern. Append-only. `before`, `after`: the three override columns."""

    pattern = models.ForeignKey(PatternRecord, on_delete=models.CASCADE, related_name="edits")
    number = models.PositiveIntegerField(help_text="1 is the first; before it stands what was mined.")
    before = models.JSONField()
    after = models.JSONField()
    mined_version = models.PositiveIntegerField(help_text="The pattern's own version when it was edited.")
    reverts_to = models.PositiveIntegerField(null=True, blank=True, help_text="The version that it brought back.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    who = models.CharField(max_length=150)
    why = models.TextField(blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["pattern", "-number"]
        constraints = [models.UniqueConstraint(fields=["pattern", "number"], name="pattern_edit_is_numbered_once")]

    def __str__(self) -> str:
        return f"edit {self.number} of {self.pattern}"
