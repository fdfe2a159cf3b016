"""Patterns in the admin: an operator's columns alone, stored by the module that owns them; and the versions of that."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget

from speculation import pattern_edits
from speculation.audited import AuditedAdmin, ReadOnlyAdmin
from speculation.form_fields import StorableJSONField
from speculation.models import PatternRecord
from speculation.pattern_edits import Author, why_unreadable


class PatternForm(forms.ModelForm):
    """Only an operator's own columns; a mapping must be one that the engine can read."""

    class Meta:
        model = PatternRecord
        fields = pattern_edits.COLUMNS

    def clean_probability_override(self) -> float | None:
        probability = self.cleaned_data["probability_override"]
        if probability is not None and not 0 <= probability <= 1:
            raise forms.ValidationError("A probability lies between 0 and 1.")
        return probability

    def clean_mapping_override(self) -> dict[str, Any] | None:
        mapping = self.cleaned_data["mapping_override"]
        if mapping is not None and (why := why_unreadable(mapping)):
            raise forms.ValidationError(why)
        return mapping


class PatternRecordAdmin(AuditedAdmin):
    form = PatternForm
    formfield_overrides = {models.JSONField: {"form_class": StorableJSONField, "widget": UnfoldAdminTextareaWidget}}
    list_display = (
        "__str__",
        "agent",
        "support",
        "probability",
        "hits_ever",
        "runs_ever",
        "enabled",
        "overridden_by",
        "updated_at",
    )
    list_filter = ("agent", "enabled", "origin", "tool")
    list_select_related = ("agent",)
    search_fields = ("tool", "context", "agent__name")
    exclude = ("key",)
    actions = ("enable", "disable")

    def get_readonly_fields(self, request: HttpRequest, row: PatternRecord | None = None) -> list[str]:
        left_out = {*pattern_edits.COLUMNS, "key"}
        return ["dry_run", *(field.name for field in self.opts.concrete_fields if field.name not in left_out)]

    @admin.display(description="Dry run")
    def dry_run(self, row: PatternRecord) -> SafeString:
        address = f"{row.get_absolute_url()}#edit"
        return format_html('<a href="{}">Try an edit on the last sessions before storing it</a>', address)

    def view_on_site(self, row: PatternRecord) -> str:
        return row.get_absolute_url()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, row: PatternRecord | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, row: PatternRecord, form: forms.ModelForm, change: bool) -> None:
        """The operator's columns alone: mining may have moved the others since the form was read."""
        said = {name: form.cleaned_data[name] for name in form.changed_data}
        pattern_edits.edit(row, _author(request), **said)

    @admin.action(description="Enable the selected patterns", permissions=["change"])
    def enable(self, request: HttpRequest, patterns: QuerySet[PatternRecord]) -> None:
        self._switch(request, patterns, True)

    @admin.action(description="Disable the selected patterns", permissions=["change"])
    def disable(self, request: HttpRequest, patterns: QuerySet[PatternRecord]) -> None:
        self._switch(request, patterns, False)

    def _switch(self, request: HttpRequest, patterns: QuerySet[PatternRecord], on: bool) -> None:
        count = pattern_edits.switch(patterns.order_by("pk"), on, _author(request))
        messages.success(request, f"{count} pattern{'s' if count != 1 else ''} {'enabled' if on else 'disabled'}.")


def _author(request: HttpRequest) -> Author:
    return Author(request.user.get_username(), request.user)


class PatternEditAdmin(ReadOnlyAdmin):
    """An operator's versions; one is brought back on the pattern's page."""

    list_display = ("pattern", "number", "who", "at", "reverts_to", "why")
    list_select_related = ("pattern",)
    search_fields = ("pattern__tool", "who", "why")
    ordering = ("-pk",)
